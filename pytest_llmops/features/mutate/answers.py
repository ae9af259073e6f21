"""Answers made wrong on purpose, to be scored in the place of an app's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_llmops.features.mutate.dates import change_date
from pytest_llmops.features.mutate.languages import is_foreign, read_language
from pytest_llmops.features.mutate.lies import append_lie
from pytest_llmops.features.mutate.names import change_name
from pytest_llmops.features.mutate.numbers import change_number
from pytest_llmops.features.mutate.readings import (
    READ_AT_MOST,
    Edit,
    Reading,
    begins_with_verdict,
    drop_verdict,
    holds,
    order,
    read_answer,
)
from pytest_llmops.features.mutate.units import change_unit
from pytest_llmops.features.mutate.wording import change_actor, change_condition, is_refusal, turn_polarity
from pytest_llmops.metrics.words import FUNCTION_WORDS
from pytest_llmops.text.characters import fold
from pytest_llmops.text.words import split_words

KINDS: Mapping[str, str] = {
    "number": "a number becomes another plausible one",
    "date": "a date, a year, a weekday or a time of day becomes another",
    "unit": "a unit becomes another: days to weeks, £ to €, a day to a week",
    "name": "a name becomes another of the same sort, from the passages or other answers",
    "negation": "a negation is added or removed: can to cannot, never to always, yes to no",
    "actor": "another does it: you for we, the seller for the buyer",
    "condition": "a condition is turned, dropped or widened: if to unless, before to after, some to all",
    "appended_lie": "a false sentence is appended",
    "first_sentence": "only the first sentence, if the reference's answer is not in it",
    "another_answer": "the most similar answer of another case",
    "passages_verbatim": "the passages instead of an answer, if the reference's answer is not in them",
    "apology": "an apology instead of an answer",
}
"""Kinds of changes, with what each does."""
FALSE_KINDS = frozenset({"number", "date", "unit", "name", "negation", "actor", "condition", "appended_lie"})
"""Kinds that make a fluent false answer."""

_ALIKE = 0.9  # share of words from which on two answers are the same one
_OTHERS_AT_MOST = 2_000
_PASSAGES_AT_MOST = 20_000  # characters


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    An answer changed on purpose.

    Attributes:
        kind: Of `KINDS`.
        text: The whole answer as changed.
        change: What was changed, in short: `60 → 90`.
    """

    kind: str
    text: str
    change: str


def answer_mutants(  # noqa: PLR0913 - all that is known of a case, by name
    answer: str,
    *,
    question: str,
    reference: str | None,
    passages: Sequence[str],
    others: Sequence[str],
    seed: str,
) -> list[Mutant]:
    """
    Return an answer's mutants, at most one a kind, in the order of `KINDS`.

    A kind is left out where the answer has nothing that it could change, or where the result might be right.

    Args:
        reference: What the case expects; what it and the answer share is changed first.
        passages: What the answer was made from; what they say is not put into a mutant as false.
        others: Answers of other cases, for `another_answer` and for names.
        seed: Decides between changes that are as good; one seed always makes the same mutants.
    """
    reading = read_answer(
        answer, question=question, reference=reference, passages=passages, others=others, seed=seed
    )
    mutants = []
    for kind, make in _MAKERS.items():
        mutant = make(reading, kind)
        if mutant is not None and mutant.text.strip() and fold(mutant.text) != fold(answer):
            mutants.append(mutant)
    return mutants


def _made(reading: Reading, kind: str, *edits: Edit | None) -> Mutant | None:
    """Return the mutant of some edits; none of no edit."""
    known = sorted((edit for edit in edits if edit), key=lambda edit: -edit.start)
    if not known:
        return None
    text = reading.text
    for edit in known:
        text = edit.apply(text)
    return Mutant(kind, text, "; ".join(dict.fromkeys(edit.change for edit in reversed(known))))


