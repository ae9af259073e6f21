"""Answers of which the app itself says that they fall short."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("warm")

APP = """
def answer(question):
    if question == "a":
        return {"text": "Boots: 60 days.", "degraded": "quoted"}
    return {"text": "You have 60 days.", **({"degraded": 7} if question == "broken" else {})}
"""
GOLDEN = """
version: 1
app: app:answer
suite: {degraded: {mean: "<= 0.4"}}
cases:
  - {id: one, input: a, checks: {keywords: {all: ["60"]}}}
  - {id: two, input: %s, checks: {keywords: {all: ["60"]}}}
"""


def test_a_suite_bounds_the_share_of_degraded_answers(pytester):
    pytester.makepyfile(app=APP)
    pytester.makefile(".yaml", **{"golden/shop": GOLDEN % "b"})

    result = pytester.runpytest_subprocess("--llm-golden")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*degraded mean <= 0.4: 0.5*"])


def test_a_mark_that_is_no_text_is_an_error_of_the_case(pytester):
    pytester.makepyfile(app=APP)
    pytester.makefile(".yaml", **{"golden/shop": GOLDEN % "broken"})

    result = pytester.runpytest_subprocess("--llm-golden")

    result.stdout.fnmatch_lines(["*'degraded' is *int, not a string*"])
