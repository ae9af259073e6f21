"""Where the values of a call come from: the customer, a field of a result, or only a text that was read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reference_app.guardrails.calls.deriving import derive, find_orders
from reference_app.guardrails.calls.schema import is_email
from reference_app.guardrails.calls.request import (
    AllowedTool,
    Decision,
    Leaf,
    Request,
    Target,
    Text,
    list_leaves,
)
from reference_app.guardrails.calls.values import is_field, is_named
from reference_app.guardrails.redaction import find

SECRETS = frozenset({"key", "password", "token", "account", "card", "id", "passport"})  # of the redaction
MIN_OPAQUE = 40
MIN_ORDERED = 4  # characters of a target, and words of any other text, that no order has by accident

_OPAQUE = re.compile(  # letters of both cases and digits, or digits of base 16
    rf"(?=[^\s\d]*\d)(?=[^\sA-Z]*[A-Z])[A-Za-z0-9+_=-]{{{MIN_OPAQUE},}}|(?:[0-9a-fA-F]{{2}}){{20,}}"
)
_HOST = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]+://)?(?P<host>(?:[\w-]+\.)+[a-zA-Z]{2,})(?=[/?#:]|$)")


def find_provenance_fault(request: Request, tool: AllowedTool) -> Decision | None:
    """
    A target of which no declared source has the value.

    A value that no text has at all was made up and is denied; one that only another text has is denied or
    shown to a person, as the declaration says. Of a tool without a declaration, a value that stands in a
    sentence which orders something is shown to a person too.
    """
    if request.said is None or (tool.declaration is None and not request.texts):
        return None
    asked = _find_ordered(request, tool) if tool.declaration is None else None
    for leaf, target in list_targets(request, tool):
        if any(_comes_from(source, leaf, target, request) for source in target.sources):
            continue
        read = any(_is_in(leaf, text.text) for text in request.texts)
        outcome = target.otherwise if read else "deny"
        where = "only a text that was read names it" if read else "no text names it"
        decision = Decision(outcome=outcome, guard="provenance", reason=f"{leaf.name}: {where}")
        if outcome == "deny":
            return decision
        asked = asked or decision
    return asked


def _find_ordered(request: Request, tool: AllowedTool) -> Decision | None:
    """A value of the call that the customer did not say and that a text orders somebody to use."""
    reads = not derive(tool).effects
    targets = {leaf.name for leaf, _ in list_targets(request, tool)}
    orders = [order for text in request.texts for order in find_orders(text.text)]
    for leaf in list_leaves(request.arguments):
        if len(leaf.text) < MIN_ORDERED or _is_said(leaf, request.said or ()):
            continue
        if leaf.name not in targets and (reads or len(leaf.text.split()) < MIN_ORDERED):
            continue
        if any(_is_in(leaf, order) for order in orders):
            reason = f"{leaf.name}: a text orders it, and the customer did not ask for it"
            return Decision(outcome="confirm", guard="provenance", reason=reason)
    return None


def find_taint(request: Request, tool: AllowedTool) -> Decision | None:
    """A call that changes something after a text was read that gives orders to the model."""
    from reference_app.guardrails.injection import scan

    declaration = tool.declaration or derive(tool)
    if declaration.effects and any(scan(text.text).flagged for text in request.texts):
        reason = "a text that was read gives orders to the model"
        return Decision(outcome="confirm", guard="taint", reason=reason)
    return None


def find_exfiltration(request: Request, tool: AllowedTool) -> str:
    """Why the call would carry a secret to a target that the customer did not name; empty if it would not."""
    said = request.said or ()
    leaves = [leaf for leaf in list_leaves(request.arguments) if leaf.text]
    targets = [leaf.name for leaf, _ in list_targets(request, tool)]
    goes = [leaf for leaf in leaves if leaf.name in targets or is_address(leaf.text)]
    if not any(not _is_said(leaf, said) for leaf in goes):
        return ""
    for leaf in leaves:
        carried = leaf.text.partition("?")[2] if leaf in goes else leaf.text
        if carried and not any(is_named(carried, text) for text in said) and _is_secret(carried):
            return f"{leaf.name} carries a secret or an opaque text to where the customer did not send it"
    return ""


def list_targets(request: Request, tool: AllowedTool) -> Iterator[tuple[Leaf, Target]]:
    """The targets of a call with their values; what the operator lists by itself is none."""
    targets = (tool.declaration or derive(tool)).targets
    arguments = request.arguments if isinstance(request.arguments, dict) else {}
    for name, target in targets.items():
        for leaf in list_leaves(arguments.get(name), name):
            if leaf.text:
                yield leaf, target


def is_address(text: str) -> bool:
    """Whether the value says by its shape where something goes."""
    return is_email(text.strip()) or "://" in text


def _comes_from(source: str, leaf: Leaf, target: Target, request: Request) -> bool:
    kind, _, name = source.partition(" ")
    if kind == "customer":
        return _is_said(leaf, request.said or ())
    if kind == "constant":
        return leaf.text in target.values
    if kind == "text":
        return any(is_named(_value(leaf), text.text) for text in request.texts)
    if kind == "model":
        return not any(_is_in(leaf, text.text) for text in request.texts)
    return any(_has(text, leaf) for text in request.texts if text.kind == kind and name in ("", text.name))


def _has(text: Text, leaf: Leaf) -> bool:
    value = _value(leaf)
    return is_field(value, text.text) if text.kind == "tool" else is_named(value, text.text)


def _is_said(leaf: Leaf, said: tuple[str, ...]) -> bool:
    return any(_is_in(leaf, text) for text in said)


def _is_in(leaf: Leaf, text: str) -> bool:
    host = _HOST.match(leaf.text)
    return is_named(_value(leaf), text) or bool(host and is_named(host["host"], text))


def _value(leaf: Leaf) -> str | float:
    number = isinstance(leaf.value, int | float) and not isinstance(leaf.value, bool)
    return leaf.value if number else leaf.text  # type: ignore[return-value] # a number by the line above


def _is_secret(text: str) -> bool:
    return bool(_OPAQUE.search(text)) or any(match.kind in SECRETS for match in find(text))