def _by(change: Callable[[Reading], Sequence[Edit] | Edit | None]) -> Callable[[Reading, str], Mutant | None]:
    def make(reading: Reading, kind: str) -> Mutant | None:
        edits = change(reading)
        return _made(reading, kind, *([edits] if isinstance(edits, Edit) else edits or ()))

    return make


def _with_name(reading: Reading, kind: str) -> Mutant | None:
    """Return the answer with a name changed at each of its places."""
    edit = change_name(reading)
    if edit is None:
        return None
    name = reading.text[edit.start : edit.end]
    whole = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    start = reading.text[:READ_AT_MOST]
    edits = [
        Edit(start=match.start(), end=match.end(), new=edit.new, change=edit.change)
        for match in whole.finditer(start)
        if reading.prose[match.start() : match.end()] == name
    ]
    mutant = _made(reading, kind, *edits)
    return Mutant(kind, mutant.text, edit.change) if mutant else None


def _with_lie(reading: Reading, kind: str) -> Mutant | None:
    def turn(alone: Reading) -> str | None:
        makers = (_MAKERS["number"], _MAKERS["condition"], _MAKERS["negation"])
        return next((mutant.text for make in makers if (mutant := make(alone, kind))), None)

    return _made(reading, kind, append_lie(reading, turn))


def _first_sentence(reading: Reading, kind: str) -> Mutant | None:
    if len(reading.in_order) <= 1:
        return None
    first = reading.in_order[0]
    text = reading.text[: first.end].strip()
    if _says(text, reading):
        return None
    return Mutant(kind, text, f"{len(reading.in_order)} sentences \u2192 1")


def _another_answer(reading: Reading, kind: str) -> Mutant | None:
    """Return the other answer that shares the most words, of those that do not say the same."""
    own = _words(reading.text)
    refuses = _refuses(reading)
    best: tuple[float, str] | None = None
    for other in order(reading.others[:_OTHERS_AT_MOST], reading.seed, "other"):
        words = _words(other)
        if not words or not own:
            continue
        share = len(words & own) / len(words | own)
        if share >= _ALIKE or (refuses and is_refusal(other, reading.language)):
            continue
        if best is not None and share <= best[0]:
            continue
        if _says(other, reading) or holds(reading.text, other):
            continue
        best = (share, other)
    return Mutant(kind, best[1], "the answer of another case") if best else None


def _passages(reading: Reading, kind: str) -> Mutant | None:
    text = "\n\n".join(passage.strip() for passage in reading.passages if passage.strip())[:_PASSAGES_AT_MOST]
    if not text or _says(text, reading):
        return None
    return Mutant(kind, text, f"{len(reading.passages)} passages instead of an answer")


def _apology(reading: Reading, kind: str) -> Mutant | None:
    language = reading.language or (None if is_foreign(reading.prose) else read_language("en"))
    if language is None or _refuses(reading) or not reading.text.strip():
        return None
    return Mutant(kind, language.apology, "an apology")


def _refuses(reading: Reading) -> bool:
    """Return whether the answer, or what is expected, is itself that there is none."""
    return any(is_refusal(text, reading.language) for text in (reading.text, reading.reference or ""))


def _says(text: str, reading: Reading) -> bool:
    """Return whether a text says what is expected; without a reference, what the answer says."""
    content = reading.reference or reading.text
    return holds(
        text, content if reading.reference and begins_with_verdict(reading.text) else drop_verdict(content)
    )


@lru_cache(maxsize=4_096)
def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in split_words(text[:READ_AT_MOST]) if word not in FUNCTION_WORDS)


_MAKERS: Mapping[str, Callable[[Reading, str], Mutant | None]] = {
    "number": _by(change_number),
    "date": _by(change_date),
    "unit": _by(change_unit),
    "name": _with_name,
    "negation": _by(turn_polarity),
    "actor": _by(change_actor),
    "condition": _by(change_condition),
    "appended_lie": _with_lie,
    "first_sentence": _first_sentence,
    "another_answer": _another_answer,
    "passages_verbatim": _passages,
    "apology": _apology,
}
