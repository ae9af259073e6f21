"""LLM assertions in ordinary tests: ask the app, measure an answer, and explain a number that is too low."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_llmops.errors import AppError, LLMOpsError
from pytest_llmops.plugin.session import Session
from pytest_llmops.printable import printable
from pytest_llmops.protocols import App
from pytest_llmops.records import Failure, Output, Passage, Sample, Span
from pytest_llmops.registry import create_metric
from pytest_llmops.runner.app import resolve_app
from pytest_llmops.runner.asking import Asker
from pytest_llmops.runner.golden_run import hide
from pytest_llmops.runner.scoring import score_here, score_safely

_STASH = pytest.StashKey["Llm"]()


class NotScoredError(LLMOpsError):
    """A metric or the app broke, so there is no number to compare."""


class Measured(float):
    """A score: a plain number to compare, with what it rests on for the report of a failed assert."""

    metric: str
    reason: str
    answer: str
    reference: str | None

    def explain(self, comparison: str, other: object) -> list[str]:
        """The lines that pytest shows when `self comparison other` does not hold."""
        lines = [f"{self.metric} {float(self):.4g} {comparison} {other}"]
        lines += [f"  {printable(self.reason, 300)}"] if self.reason else []
        lines += [f"  answer:    {printable(self.answer, 500)}"] if self.answer else []
        lines += [f"  reference: {printable(self.reference, 500)}"] if self.reference is not None else []
        return lines


@dataclass(slots=True, eq=False)
class Llm:
    """
    Asks the app under test, from a test.

    Attributes:
        samples: What was asked and answered so far, for the test's markers.
        spans: Every span that the answers left.
    """

    session: Session
    asker: Asker
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
        session = Session.of(node.config)
        settings = session.settings
        if app is None:
            if settings.app is None:
                raise AppError(
                    "the fixture llm has no app to ask: define a fixture llm_app in conftest.py that returns "
                    'a callable, or set app = "module:attribute" in [tool.pytest-llmops], or pass --llm-app'
                )
            app = resolve_app(settings.app, settings.root)
        asker = session.asker(app)
        llm = cls(session=session, asker=asker, node_id=node.nodeid)
        node.stash[_STASH] = llm
        return llm

    @staticmethod
    def asked_in(node: pytest.Item) -> Sequence[Sample]:
        """The questions and answers of a test, in order."""
        llm = node.stash.get(_STASH, None)
        return () if llm is None else tuple(llm.samples)

    def __repr__(self) -> str:
        return f"<llm asked {len(self.samples)} times>"

    def __call__(
        self, question: Any, *, reference: str | None = None, relevant: Iterable[str] = ()
    ) -> Output:
        """
        The app's answer. Asked again with an equal question, it answers anew: a further repeat.

        Raises:
            NotScoredError: The app raised, hung, or returned something that is no answer.
        """
        written = json.dumps(question, sort_keys=True, default=str)
        repeat = sum(json.dumps(each.input, sort_keys=True, default=str) == written for each in self.samples)
        __tracebackhide__ = True  # what is wrong is the question or the app, not this file
        output, spans = self.session.run(self.asker.ask(self.node_id, repeat, question))
        self.spans.extend(spans)
        if isinstance(output, Failure):
            raise NotScoredError(hide(output.error))
        self.samples.append(
            Sample(output=output, input=question, reference=reference, relevant=tuple(relevant), spans=spans)
        )
        return output


def lexical(answer: Output | str, reference: str, *, metric: str = "rouge_l", **options: Any) -> Measured:
    """How much of the reference's wording an answer has, by any lexical metric."""
    __tracebackhide__ = True
    return measure(metric, options, Sample(output=_output(answer), reference=reference))


def semantic(answer: Output | str, reference: str, **options: Any) -> Measured:
    """How close in meaning an answer is to a reference, -1 to 1."""
    __tracebackhide__ = True
    return measure("semantic", options, Sample(output=_output(answer), reference=reference))


def recall_at_k(answer: Output | Sequence[Passage | str], relevant: Iterable[str], *, k: int = 5) -> Measured:
    """Share of the relevant passages among the first k of an output, or of a ranking of ids."""
    __tracebackhide__ = True
    if not isinstance(answer, Output):
        ranking = (each if isinstance(each, Passage) else Passage(id=each) for each in answer)
        answer = Output(text="", passages=tuple(ranking))
    return measure(f"recall@{k}", {}, Sample(output=answer, relevant=tuple(relevant)))


def pii_leak(answer: Output | str = "", spans: Iterable[Span] = (), **options: Any) -> Measured:
    """How many pieces of personal data an answer and spans hold; the report shows places and masks only."""
    __tracebackhide__ = True
    return measure("pii_leak", options, Sample(output=_output(answer), spans=tuple(spans)))


def measure(metric: str, options: Mapping[str, Any], sample: Sample) -> Measured:
    """
    One sample's score as a number that explains itself.

    Raises:
        NotScoredError: There is no such metric or option, or the metric failed; a number would be made up.
    """
    __tracebackhide__ = True  # a report ends at the test's own line
    try:
        (result,) = score_safely(score_here, create_metric(metric, options), [sample])
    except LLMOpsError as error:
        raise NotScoredError(str(error)) from None
    if isinstance(result, Failure):
        raise NotScoredError(f"{metric}: {hide(result.error)}")
    measured = Measured(result.value)
    measured.metric, measured.reason = result.metric, result.reason
    measured.answer = "" if result.metric == "pii_leak" else sample.output.text
    measured.reference = sample.reference
    return measured


def _output(answer: Output | str) -> Output:
    return answer if isinstance(answer, Output) else Output(text=answer)
