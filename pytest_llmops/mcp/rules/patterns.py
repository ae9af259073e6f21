"""Wording of tool poisoning and markup that a description has no need of; every stretch is bounded."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

from pytest_llmops.metrics.injection.views import read_views

ORDERS: Mapping[str, re.Pattern[str]] = {
    "hides something from the user": re.compile(
        r"\b(?:do not|don['\u2019]t|never|without|must not)\b.{0,30}"
        r"\b(?:tell|mention|inform|notify|reveal|show|alert)(?:ing|ning)?\b.{0,40}\b(?:user|customer|human|person|anyone|anybody|them)\b",
        re.IGNORECASE | re.DOTALL,
    ),
    "names files that hold secrets": re.compile(
        r"~/\.|\.ssh\b|\bid_(?:rsa|ed25519|ecdsa)\b|\.aws/|(?<![\w.])\.env\b|\bmcp\.json\b|/etc/(?:passwd|shadow)\b"
        r"|\.(?:netrc|npmrc|pgpass)\b",
        re.IGNORECASE,
    ),
    "steers the use of other tools": re.compile(
        r"\b(?:before|prior to|instead of|whenever)\b.{0,60}"
        r"\b(?:any|every|all|other|another)\b.{0,20}\btools?\b",
        re.IGNORECASE | re.DOTALL,
    ),
    "overrides instructions": re.compile(
        r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
        r"\b(?:instructions?|rules?|prompts?|policy|policies|guidelines|safeguards?)\b",
        re.IGNORECASE | re.DOTALL,
    ),
    "asks for the conversation": re.compile(
        r"\bsystem prompt\b|\b(?:entire|full|whole|previous) (?:conversation|chat)\b"
        r"|\b(?:conversation|chat) history\b",
        re.IGNORECASE,
    ),
}
"""A reason for each pattern."""

_MARKUP = re.compile(
    r"<!--|</[A-Za-z][\w:-]{0,40}\s*>|<\|[^|\n]{0,40}\|>|\[/?INST\]|<</?SYS>>"
    r"|<(?:important|system|instructions?|secret|hidden|assistant|critical|override)\b[^<>]{0,200}>"
    r"|<(?:script|img|iframe|style|svg|link|meta|form|object|embed|a|base|video|audio)\b[^<>]{0,200}>"
    r"|!\[[^\]\n]{0,200}\]\(|\[[^\]\n]{1,200}\]\(\s*\w{2,20}:|\b(?:javascript|vbscript)\s*:\S|\bdata:\w+/",
    re.IGNORECASE,
)
_MIXED = re.compile(r"[A-Za-z][\u0370-\u03ff\u0400-\u052f]|[\u0370-\u03ff\u0400-\u052f][A-Za-z]")
# Drawn as nothing, though they are letters, marks or symbols.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800\u180b\u180c\u180d\u180f")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_EMOJI = re.compile(r"(?<=[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff])\ufe0f(?![\ufe00-\ufe0f])")
_SHOWN = 160
_KINDS = 5


def find_orders(text: str) -> Iterator[tuple[str, str]]:
    """The reason and the words of each order, in the text as written and decoded; each reason once."""
    seen: set[str] = set()
    for view in read_views(text):
        for reason, pattern in ORDERS.items():
            if reason not in seen and (match := pattern.search(view.reading.text)):
                seen.add(reason)
                yield reason, match[0][:_SHOWN]


def find_markup(text: str) -> str | None:
    """The first tag, comment, link or mark of a chat template, in the text as written and decoded."""
    found = (_MARKUP.search(view.reading.text) for view in read_views(text))
    return next((match[0][:_SHOWN] for match in found if match), None)


def find_hidden(text: str) -> str | None:
    """Which characters nobody sees, or which act on a terminal; and letters of two alphabets in one word."""
    counts: dict[str, int] = {}
    for character in _EMOJI.sub("", text):
        if _is_hidden(character):
            counts[character] = counts.get(character, 0) + 1
    shown = [f"{_name(each)} ({count:,})" for each, count in list(counts.items())[:_KINDS]]
    if match := _MIXED.search(text):
        shown.append(f"letters of two alphabets in one word, {_name(match[0][0])} and {_name(match[0][1])}")
    return ", ".join(shown) or None


def _is_hidden(character: str) -> bool:
    if character in "\r\n\t":
        return False
    point = ord(character)
    selects = 0xFE00 <= point <= 0xFE0F or 0xE0100 <= point <= 0xE01EF  # noqa: PLR2004 - variation selectors
    return selects or character in _BLANK or unicodedata.category(character) in _UNSEEN


def _name(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '') or 'control'}"
