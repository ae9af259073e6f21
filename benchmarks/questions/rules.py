"""
The phrases by which an answer refuses or asks, and how a word is found in it.

The patterns read a text that `fold` made alike; they are English, with a few phrases of German and Spanish.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

REFUSES = (
    (
        r"\b(can(no|')t|can not|unable to|not able to|won't|will not|may not|must not) (\w+ ){0,4}?"
        r"(help|answer|assist|do|say|tell|share|show|give|provide|find|discuss|support|reveal|disclose|comply"
        r"|carry|look|access|make|advise|recommend|print|see)\b"
    ),
    (
        r"\b(don't|do not|doesn't|does not) (\w+ ){0,2}?"
        r"(have|know|hold|contain|say|mention|find|cover|list|give|state|include|answer|provide|tell)\b"
    ),
    r"\b(didn't|did not|could not|couldn't) find\b",
    r"\bno (information|details?|answer|data|mention|passage|document|such information|record)\b",
    (
        r"\bnot (sure|aware|known|stated|mentioned|listed|specified|given|covered in"
        r"|in (our|the|my) (documents?|information|data)|something (i|we)|available to me|allowed|permitted"
        r"|authori[sz]ed|possible for me)\b"
    ),
    r"\b(i|we) (can )?only (\w+ )?(help|answer|support|assist|deal)\b",
    r"\boutside (of )?(what|my|the scope|our)\b",
    r"\bout of scope\b",
    (
        r"\b(please )?(contact|ask|reach|write to|get in touch with) (our |the )?"
        r"(customer (service|support)|support|staff|team)\b"
    ),
    r"\bnicht (helfen|beantworten|bekannt|sagen)\b",
    r"\bkeine (informationen?|angaben?)\b",
    r"\bno (puedo|tengo|dispongo)\b",
)
# Of what is hostile or out of scope these are refusals too; of an absent fact they would be claims.
REFUSES_TO_ACT = (
    (
        r"\b(can(no|')t|can not|may not|must not|won't|will not) (be )?"
        r"(add|run|execute|drop|delete|confirm|book|write|change|adjust|grant|do|done|added|changed|adjusted"
        r"|executed|shown|given)\w*\b"
    ),
    r"\bonly (our |the )?staff\b",
    r"\b(denied|refused|declined?|not permitted|not possible|no permission|not entitled|for staff only)\b",
    r"\b(i'm|i am|we're|we are) (sorry|afraid)\b.*\b(not|can't|cannot|unable|only)\b",
)
ASKS_BACK = (
    r"\?",
    (
        r"\b(please|could you|can you|would you) (\w+ ){0,3}?"
        r"(tell|give|name|provide|send|share|let|state|enter|say|specify|include|add|write)\b"
    ),
    r"\bi('d| would)? need (your|the|an?|to know)\b",
    r"\bwhich (order|store|product|city|postcode|item|one)\b",
    r"\bwithout (an?|the|your) (order|postcode)\b",
    r"\b(order number|postcode|name of the (product|store)) (is )?(needed|required|missing)\b",
)
# An answer that is right by one of these words alone is not, if it also says that nothing was found.
WEAK = frozenset(
    {"no", "not", "cannot", "can't", "never", "unable", "don't", "doesn't", "isn't", "do not", "0", "won't"}
    | {"none"}
)
FOUND_NOTHING = (
    r"\bno (information|details?|data)\b",
    r"\b(don't|do not) (know|have (any |enough |that )?(information|details?|data|access))\b",
    r"\b(couldn't|could not|cannot|can't) (find|help|answer|tell)\b",
)

_SIGNS = str.maketrans({"\u2019": "'", "\u2018": "'", **dict.fromkeys("\u2010\u2011\u2013\u2014\u2212", "-")})
_EMPHASIS = re.compile(r"\*\*|__|`")


def fold(text: object) -> str:
    """NFKC, case, quotes, dashes and white space made alike; emphasis of Markdown dropped."""
    folded = unicodedata.normalize("NFKC", str(text)).casefold().translate(_SIGNS)
    return re.sub(r"\s+", " ", _EMPHASIS.sub("", folded))


def contains(text: str, wanted: str) -> bool:
    """
    Whether the folded text has the word or number as a whole.

    Args:
        wanted: `5` is not in 15, 5.50 or 1,500; `photo*` allows any ending.
    """
    return _pattern(wanted).search(text) is not None


def matches(text: str, patterns: Iterable[str]) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)


@lru_cache(maxsize=4096)
def _pattern(wanted: str) -> re.Pattern[str]:
    folded = fold(wanted)
    word = folded.rstrip("*")
    before = after = ""
    if word[:1].isalnum():
        before = r"(?<!\w)(?<!\d[.,:])(?<!\w-)" if word[0].isdigit() else r"(?<!\w)"
    if word[-1:].isalnum() and word == folded:
        after = r"(?!\w)"
    if word[-1:].isdigit():
        after = r"(?!\w)(?![.,:]\d)"
    return re.compile(before + re.escape(word) + after)
