"""
What an answer rests on: its words stand in the sentences that it was made from, and its values are theirs.

A figure, a name and a "not" are compared by value: a model that rephrases may write 21 for 14 days, or leave
out the "never" of the sentence it copies and say the opposite in the same words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reference_app.documents.lexicon import stems

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_WORDS = 0.8  # share of an answer's words that the sentences must hold
MIN_REPEATED = 0.6
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][\w-]+")
_DENIES = re.compile(r"\b(?:not|never|no|none|cannot|nor|without|only)\b|n['\u2019]t\b", re.IGNORECASE)


def supports(sentences: Sequence[str], answer: str) -> bool:
    """Whether an answer says nothing that the sentences do not say."""
    text = " ".join(sentences)
    said = stems(answer)
    return (
        bool(said)
        and len(said & stems(text)) >= MIN_WORDS * len(said)
        and numbers(answer) <= numbers(text)
        and {name.lower() for name in _NAME.findall(answer)} <= set(re.findall(r"[\w-]+", text.lower()))
        and _denies_alike(sentences, answer)
    )


def repeats(sentence: str, answer: str) -> bool:
    """Whether an answer has every figure of a sentence, and most of its words."""
    said = stems(sentence)
    return numbers(sentence) <= numbers(answer) and len(said & stems(answer)) >= MIN_REPEATED * len(said)


def numbers(text: str) -> set[str]:
    """Figures as they are written, a comma between thousands left out."""
    return {re.sub(r",(?=\d{3}\b)", "", found).rstrip(".,:") for found in _NUMBER.findall(text)}


def _denies_alike(sentences: Sequence[str], answer: str) -> bool:
    said = stems(answer)
    nearest = max(sentences, key=lambda sentence: len(said & stems(sentence)))
    return _denials(answer) in (_denials(nearest), _denials(" ".join(sentences)))


def _denials(text: str) -> list[str]:
    return sorted(found.lower() for found in _DENIES.findall(text))
