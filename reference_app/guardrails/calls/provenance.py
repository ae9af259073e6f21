"""Where the values of a call come from: the customer, a field of a result, or only a text that was read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reference_app.guardrails.calls.deriving import derive, find_orders
from reference_app.guardrails.calls.request import AllowedTool, Decision, Leaf, Request, Target, list_leaves
from reference_app.guardrails.calls.values import is_field, is_named

MIN_ORDERED = 4  # characters of a target, and words of any other text, that no order has by accident

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
    for leaf, target in _list_targets(request, tool):
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


def find_taint(request: Request, tool: AllowedTool) -> Decision | None:
    """A call that changes something after a text was read that gives orders to the model."""
    from reference_app.guardrails.injection import scan

    if (tool.declaration or derive(tool)).effects and any(scan(text.text).flagged for text in request.texts):
        reason = "a text that was read gives orders to the model"
        return Decision(outcome="confirm", guard="taint", reason=reason)
    return None


def _find_ordered(request: Request, tool: AllowedTool) -> Decision | None:
    """A value of the call that the customer did not say and that a text orders somebody to use."""
    effects, targets = derive(tool).effects, {leaf.name for leaf, _ in _list_targets(request, tool)}
    orders = [order for text in request.texts for order in find_orders(text.text)]
    for leaf in list_leaves(request.arguments):
        weighed = len(leaf.text) if leaf.name in targets else effects * len(leaf.text.split())
        if weighed < MIN_ORDERED or any(_is_in(leaf, text) for text in request.said or ()):
            continue
        if any(_is_in(leaf, order) for order in orders):
            reason = f"{leaf.name}: a text orders it, and the customer did not ask for it"
            return Decision(outcome="confirm", guard="provenance", reason=reason)
    return None


def _list_targets(request: Request, tool: AllowedTool) -> Iterator[tuple[Leaf, Target]]:
    """The targets of a call that have a value."""
    arguments = request.arguments if isinstance(request.arguments, dict) else {}
    for name, target in (tool.declaration or derive(tool)).targets.items():
        yield from ((leaf, target) for leaf in list_leaves(arguments.get(name), name) if leaf.text)


def _comes_from(source: str, leaf: Leaf, target: Target, request: Request) -> bool:
    kind, _, name = source.partition(" ")
    if kind == "customer":
        return any(_is_in(leaf, text) for text in request.said or ())
    if kind == "constant":
        return leaf.text in target.values
    if kind == "model":
        return not any(_is_in(leaf, text.text) for text in request.texts)
    has = is_field if kind == "tool" else is_named
    texts = (text for text in request.texts if kind in ("text", text.kind) and name in ("", text.name))
    return any(has(_value(leaf), text.text) for text in texts)


def _is_in(leaf: Leaf, text: str) -> bool:
    """Whether the text names the value, or the host of one that is a URL."""
    host = _HOST.match(leaf.text)
    return is_named(_value(leaf), text) or bool(host and is_named(host["host"], text))


def _value(leaf: Leaf) -> str | float:
    return leaf.value if isinstance(leaf.value, int | float) else leaf.text
