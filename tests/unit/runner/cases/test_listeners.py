"""What follows a run is anybody's code: one that breaks is one message."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_llmops import Case, Output
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.runner.app.calls import Called
from pytest_llmops.runner.cases.listeners import report_outputs
from pytest_llmops.runner.cases.tasks import Task


def take(_: object) -> None:
    raise RuntimeError("no disk")


def test_a_listener_that_breaks_is_one_message():
    task = Task(id="golden/a.yaml::a", case=Case(id="a", input="q"), repeats=1, metrics=())

    with pytest.raises(LLMOpsError, match="the listener SimpleNamespace broke: RuntimeError: no disk"):
        report_outputs([SimpleNamespace(take=take)], task, [Called(Output(text="x"))], [])
