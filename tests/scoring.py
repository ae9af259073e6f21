"""Scores of single answers, by the function that is for everybody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from pytest_llmops import Output, Passage, Score, ToolCall, score
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.records import Failure


def score_one(metric: str, output: Output | str, options: dict[str, Any], **row: Any) -> Score | Failure:
    (result,) = score(metric, [{"output": output, **row}], options=options)
    return result


def rate(  # noqa: PLR0913 - what an answer comes with
    metric: str,
    text: str,
    *,
    passages: Sequence[str] | None,
    reference: str | None = None,
    calls: Iterable[ToolCall] = (),
    question: str = "",
    **options: Any,
) -> Score | Failure:
    """The result of an answer with passages of the ids p0, p1 …, or without any."""
    found = (
        None
        if passages is None
        else tuple(Passage(id=f"p{at}", text=each) for at, each in enumerate(passages))
    )
    output = Output(text=text, passages=found, tool_calls=tuple(calls))
    return score_one(metric, output, options, reference=reference, input=question)


def refuse(metric: str, message: str, **options: Any) -> None:
    """Options that no metric of that name has, told with this in the message."""
    with pytest.raises(MetricOptionError, match=re.escape(message)):
        score(metric, [{"output": "", "reference": ""}], options=options)
