"""Facts that are read from a reply, whatever its form."""

from __future__ import annotations

import json

from pytest_llmops.recorder.reply import whole_reply


def test_indices_of_any_kind_are_read():
    """A provider may send any JSON value as an index."""
    events = [{"type": {"a": 1}, "index": [0], "delta": {"text": piece}} for piece in ("one ", "text")]
    stream = "\n".join(f"data: {json.dumps(event)}" for event in events)

    assert whole_reply(stream)[0] == "one text"
