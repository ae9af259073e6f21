"""What a message asks about orders: which facts, which action, and what it leaves out."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.dialogue.wording import find_orders
from reference_app.documents.lexicon import split, stems

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = Path(__file__).with_name("words.yaml")
POSTCODE = re.compile(
    r"\b(?:[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[\dW] ?(?=[A-Z]*\d)[A-Z\d]{4})\b", re.IGNORECASE
)
"""Of the United Kingdom and Ireland."""
ACTIONS = ("request_refund", "change_address", "adjust_points")
"""Tools with consequences."""
_NAMED = re.compile(r"\(?order FW-\d{5}\)?|FW-\d{5}", re.IGNORECASE)
_UNWANTED = re.compile(
    r"(?:n['\u2019]t|\bnot|\bnever|\bshould i|\bhow (?:do|can|would|could) i)\b[^.?!;,]{0,30}$", re.IGNORECASE
)
_WHETHER = re.compile(
    r"\W*(?:can|could|may|how|until|when|what|which|who|where|is|are|was|were|has|have|had|do|does|did|will|if|why)\b",
    re.IGNORECASE,
)
_INFORMS = re.compile(
    r"\W*(?:when|where|why|what|which|who|how|has|have|had|is|are|was|were|did)\b", re.IGNORECASE
)
_WAITS = re.compile(
    r"(?:\bnot|n['\u2019]t)\b.{0,12}\b(?:arrive|receive|come|see|got|had|show)|\bstill (?:waiting|no)\b|"
    r"\b(?:tell|know|wonder|ask|see|check|explain|find out)\b.{0,20}"
    r"\b(?:whether|if|when|where|why|how|what)\b|"
    r"\bcancel\b.{0,30}\b(?:request|refund|change)\b|"
    r"\b(?:asked|requested|applied|claimed|promised|received)\b.{0,20}\b(?:refund|money)\b",
    re.IGNORECASE,
)
_COUNT = r"(-?\d{1,3}(?:,\d{3})+|-?\d{1,5})"
_POINTS = re.compile(
    rf"(?<![\w.,]){_COUNT}\s+(?:[a-z]+ )?(?:points?|trailmarks)\b|"
    rf"\b(?:points?|trailmarks)\b.{{0,25}}\bby {_COUNT}(?![\w.,]\d)",
    re.IGNORECASE,
)
_TAKES = re.compile(
    r"\b(?:take|remove|deduct|lower|reduce|strip|subtract|withdraw|off|away)\b", re.IGNORECASE
)
_CLAUSE = re.compile(r"[.?!;,]+(?!\d)|\b(?:and|also|but|und|y)\b", re.IGNORECASE)
_FEWEST_WORDS = 2  # of a clause that speaks of something else than the one before
_SHIPMENT = frozenset({"sent", "delivered", "late", "carrier", "tracking"})


def read_facts(text: str) -> frozenset[str]:
    """Which facts of an order are asked for."""
    bare = _NAMED.sub(" ", text)
    return frozenset(name for name in _words()["facts"] if says(bare, "facts", name))


def read_actions(text: str) -> frozenset[str]:
    """Which tools with consequences the text calls for; an order goes to the postcode that stands with it."""
    named = {name for name in _words()["actions"] if _wants(text, name)}
    if find_orders(text) and find_postcode(text) and not read_facts(text) and not _asks(text):
        named.add("change_address")
    return frozenset(named)


def _wants(text: str, action: str) -> bool:
    """Whether it is asked for; "don't refund it" and "where is my refund?" ask for something else."""
    for found in _compile(("actions", action)).finditer(text):
        begun = _CLAUSE.split(text[: found.start()])[-1]
        clause = begun + _CLAUSE.split(text[found.start() :])[0]
        if not (_UNWANTED.search(text[: found.start()]) or _INFORMS.match(clause) or _WAITS.search(clause)):
            return True
    return False


def orders_of(text: str, action: str) -> list[str]:
    """Those that stand with an action: FW-10424 in "refund FW-10424 and say where FW-10427 is"."""
    named: list[str] = []
    with_action = False
    for clause in _CLAUSE.split(text):
        bare = _NAMED.sub(" ", clause)
        says_it = says(bare, "actions", action) or says(bare, "subjects", action)
        goes_on = len(stems(bare)) < _FEWEST_WORDS and not _WHETHER.match(bare)
        with_action = says_it or (with_action and goes_on)
        named += find_orders(clause) if with_action else []
    return list(dict.fromkeys(named)) or find_orders(text)


def find_points(text: str) -> int | None:
    """The one number of points that is to be booked, below zero if they are taken away."""
    found = [one[1] or one[2] for one in _POINTS.finditer(_NAMED.sub(" ", text))]
    if len(found) != 1:
        return None
    return int(found[0].replace(",", "")) * (-1 if _TAKES.search(text) else 1)


def find_postcode(text: str) -> str | None:
    """The first postcode, as a tool takes it."""
    found = POSTCODE.search(_NAMED.sub(" ", text))
    return found[0].upper() if found else None


def lookups(orders: Sequence[str], facts: frozenset[str]) -> list[tuple[str, str]]:
    """The tool and the order of each call that finds the facts; an order's state where none is named."""
    wanted = (
        ("order_status", bool(facts & {"items", "status", "total", "ordered"}) or not facts),
        ("shipment", bool(facts & _SHIPMENT)),
        ("loyalty_points", "points" in facts),
    )
    return [(name, order) for order in orders for name, is_wanted in wanted if is_wanted]


def find_missing(text: str) -> str | None:
    """`order_id` or `postcode` where a message wants something done or looked up that needs it."""
    actions = read_actions(text)
    if find_orders(text):
        return "postcode" if "change_address" in actions and not find_postcode(text) else None
    facts = read_facts(text)
    if "points" in facts and (says(text, "points_rules") or _POINTS.search(text)):
        return "order_id" if orders_action(text) else None
    if says(text, "order_state") or ("points" in facts and says(text, "own_order")):
        return "order_id"
    return "order_id" if orders_action(text) else None


def bears_out(text: str, action: str) -> bool:
    """Whether a message that asks nothing speaks of what a planned action is about."""
    return not _asks(text) and says(_NAMED.sub(" ", text), "subjects", action)


def _asks(text: str) -> bool:
    """Whether it asks a question, or waits for something, and orders nothing."""
    asks = any(_WHETHER.match(part) or _UNWANTED.search(part) or _WAITS.search(part) for part in split(text))
    return "?" in text or asks


def orders_action(text: str) -> bool:
    """Whether a sentence orders an action: as a wish, or of what the message calls the customer's own."""
    own = says(text, "own_order")
    for part in split(text):
        asks = _WHETHER.match(part) is not None
        wishes = says(part, "wishes") and (own or not (asks or "?" in part))
        if read_actions(part) and (wishes or (own and not asks)):
            return True
    return False


def says(text: str, *kind: str) -> bool:
    """Whether one of the patterns of `words.yaml` under these keys fits."""
    return _compile(kind).search(text) is not None


@cache
def _compile(kind: tuple[str, ...]) -> re.Pattern[str]:
    patterns: Any = _words()
    for key in kind:
        patterns = patterns[key]
    return re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in patterns), re.IGNORECASE)


@cache
def _words() -> dict[str, Any]:
    import yaml

    words: dict[str, Any] = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return words
