"""Whether an answer speaks in the shop's voice."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# A rule a line: what a professional answer of the shop never has.
RULES = {
    "exclamation mark": re.compile(r"!"),
    "contraction": re.compile(
        r"\b\w+['\u2019](?:ll|re|ve|m|d|s (?:got|gonna|like))\b|n['\u2019]t\b|'em\b|\b[Ii]t['\u2019]s\b|"
        r"\b\w+in['\u2019](?!\w)"
    ),
    "slang": re.compile(
        r"\b(?:yo|yeah|yep|yup|nah|nope|lol|haha|hey|dude|mate|buddy|pal|kiddo|gonna|gotta|wanna|gimme|dunno|"
        r"kinda|ya|cuz|tbh|btw|omg|ugh|yikes|oops|woohoo|yay|boom|duh|quid|bucks|cool|awesome|sweet|"
        r"no worries|no biggie|easy peasy|or whatever|bummer)\b",
        re.IGNORECASE,
    ),
    "start": re.compile(r"\A\s*(?![A-Z0-9£\"\u201c])"),
    "end": re.compile(r"(?<![.?\])\"])\s*\Z"),
    "chatter": re.compile(r"\b(?:I'm|I am|I think|I guess|I'd|I've|as an AI|let me|let's)\b", re.IGNORECASE),
    "tail question": re.compile(r", (?:right|ok|okay|k|yeah|huh|eh|cool)\?", re.IGNORECASE),
}
# Between the lowest preferred answer of the training pairs and the highest casual one that no rule catches.
MIN_LEAN = -1.2
MIN_COUNT = 3  # answers that hold a word; a rarer one says nothing
_CITATION = re.compile(r"\[[\w#-]+\]")
_WORD = re.compile(r"[a-z]+(?:['\u2019][a-z]+)?|[!?]")


def find_breaches(text: str) -> list[str]:
    """The rules that an answer breaks."""
    spoken = text.strip()
    return [name for name, pattern in RULES.items() if pattern.search(spoken)]


class Tone:
    """
    Naive Bayes over the words of preferred and rejected answers, beside the rules.

    A word of neither side says nothing, so an answer of unknown words is judged by the rules alone.
    """

    def __init__(self, preferred: Iterable[str], rejected: Iterable[str]) -> None:
        good, bad = ([set(_words(text)) for text in texts] for texts in (preferred, rejected))
        held = [Counter(word for words in side for word in words) for side in (good, bad)]
        self._weights = {
            word: math.log((held[0][word] + 0.5) / (len(good) + 1))
            - math.log((held[1][word] + 0.5) / (len(bad) + 1))
            for word, count in (held[0] + held[1]).items()
            if count >= MIN_COUNT
        }

    def lean(self, text: str) -> float:
        """Above 0 towards the preferred side."""
        return sum(self._weights.get(word, 0.0) for word in sorted(set(_words(text))))

    def is_professional(self, text: str) -> bool:
        """No rule is broken and the words do not lean clearly to the rejected side."""
        return not find_breaches(text) and self.lean(text) >= MIN_LEAN


def _words(text: str) -> list[str]:
    return _WORD.findall(_CITATION.sub("", text).lower())
