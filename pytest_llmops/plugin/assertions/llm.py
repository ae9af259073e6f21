"""The fixture `llm`: calls the app under test from an ordinary test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import AppError
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.plugin.assertions.measured import NotScoredError
from pytest_llmops.plugin.session import session_of
from pytest_llmops.protocols import App
from pytest_llmops.records import Failure, Output, Sample, Span
from pytest_llmops.runner.app.calls import AppCaller
from pytest_llmops.runner.app.importing import resolve_app
from pytest_llmops.runner.app.printed import route_through
from pytest_llmops.runner.readiness import import_libraries

_STASH = pytest.StashKey["Llm"]()


@dataclass(slots=True, eq=False)
class Llm:
    """
    Calls the app under test, from a test.

    Attributes:
        samples: Inputs and outputs so far, for the test's markers.
        spans: Every span that the answers left.
    """

    session: Evaluation
    caller: AppCaller
    node_id: str
    samples: list[Sample] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    @classmethod
    def of(cls, node: pytest.Item, app: App | None) -> Llm:
        """
        The one of a test; its markers find it afterwards.

        Raises:
            AppError: No app is named, or it cannot be imported.
        """
        session = session_of(node.config)
        settings = session.settings
        if app is None:
            if settings.app is None:
                raise AppError(
                    "the fixture llm has no app to ask: define a fixture llm_app in conftest.py that returns "
                    'a callable, or set app = "module:attribute" in [tool.pytest-llmops], or pass --llm-app'
                )
            app = resolve_app(settings.app, settings.root)
        caller = session.caller(app)
        import_libraries()
        llm = cls(session=session, caller=caller, node_id=node.nodeid)
        node.stash[_STASH] = llm
        return llm

    @staticmethod
    def samples_of(node: pytest.Item) -> Sequence[Sample]:
        """The inputs and outputs of a test, in order."""
        llm = node.stash.get(_STASH, None)
        return () if llm is None else tuple(llm.samples)

    def __repr__(self) -> str:
        return f"<llm asked {len(self.samples)} times>"

    def __call__(
        self, question: Any, *, reference: str | None = None, relevant: Iterable[str] = ()
    ) -> Output:
        """
        The app's answer. Called again with an equal question, it answers anew: a further repeat.

        Raises:
            NotScoredError: The app raised, hung, or returned something that is no answer.
        """
        written = json.dumps(question, sort_keys=True, default=str)
        repeat = sum(json.dumps(each.input, sort_keys=True, default=str) == written for each in self.samples)
        __tracebackhide__ = True  # what is wrong is the question or the app, not this file
        with route_through():
            output, spans = self.session.run_coroutine(self.caller.call(self.node_id, repeat, question))
        self.spans.extend(spans)
        if isinstance(output, Failure):
            raise NotScoredError(mask(output.error))
        self.samples.append(
            Sample(
                output=output,
                input=question,
                reference=reference,
                relevant=tuple(relevant),
                spans=spans,
                case=self.node_id,
            )
        )
        return output
