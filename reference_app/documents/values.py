"""Kinds of values: which a question asks for, and how each looks in a sentence."""

from __future__ import annotations

import re

_TIME = re.compile(
    r"\b(?:\d+(?:[.,]\d+)?|one|two|three|four|five|six|ten|twelve) (?:\w+ )?"
    r"(?:second|minute|hour|day|week|month|year)s?\b|"
    r"\b\d{1,2}[:.]\d\d\b|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b|"
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b",
    re.IGNORECASE,
)
_MONEY = re.compile(r"[£$€]\s?\d|\bfree\b|\bpercent\b|%", re.IGNORECASE)
_COUNT = re.compile(r"\d")
_KINDS = (
    (
        re.compile(
            r"\bhow (?:long|soon|fast|quick|late|often)\b|\bwhen\b|\bby when\b|\buntil when\b|"
            r"\bwhat (?:time|day|date)\b",
            re.IGNORECASE,
        ),
        _TIME,
    ),
    (
        re.compile(
            r"\bhow much\b|\bwhat\b.{0,20}\b(?:cost|price|charge|fee|postage)|"
            r"\b(?:costs?|prices?|charges?|fees?|postage|deducted|knock\w*|"
            r"discount|reduction|cheap\w*|deposit|set (?:me|us) back|pay)\b",
            re.IGNORECASE,
        ),
        _MONEY,
    ),
    (
        re.compile(
            r"\bhow (?:many|far|big|heavy|hot|warm|high|deep|wide)\b|"
            r"\bwhat (?:size|weight|temperature|number)\b",
            re.IGNORECASE,
        ),
        _COUNT,
    ),
)


def wanted_values(question: str) -> list[re.Pattern[str]]:
    """How the values look that a question asks for: a time, a sum, a figure; none for most questions."""
    return [value for asks, value in _KINDS if asks.search(question)]
