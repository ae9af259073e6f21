"""Headers by which providers name their limits."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.recorder.limits.quota import Quota, is_refusal, pause_of, quota_of, read_pause_s

NEVER = (None, "", "soon", "nan", "inf", "-inf", "1e999", "NaN s", "²", "Wed, 99 Xyz 2015", "0x10", "1h2")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("2", 2.0), ("0.5", 0.5), (" 7 ", 7.0), ("0", 0.0), ("-3", 0.0), ("1s", 1.0), ("6m0s", 360.0),
     ("200ms", 0.2), ("1h2m3s", 3723.0), ("1.5s", 1.5), ("86400", 86400.0),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("2015-10-21T07:28:00Z", 0.0)],
)  # fmt: skip
def test_a_pause_in_any_notation(written, seconds):
    assert read_pause_s(written) == seconds


@pytest.mark.parametrize("written", NEVER)
def test_what_is_no_time_is_none(written):
    assert read_pause_s(written) is None


def test_points_in_time():
    when = datetime.now(UTC) + timedelta(seconds=60)
    for written in (format_datetime(when, usegmt=True), when.isoformat(), f"{time.time() + 60:.0f}"):
        seconds = read_pause_s(written)
        assert seconds is not None
        assert 50 <= seconds <= 61


@given(st.text(max_size=40))
def test_no_text_breaks_it(written):
    seconds = read_pause_s(written)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))
    headers = {"x-ratelimit-remaining-requests": written, "x-ratelimit-reset-requests": written}
    quota = quota_of(headers)
    assert quota is None or (quota.calls >= 0 and 0 <= quota.reset_s < math.inf)


@pytest.mark.parametrize(
    ("status", "headers", "is_one"),
    [(429, {}, True), (503, {}, False), (503, {"retry-after": "1"}, True), (529, {"retry-after": "1"}, True),
     (503, {"retry-after": "soon"}, False), (500, {"retry-after": "1"}, False), (200, {}, False)],
)  # fmt: skip
def test_refusals(status, headers, is_one):
    assert is_refusal(status, headers) is is_one


def test_milliseconds_weigh_more_than_seconds():
    assert pause_of({"retry-after-ms": "250", "retry-after": "1"}) == 0.25
    assert pause_of({"retry-after-ms": "nan", "retry-after": "1"}) == 1.0


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        ({}, None),
        ({"x-ratelimit-remaining-requests": "3"}, None),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-remaining-requests": "nan", "x-ratelimit-reset-requests": "1s"}, None),
        ({"x-ratelimit-remaining-requests": "-3", "x-ratelimit-reset-requests": "1s"},
         Quota(calls=0, reset_s=1)),
        ({"x-ratelimit-remaining-tokens": "99", "x-ratelimit-reset-tokens": "250ms"},
         Quota(tokens=99, reset_s=0.25)),
        ({"anthropic-ratelimit-requests-remaining": "2", "anthropic-ratelimit-requests-reset": "4"},
         Quota(calls=2, reset_s=4)),
    ],
)  # fmt: skip
def test_what_is_left(headers, quota):
    assert quota_of(headers) == quota
