"""Where a call comes from: what the user asked for, or a text that was read on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from reference_app.guardrails.calls.effects import (
    DESTRUCTIVE,
    Effect,
    find_objects,
    is_worded,
    only_reads,
    read_effect,
)
from reference_app.guardrails.calls.formats import is_email
from reference_app.guardrails.calls.request import AllowedTool, Leaf, Request, list_leaves
from reference_app.guardrails.calls.wording import (
    find_words,
    fold,
    is_named,
    list_words,
    load_words,
    split_name,
)
from reference_app.guardrails.redaction import find

MIN_ORDER_WORDS = 4
MAX_SHARED = 0.2  # of an order's words that the task may have by accident
MIN_QUOTED = 4  # characters of a value that no order contains by accident
MIN_OPAQUE = 40
SECRETS = frozenset({"key", "password", "token", "account", "card", "id", "passport"})  # of the redaction

_SENTENCE = re.compile(r"(?<=[.!?\n;:])\s+|\n+|(?<=,)\s+(?=then\b)")
_ADDRESSING = (
    r"then|and|also|now|next|first|finally|you must|you should|you have to|you need to|make sure to"
    r"|be sure to|immediately|kindly|important|todo|instead|can you|could you|please"
)
_OPAQUE = re.compile(  # letters of both cases and digits, or digits of base 16
    rf"(?=[^\s\d]*\d)(?=[^\sA-Z]*[A-Z])[A-Za-z0-9+_=-]{{{MIN_OPAQUE},}}|(?:[0-9a-fA-F]{{2}}){{20,}}"
)
_URL_SHAPE = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]+://|www\.)\S+|(?:[\w-]+\.)+[a-zA-Z]{2,}(?:/\S*)?")
_URL_HOST = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]+://)?(?P<host>(?:[\w-]+\.)+[a-zA-Z]{2,})(?=[/?#:]|$)")
_ACCOUNT_SHAPE = re.compile(r"[A-Z]{2}\d{2}[ \w]{8,32}|\+?\d[\d ()-]{7,}\d")
_WEB = re.compile(
    r"\b(?:web ?sites?|web ?pages?|pages?|links?|urls?|sites?|articles?|blogs?|posts?)\b", re.IGNORECASE
)


def find_taint(request: Request, tool: AllowedTool) -> str:
    """
    Why a value of the call may not be its target: only a text that was read names it; empty if none is.

    Targets are who gets something, where it goes and how much it is. A tool that only reads has but one:
    the address that it calls.
    """
    if not request.context:
        return ""
    effect = read_effect(tool)
    for leaf in list_leaves(request.arguments):
        if _is_listed_by_policy(leaf, tool) or not _comes_from_context(leaf, request):
            continue
        if effect.reads:
            if _is_address(leaf) and not _WEB.search(request.task):
                return f"{leaf.name} is an address that only a text named"
        elif _is_target(leaf):
            return f"{leaf.name} is a target that only a text named, not the user"
    return ""


def find_off_task(request: Request, tool: AllowedTool) -> str:
    """Why the call does not serve what the user asked for; empty if it may."""
    effect = read_effect(tool)
    if effect.replies:
        return ""
    leaves = [leaf for leaf in list_leaves(request.arguments) if leaf.text]
    orders = list(_find_orders(request.context))
    if not is_worded(effect, tool, request.task) and _is_unwanted(effect, request, orders):
        return "the task does not ask for such an action"
    fits, ordered = _fits(tool, request.task), _is_ordered(tool, orders)
    for leaf in leaves:
        helps = effect.reads and fits and not ordered and not _is_address(leaf)
        quoted = not helps and _repeats_order(leaf, request, orders)
        if quoted or _repeats_text(leaf, request):
            return f"{leaf.name} repeats what a text orders, not what the user asked for"
    if effect.reads and not leaves and not fits and ordered:
        return "a text orders this, and the task does not speak of it"
    return ""


def _is_unwanted(effect: Effect, request: Request, orders: list[str]) -> bool:
    """
    Whether an action that the task has no word for is surely none of its own.

    People word their wishes in many ways, so either a text orders something, or the task only asks for an
    answer; and what the call names does not come from the task.
    """
    if not orders and not only_reads(request.task):
        return False
    named = any(
        len(leaf.text) >= MIN_QUOTED and is_named(leaf.text, request.task)
        for leaf in list_leaves(request.arguments)
        if isinstance(leaf.value, str)
    )
    return not named or bool(effect.kinds & DESTRUCTIVE)


def find_exfiltration(request: Request, tool: AllowedTool) -> str:
    """Why the call would carry a secret to a target that the user did not name; empty if it would not."""
    leaves = [leaf for leaf in list_leaves(request.arguments) if leaf.text]
    sends = "send" in read_effect(tool).kinds
    targets = [leaf for leaf in leaves if _is_address(leaf) or (sends and _is_target(leaf))]
    unnamed = [
        leaf
        for leaf in targets
        if not _is_listed_by_policy(leaf, tool) and not is_named(_value(leaf), request.task)
    ]
    if not unnamed:
        return ""
    for leaf in leaves:
        carried = leaf.text if leaf not in targets else _data_of(leaf.text)
        if carried and not is_named(carried, request.task) and _is_secret(carried):
            return f"{leaf.name} carries a secret or an opaque text to where the user did not send it"
    return ""


def _is_secret(text: str) -> bool:
    return bool(_OPAQUE.search(text)) or any(one.kind in SECRETS for one in find(text))


def _comes_from_context(leaf: Leaf, request: Request) -> bool:
    """Whether a text that was read names the value, or the host of a URL, and the task does not."""
    spellings = _spell(leaf)
    return not any(is_named(one, request.task) for one in spellings) and any(
        is_named(one, request.context) for one in spellings
    )


def _spell(leaf: Leaf) -> list[str | float]:
    """The value, and the host of one that is a URL."""
    host = _URL_HOST.match(leaf.text)
    return [_value(leaf), host["host"]] if host else [_value(leaf)]


def _value(leaf: Leaf) -> str | float:
    return (
        leaf.value if isinstance(leaf.value, int | float) and not isinstance(leaf.value, bool) else leaf.text
    )


def _is_target(leaf: Leaf) -> bool:
    words = set(split_name(leaf.name))
    if (
        isinstance(leaf.value, bool)
        or not leaf.text
        or (words & list_words("content") and not words & list_words("targets"))
    ):
        return False
    return (
        bool(words & list_words("targets"))
        or _is_address(leaf)
        or _ACCOUNT_SHAPE.fullmatch(leaf.text) is not None
    )


def _is_address(leaf: Leaf) -> bool:
    """Whether the value says where something goes: a URL, or an e-mail address."""
    if not isinstance(leaf.value, str) or set(split_name(leaf.name)) & list_words("content"):
        return False
    named = bool(
        {"url", "uri", "link", "webhook", "endpoint", "host", "website", "domain"}
        & set(split_name(leaf.name))
    )
    return (
        named
        or is_email(leaf.text.strip())
        or ("://" in leaf.text and _URL_SHAPE.match(leaf.text) is not None)
    )


def _is_listed_by_policy(leaf: Leaf, tool: AllowedTool) -> bool:
    """Whether the operator said where this may go, which another guard checks."""
    words = set(split_name(leaf.name))
    return bool(
        (words & {"url", "uri", "link", "host"} and "hosts" in tool.policy)
        or (words & {"path", "file", "filename"} and {"root", "folder"} & set(tool.policy))
    )


def _data_of(url: str) -> str:
    """What a URL carries besides where it goes."""
    return url.partition("?")[2]


def _find_orders(context: str) -> Iterator[str]:
    """Sentences of a text that tell somebody to do something."""
    for sentence in _SENTENCE.split(context):
        if _load_imperative().match(sentence):
            yield sentence


@cache
def _load_imperative() -> re.Pattern[str]:
    verbs = "|".join(load_words()["imperatives"])
    return re.compile(
        rf"\W*(?:please,? [a-z]+|(?:(?:{_ADDRESSING})[\s,:]+){{0,4}}(?:{verbs}))\b", re.IGNORECASE
    )


def _repeats_order(leaf: Leaf, request: Request, orders: list[str]) -> bool:
    """Whether the value comes from an order in a text, and the task has nothing of it."""
    if not isinstance(leaf.value, str) or any(is_named(one, request.task) for one in _spell(leaf)):
        return False
    words = find_words(leaf.text)
    if len(fold(leaf.text)) >= MIN_QUOTED and words:
        return any(is_named(one, order) for one in _spell(leaf) for order in orders)
    return False


def _repeats_text(leaf: Leaf, request: Request) -> bool:
    """Whether what a tool has to do comes, nearly word for word, from a text and not from the task."""
    words = find_words(leaf.text)
    if not set(split_name(leaf.name)) & list_words("instructions") or len(words) < MIN_ORDER_WORDS:
        return False
    shared = len(words & find_words(request.task)) / len(words)
    return shared <= MAX_SHARED and len(words & find_words(request.context)) / len(words) >= 1 - MAX_SHARED


def _fits(tool: AllowedTool, task: str) -> bool:
    """Whether the task speaks of the things that the tool reads."""
    return bool(find_objects(tool) & find_words(task))


def _is_ordered(tool: AllowedTool, orders: list[str]) -> bool:
    """Whether one order speaks of all the things that the tool reads."""
    objects = find_objects(tool)
    return bool(objects) and any(objects <= find_words(fold(order)) for order in orders)
