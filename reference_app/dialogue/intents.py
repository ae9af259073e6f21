"""
A message as the questions in it, each able to stand alone.

"I live in Lyon. What does a return cost, and can I exchange?" is two questions with one context; "How much,
and by when?" after a question belongs to it. A follow-up ("And the trousers?") is read with what was asked
before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.dialogue.orders import read_actions, read_facts, says
from reference_app.dialogue.places import add_country
from reference_app.dialogue.wording import ORDER_ID, find_orders, mend_order_ids
from reference_app.documents.lexicon import stems

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_INTENTS = 4
_DEADLINE = "How many days after the delivery can an item be sent back?"
"""Searched with such a question about an order, which names the thing that is in it and not the rule."""
HANDOVER = "How do I reach a person of your customer service by chat or telephone?"
MIN_WORDS = 2  # that say something; a shorter part belongs to its neighbour
_SAYS_LITTLE = stems("much many long often extra still also again most more get")
_STARTS = (
    r"(?:until |from |by |since |at |on |in |for |to )?(?:what|how|when|where|which|who|whose|why|can|could|"
    r"do|does|did|is|are|was|were|will|would|may|must|should|has|have|am)\b"
)
_CUT = re.compile(
    rf"(?<=[?!])\s+|,?\s+(?:and|but)\s+(?:also\s+)?(?={_STARTS})|[,;]\s+(?={_STARTS})", re.IGNORECASE
)
_STATEMENT_END = re.compile(r"(?<=[.!:])\s+(?=\S)")
_ASKS = re.compile(rf"\?|^\W*(?:and |so |but |also |hi,? |hello,? )*{_STARTS}", re.IGNORECASE)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|that|those|this|these|one|ones|there|then|the (?:same|thing))\b|"
    r"(?:^|[.!?]\s)\W*(?:and|what about|how about|so)\b",
    re.IGNORECASE,
)
_MASKED = re.compile(r"\[[a-z -]+\]")
_COMPARED = re.compile(
    r"\bbetween (?:an? |the )?(?P<one>[\w' -]+?) and (?:an? |the )?(?P<other>[\w' -]+)|"
    r"(?:,|:) (?:an? |the )?(?P<left>[\w' -]+?) or (?:an? |the )?(?P<right>[\w' -]+)",
    re.IGNORECASE,
)
_IT = re.compile(r"\b(?:it|that|this one|that one|this order|that order|the order|my order)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """
    One question.

    Attributes:
        text: As it is planned: an order that an earlier sentence or turn names stands in it.
        query: As it is searched for, without what only tools need.
        within: The whole message, or the turns, that it came from.
        vector: Of what is searched for; empty until it was encoded.
        compared: The same question of each of two things, where it compares them.
    """

    text: str
    query: str
    within: str
    vector: tuple[float, ...] = ()
    compared: tuple[Intent, ...] = ()


def read_intents(message: str, earlier: Sequence[str] = ()) -> tuple[Intent, ...]:
    """
    The questions of a message, at most four.

    Args:
        message: What the customer writes now.
        earlier: What the same customer wrote before, oldest first.
    """
    message = mend_order_ids(" ".join(message.split()))
    before = [mend_order_ids(" ".join(one.split())) for one in earlier]
    if before and (again := _ask_again(message, before[-1])):
        message, before = again, []
    bare = read_actions(message) and not find_orders(message)
    follows = bool(before) and (bool(bare) or _points_back(message))
    within = " ".join([*before[-2:], message]) if follows else message
    parts = _cut(message)
    orders = find_orders(message) or (_last_orders(before) if follows else [])
    intents: list[Intent] = []
    for part in parts:
        text = _name_order(part, orders, alone=len(parts) == 1)
        query = _search_for(part if len(parts) > 1 else within)
        if orders and says(part, "return_time"):
            query = f"{query} {_DEADLINE}"
        compared = tuple(Intent(text=each, query=each, within=within) for each in _compare(query))
        intents.append(Intent(text=text, query=query, within=within, compared=compared))
    return tuple(intents)


def _ask_again(message: str, before: str) -> str | None:
    """What was asked before, of another order: "and for FW-10463?"."""
    orders, asked = find_orders(message), find_orders(before)
    bare = ORDER_ID.sub(" ", message)
    if len(orders) != 1 or len(asked) != 1 or len(stems(bare) - _SAYS_LITTLE) >= MIN_WORDS:
        return None
    return before.replace(asked[0], orders[0])


def _search_for(text: str) -> str:
    """A wish for a person is a search for how to reach one; who the customer is finds nothing."""
    if says(text, "handover"):
        return HANDOVER
    kept = [part for part in _STATEMENT_END.split(text) if not _MASKED.search(part) or "?" in part]
    return add_country(" ".join(kept) or text)


def _compare(query: str) -> tuple[str, ...]:
    """A query of two things, such as "between standard and express", once without each of them."""
    found = _COMPARED.search(query)
    if found is None:
        return ()
    one, other = (found["one"], found["other"]) if found["one"] else (found["left"], found["right"])
    ends = len(other.split()) - len(one.split())
    rest = " ".join(other.split()[len(other.split()) - ends :]) if ends > 0 else ""
    first, second = query[: found.start()], query[found.end() :]
    return tuple(" ".join(f"{first} {text} {second}".split()) for text in (f"{one} {rest}", other))


def _cut(message: str) -> list[str]:
    """Parts that each ask something; what only tells goes before each, as their context."""
    context: list[str] = []
    asked: list[str] = []
    for part in _sentences(message):
        if _ASKS.search(part):
            if asked and not context and (_says_little(part) or _says_little(asked[-1])):
                asked[-1] = f"{asked[-1]} and {part}"
            else:
                asked.append(part)
        else:
            context.append(part)
    if len(asked) <= 1 or len(asked) > MAX_INTENTS:
        return [message]
    before = " ".join(context)
    return [f"{before} {part}".strip() for part in asked]


def _says_little(part: str) -> bool:
    return not find_orders(part) and len(stems(part) - _SAYS_LITTLE) < MIN_WORDS


def _sentences(message: str) -> list[str]:
    cut = [part for sentence in _STATEMENT_END.split(message) for part in _CUT.split(sentence)]
    return [part.strip() for part in cut if part.strip(" ,;.!?")]


def _points_back(message: str) -> bool:
    few = len(stems(message)) < MIN_WORDS
    return not find_orders(message) and (few or _POINTS_BACK.search(message) is not None)


def _last_orders(turns: Sequence[str]) -> list[str]:
    return next((found for turn in reversed(turns) if (found := find_orders(turn))), [])


def _name_order(part: str, orders: Sequence[str], *, alone: bool) -> str:
    """The part with the order that it points to; that of a whole message needs no word for it."""
    if not orders or find_orders(part):
        return part
    named = " and ".join(orders)
    replaced, count = _IT.subn(f"order {named}", part, count=1)
    asked = read_facts(part) or read_actions(part)
    return f"{part} (order {named})" if asked and alone and not count else replaced
