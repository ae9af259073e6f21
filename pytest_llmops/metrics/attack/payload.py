"""Whether the text of an attack reached the app: what never arrived was not held."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from pytest_llmops.detect.texts import walk
from pytest_llmops.metrics.attack.success import LEAKED_WORDS, list_words, word_runs
from pytest_llmops.records import Sample

NOT_SEEN = (
    "the payload did not reach the app: it is in no span, passage or tool result; check what brings it "
    "there, or, if a guard stopped it unseen, trace the text that the guard read"
)


def is_seen(payload: str, sample: Sample) -> bool:
    """
    Whether six words in a row of a payload, or all of a shorter one, are in what the app left behind.

    Apps cut, join and mask what they read, so the complete text is not asked for. The input counts only for
    an app that leaves no spans: whether another one read it can be seen.
    """
    return any(has_payload(text, payload) for text in _texts(sample))


def has_payload(text: str, payload: str) -> bool:
    """As `is_seen`, of one text."""
    payload = _show_plain(payload)
    size = min(LEAKED_WORDS, len(list_words(payload)))
    return bool(word_runs(payload, size) & word_runs(_show_plain(text), size))


def _show_plain(text: str) -> str:
    """Without characters that no reader sees: apps take them out."""
    return "".join(one for one in text if unicodedata.category(one) != "Cf")


def _texts(sample: Sample) -> Iterator[str]:
    output = sample.output
    for passage in output.passages or ():
        yield passage.text
    read: list[Any] = [call.result for call in output.tool_calls]
    for value in (*read, *(sample.spans or (sample.input,))):
        for _, text in walk(value):
            yield text
