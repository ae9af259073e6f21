"""Pauses before an app is called again, by what its exception carries."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_llmops.runner.app.calls import _wait_s


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "600"}, 30.0),
        ({}, 2.0),
        (None, 2.0),
        ([("Retry-After", "1")], 2.0),
        ({"retry-after": ["1"]}, 2.0),
        ({"retry-after": "soon"}, 2.0),
    ],
)
def test_whatever_an_exception_carries_the_pause_is_a_number(headers, wait_s):
    error = RuntimeError("busy")
    error.response = SimpleNamespace(headers=headers)

    assert _wait_s(error, 2) == wait_s


def test_an_exception_without_a_response_has_the_usual_pause():
    assert _wait_s(RuntimeError("busy"), 1) == 1.0
