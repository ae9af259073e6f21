"""Where in a text the classifier sees instructions: in windows, then in the sentences of the best ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from pytest_llmops.metrics.injection.views import View
from pytest_llmops.metrics.injection.windows import WINDOW, Span, cut_sentences, cut_windows

_REFINED = 12  # windows whose sentences are read, too
_SURELY_BENIGN = 0.001  # the rating of a window in which an attack all but never hides
_FEWEST_LETTERS = 8
_LATIN = re.compile("[A-Za-z]+")
_WORD = re.compile(r"[A-Za-z0-9%&=_\\]+")  # with the marks of encodings


class Found(NamedTuple):
    """
    A part of a text and how much it reads like an instruction to the model.

    Attributes:
        value: 0 to 1; from 0.5 it is one.
        start: In code points of the text; `end` is past the last.
        view: How it was read, as in `View`.
        rule: `classifier`, or the pattern that matched, such as `de: override`.
    """

    value: float
    start: int
    end: int
    view: str
    rule: str


def rate_parts(views: Sequence[View], rate: Callable[[str], float]) -> list[Found]:
    """
    The parts that are read of a text, with their ratings: all windows, then the sentences of the best ones.

    Of a long text, windows that are surely benign are not read by sentences.

    Args:
        views: Of the text; the plain one first.
        rate: Of a part by itself; equal parts are rated once.
    """
    once = cache(rate)
    windows = [(_rate(view, span, once), view, span) for view in views for span in _spans(view, views[0])]
    windows.sort(key=lambda each: -each[0].value)
    found = [each for each, _, _ in windows]
    for window, view, span in windows[:_REFINED]:
        if window.value >= _SURELY_BENIGN or len(view.reading.text) <= WINDOW:
            found += [_rate(view, part, once) for part in cut_sentences(view.reading.text, span)]
    return found


def _spans(view: View, plain: View) -> Iterator[Span]:
    """The windows with words; of a view other than the plain one those with other words than stand there."""
    text = view.reading.text
    for start, end in cut_windows(len(text)):
        if has_words(text[start:end]) and (view is plain or _says_more(view, (start, end), plain)):
            yield start, end


def _says_more(view: View, span: Span, plain: View) -> bool:
    """Whether a window reads otherwise than its source, for more than a dash or a sign."""
    start, end, touched = view.reading.place(*span)
    return touched and _WORD.findall(view.reading.text[slice(*span)]) != _WORD.findall(
        plain.reading.text[start:end]
    )


def _rate(view: View, span: Span, rate: Callable[[str], float]) -> Found:
    start, end, _ = view.reading.place(*span)
    return Found(rate(view.reading.text[slice(*span)].strip()), start, end, view.name, "classifier")


def has_words(text: str) -> bool:
    """Whether a text has two words with some Latin letters: the network reads no other script."""
    return len(text.split(maxsplit=2)) > 1 and sum(map(len, _LATIN.findall(text))) >= _FEWEST_LETTERS


def choose(found: Sequence[Found], at_least: float, most: int) -> list[Found]:
    """The highest parts that do not overlap, or the highest one where none reaches the bound."""
    chosen: list[Found] = []
    for each in sorted(found, key=lambda each: (-each.value, each.end - each.start)):
        if chosen and (each.value < at_least or len(chosen) == most):
            break
        if all(each.end <= other.start or other.end <= each.start for other in chosen):
            chosen.append(each)
    return chosen
