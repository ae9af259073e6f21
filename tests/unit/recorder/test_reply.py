"""Facts that are read from a reply, whatever its form."""

from __future__ import annotations

import json

import pytest

from pytest_llmops.recorder.reply import retry_after_s, whole_reply


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("2", 2.0), ("0.5", 0.5), ("0", 0.0), ("-3", 0.0), ("nan", None), ("inf", None), ("soon", None),
     ("", None), (None, None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after(written, seconds):
    assert retry_after_s(written) == seconds


def test_indices_of_any_kind_are_read():
    """A provider may send any JSON value as an index."""
    events = [{"type": {"a": 1}, "index": [0], "delta": {"text": piece}} for piece in ("one ", "text")]
    stream = "\n".join(f"data: {json.dumps(event)}" for event in events)

    assert whole_reply(stream)[0] == "one text"
