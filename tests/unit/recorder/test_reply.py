"""What a reply says beside its answer."""

from __future__ import annotations

import pytest

from pytest_llmops.recorder.reply import retry_after_s


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("2", 2.0), ("0.5", 0.5), ("0", 0.0), ("-3", 0.0), ("nan", None), ("inf", None), ("soon", None),
     ("", None), (None, None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after(written, seconds):
    assert retry_after_s(written) == seconds
