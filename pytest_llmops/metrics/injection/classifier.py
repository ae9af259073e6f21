"""
Parts of a text rated by the packaged network and the project's head on it, whose weights are in `head.json`.

A long text is read in windows, then the sentences of the best windows. The head is a logistic regression
trained by `make injection`; its labels are described in `docs/injection.md`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_llmops.metrics.injection.views import View
from pytest_llmops.metrics.packaged import load_once, squash

if TYPE_CHECKING:
    from pytest_llmops.models.injection_classifier import Reply

FILE = "head.json"
LOGITS = 0.1  # by which the network's logits are scaled, so that they weigh like its 384 numbers
WIDTH = 386
_MAIN = 3.0  # the network's own logit is about three times as steep as the head's
_STEEP = 2.0  # brings clear cases near 0 and 1
WINDOW = 700  # characters
STEP = 500
_SHORTEST = 12  # characters of a sentence; a shorter one belongs to the next
_STOP = re.compile(r"""[.!?]["')\]]{0,2}\s+|[\u3002\uff01\uff1f]|\n+""")
_REFINED = 12  # windows whose sentences are read, too
_SURELY_BENIGN = 0.001  # the rating of a window in which an attack all but never hides
_FEWEST_LETTERS = 8
_LATIN = re.compile("[A-Za-z]+")
_WORD = re.compile(r"[A-Za-z0-9%&=_\\]+")  # with the marks of encodings

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """
    The head's weights.

    Attributes:
        weights: Of the two logits and the 384 pooled numbers.
        cut: The rating that becomes 0.5.
        identity: Digest of the file.
    """

    weights: tuple[float, ...]
    intercept: float
    cut: float
    identity: str

    def rate(self, reply: Reply) -> float:
        """Return the score, 0 to 1: the network and the head count half each."""
        own = self.intercept + sum(map(float.__mul__, self.weights, features(reply)))
        return squash(_STEEP * ((reply.main / _MAIN + own) / 2 - self.cut))


def _read(written: Mapping[str, Any], identity: str) -> Head:
    return Head(
        weights=tuple(float(written["weights"][at]) for at in range(WIDTH)),
        intercept=float(written["intercept"]),
        cut=float(written["cut"]),
        identity=identity,
    )


load_head = load_once("injection", FILE, "the injection metric", _read)


def features(reply: Reply) -> tuple[float, ...]:
    """Return the head's inputs."""
    return (LOGITS * reply.main, LOGITS * reply.aux, *reply.pooled.tolist())


class Found(NamedTuple):
    """
    A part of a text and its likeness to an instruction to the model.

    Attributes:
        value: 0 to 1; from 0.5 it counts as an instruction.
        start: In code points of the text; `end` is past the last.
        view: Name of the reading, as in `View`.
        rule: `classifier`, or the pattern that matched, such as `de: override`.
    """

    value: float
    start: int
    end: int
    view: str
    rule: str


def rate_parts(views: Sequence[View], rate: Callable[[str], float]) -> list[Found]:
    """
    Rate the parts that are read of a text: all windows, then the sentences of the best ones.

    In a long text, windows that are surely benign are not read by sentences.

    Args:
        views: Of the text; the plain one first.
        rate: Of one part; equal parts are rated once.
    """
    once = cache(rate)
    windows = [(_rate(view, span, once), view, span) for view in views for span in _spans(view, views[0])]
    windows.sort(key=lambda window: -window[0].value)
    parts = [part for part, _, _ in windows]
    for part, view, window in windows[:_REFINED]:
        if part.value >= _SURELY_BENIGN or len(view.reading.text) <= WINDOW:
            parts += [_rate(view, span, once) for span in _cut_sentences(view.reading.text, window)]
    return parts


def cut_windows(length: int) -> Iterator[Span]:
    """Yield start and end of the overlapping windows of a text."""
    for start in range(0, max(length - (WINDOW - STEP), 1), STEP):
        yield start, min(start + WINDOW, length)


def _cut_sentences(text: str, window: Span) -> list[Span]:
    """Return the sentences and pairs of neighbours in a window, except for the window itself."""
    begin, end = window
    sentences: list[Span] = []
    for stop in (*(match.end() for match in _STOP.finditer(text, begin, end)), end):
        if stop - begin >= _SHORTEST:
            sentences.append((begin, stop))
            begin = stop
    if begin < end and sentences:
        sentences[-1] = (sentences[-1][0], end)
    pairs = [(first, last) for (first, _), (_, last) in pairwise(sentences)]
    return [span for span in (*sentences, *pairs) if span != window]


def _spans(view: View, plain: View) -> Iterator[Span]:
    """Yield the windows with words; of another view than the plain one those with other words than there."""
    for span in cut_windows(len(view.reading.text)):
        text = view.reading.text[slice(*span)]
        start, end, touched = view.reading.place(*span)
        differs = touched and _WORD.findall(text) != _WORD.findall(plain.reading.text[start:end])
        if has_words(text) and (view is plain or differs):
            yield span


def _rate(view: View, span: Span, rate: Callable[[str], float]) -> Found:
    start, end, _ = view.reading.place(*span)
    return Found(rate(view.reading.text[slice(*span)].strip()), start, end, view.name, "classifier")


def has_words(text: str) -> bool:
    """Return whether a text has two words with some Latin letters: the network reads no other script."""
    return len(text.split(maxsplit=2)) > 1 and sum(map(len, _LATIN.findall(text))) >= _FEWEST_LETTERS


def choose(parts: Sequence[Found], at_least: float, most: int) -> list[Found]:
    """Return the highest parts that do not overlap, or the highest one if none reaches the bound."""
    chosen: list[Found] = []
    for part in sorted(parts, key=lambda part: (-part.value, part.end - part.start)):
        if chosen and (part.value < at_least or len(chosen) == most):
            break
        if all(part.end <= other.start or other.end <= part.start for other in chosen):
            chosen.append(part)
    return chosen
