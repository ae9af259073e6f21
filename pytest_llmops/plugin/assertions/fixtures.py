"""The functions behind the fixtures: `lexical(answer, reference)` and others return a `Measured` number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pytest_llmops.bounds import mirror
from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import AppError, LLMOpsError
from pytest_llmops.evaluation.session import Session
from pytest_llmops.metrics.declared_metric import REMEDIES
from pytest_llmops.plugin.assertions.families import check_arguments, find_metric
from pytest_llmops.plugin.session import session_of
from pytest_llmops.printable import counted, printable
from pytest_llmops.protocols import App, Metric, traits_of
from pytest_llmops.records import Failure, Output, Passage, Sample, Span, ToolCall
from pytest_llmops.registry import create_metric, metric_options
from pytest_llmops.runner.app.answers import describe_missing, type_of
from pytest_llmops.runner.app.calls import AppCaller
from pytest_llmops.runner.app.importing import resolve_app
from pytest_llmops.runner.app.printed import route_through
from pytest_llmops.runner.scoring.scorer import score_here, score_safely

_STASH = pytest.StashKey["Llm"]()


@dataclass(slots=True, eq=False)
class Llm:
    """
    Calls the app under test, from a test.

    Attributes:
        samples: Inputs and outputs so far, for the test's markers.
        spans: Every span that the answers left.
    """

    session: Session
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
        session.import_libraries()
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
        repeat = sum(
            json.dumps(sample.input, sort_keys=True, default=str) == written for sample in self.samples
        )
        __tracebackhide__ = True  # what is wrong is the question or the app, not this file
        with route_through():
            output, spans = self.session.run(self.caller.call(self.node_id, repeat, question))
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


_REASON = 300
_TEXT = 500
_PART = 300
_CONTEXTS = 3
_OF_TEST = {
    REMEDIES["reference"]: "there is no reference; pass reference= to llm(), or to the marker",
    REMEDIES["relevant"]: "no relevant passages are named; pass relevant= to llm(), or to the marker",
    "add `reference:` to the case": "pass other= to the marker, or reference= to llm()",
}


class NotScoredError(LLMOpsError):
    """A metric or the app broke, or an argument is wrong, so there is no number to compare."""


class Measured(float):
    """A score: a plain number to compare, with what it rests on for the report of a failed assert."""

    metric: str
    reason: str
    details: tuple[str, ...]

    def explain(self, comparison: str, other: object, *, on_the_right: bool = False) -> list[str]:
        """The lines that pytest shows when `self comparison other`, or `other comparison self`, is false."""
        sign = mirror(comparison) if on_the_right else comparison
        lines = [f"{self.metric} {float(self):.4g} {sign} {printable(str(other), 100)}"]
        lines += [f"  {printable(self.reason, _REASON)}"] if self.reason else []
        return [*lines, *self.details]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a test's fixtures measure: its node, which names the recordings, and the session's settings."""

    node: pytest.Item

    def measure(self, family: str, options: Mapping[str, Any], sample: Sample) -> Measured:
        """
        One sample's score by a metric of a family.

        Raises:
            NotScoredError: An option is wrong, or the metric failed; a number would be made up.
        """
        __tracebackhide__ = True  # a report ends at the test's own line
        try:
            metric = make_metric(self.node.config, family, options)
            if traits_of(metric).waits:
                _ = session_of(self.node.config).recorder  # listens from here on, so that its calls are kept
            (result,) = score_safely(score_here, metric, [sample])
        except (LLMOpsError, pytest.UsageError) as error:
            raise NotScoredError(str(error)) from None
        if isinstance(result, Failure):
            raise NotScoredError(f"{metric.name}: {mask(say_in_test(result.error))}")
        measured = Measured(result.value)
        measured.metric, measured.reason = result.metric, result.reason
        measured.details = (*describe_parts(result.evidence, result.reason), *_describe_texts(metric, sample))
        return measured


def make_metric(config: pytest.Config, family: str, written: Mapping[str, Any]) -> Metric:
    """
    The metric of a marker or a fixture.

    Args:
        written: Options of the metric, `metric` and `k`.

    Raises:
        LLMOpsError: There is no such metric or option.
    """
    name, options = find_metric(family, written)
    if "judge" in metric_options(name) and (judge := session_of(config).settings.judge):
        options = {"judge": judge, **options}
    return create_metric(name, options)


def _describe_texts(metric: Metric, sample: Sample) -> list[str]:
    """Answer, the other answer and the reference; an answer with a leak is left out."""
    texts: list[tuple[str, str | None]] = [
        ("answer:    ", sample.output.text if not traits_of(metric).masks else ""),
        ("other:     ", sample.rival),
        ("reference: ", sample.reference),
    ]
    lines = [f"  {label}{printable(text, _TEXT)}" for label, text in texts if text]
    return [*lines, *describe_contexts(metric, sample.output)]


def describe_parts(evidence: Sequence[Any], reason: str = "") -> list[str]:
    """
    Lines on the lowest part and what comes nearest to it, escaped and cut; none where nothing is named.

    Args:
        reason: Of the same score; what it quotes in full is not repeated.
    """
    pairs = [pair for each in evidence[:1] if isinstance(each, Mapping) for pair in _name_parts(each)]
    return [f"  {label}: {printable(text, _PART)}" for label, text in pairs if text and text not in reason]


def say_in_test(error: str) -> str:
    """What a metric says that it lacks, with the remedy of a test instead of a golden file's."""
    for in_file, in_test in _OF_TEST.items():
        error = error.replace(in_file, in_test)
    return error


def describe_contexts(metric: Metric, output: Output) -> list[str]:
    """Lines with the first few contexts, escaped and cut, of a metric that reads their texts."""
    reads = "passages" in metric.needs or traits_of(metric).waits
    if not reads or "relevant" in metric.needs:
        return []
    texts = [passage.text for passage in output.passages or ()]
    lines = [
        f"  context {at}: {printable(text, _PART)}" for at, text in enumerate(texts[:_CONTEXTS], start=1)
    ]
    return [
        *lines,
        *([f"  and {counted(len(texts) - _CONTEXTS, 'more context')}"] if len(texts) > _CONTEXTS else []),
    ]


def _name_parts(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and text: of a claim and what is nearest to it, a judge's lowest criterion, what it misses."""
    claims, criteria = evidence.get("claims"), evidence.get("criteria")
    if isinstance(claims, Sequence) and claims and isinstance(claims[0], Mapping):
        worst, support = claims[0], claims[0].get("support")
        label = f", {printable(worst['label'], 40)}" if worst.get("label") else ""
        yield f"least supported{_number(worst.get('score'))}{label}", str(worst.get("claim", ""))
        yield "nearest to it", str((support.get("text") if isinstance(support, Mapping) else support) or "")
    if isinstance(criteria, Mapping) and (lowest := _find_lowest(criteria)):
        label = f"{printable(lowest[0], 40)}{_number(lowest[1])} points to"
        yield label, str(criteria[lowest[0]].get("evidence") or "")
    for name in ("missing", "contradicted"):
        found = evidence.get(name)
        if isinstance(found, Sequence) and not isinstance(found, str) and "grade" in evidence:
            yield from ((name, str(each)) for each in found[:_CONTEXTS])


def _find_lowest(criteria: Mapping[str, Any]) -> tuple[str, float] | None:
    scores = {
        name: each["score"]
        for name, each in criteria.items()
        if isinstance(each, Mapping) and isinstance(each.get("score"), int | float)
    }
    return min(scores.items(), key=lambda each: each[1]) if scores else None


def _number(value: Any) -> str:
    return f" ({value:.3g})" if isinstance(value, int | float) else ""


# What these arguments are called elsewhere, DeepEval's names first.
_ALSO_CALLED = {
    "answer": ("actual_output", "output", "response", "prediction"),
    "question": ("input", "query"),
    "reference": ("expected_output", "expected", "ground_truth"),
    "contexts": ("retrieval_context", "context", "passages", "documents"),
    "other": ("rival",),
    "expected": ("expected_tools",),
}
_ARGUMENTS = ("input_parameters", "args")
_OF_A_CALL = ("name", "arguments", "input_parameters")


def lexical(bench: Bench, answer: Any = None, reference: str | None = None, **options: Any) -> Measured:
    """How much of the reference's wording an answer has; `metric=` names any lexical metric."""
    __tracebackhide__ = True
    return _compare(bench, "lexical", answer, reference, options)


def semantic(bench: Bench, answer: Any = None, reference: str | None = None, **options: Any) -> Measured:
    """How close in meaning an answer is to a reference; `metric=` names any semantic metric."""
    __tracebackhide__ = True
    return _compare(bench, "semantic", answer, reference, options)


def judge(
    bench: Bench, answer: Any = None, question: Any = None, reference: str | None = None, **options: Any
) -> Measured:
    """What a chat model thinks of an answer, by a rubric or by the reference."""
    __tracebackhide__ = True
    given = _Given("judge", options, answer=answer, question=question, reference=reference, contexts=None)
    sample = Sample(
        output=given.output(given.contexts()), input=given["question"], reference=given.text("reference")
    )
    return given.measure(bench, sample)


def pairwise(
    bench: Bench, answer: Any = None, other: Any = None, question: Any = None, **options: Any
) -> Measured:
    """Which of two answers a chat model prefers: 1 the first, 0.5 neither, 0 the other."""
    __tracebackhide__ = True
    given = _Given("pairwise", options, answer=answer, other=other, question=question, reference=None)
    rival = given["other"]
    rival = rival.text if isinstance(rival, Output) else given.text("other")
    if rival is None and given["reference"] is None:
        raise NotScoredError("pairwise needs two answers: pairwise(answer, other, question)")
    sample = Sample(
        output=given.output(None), input=given["question"], reference=given.text("reference"), rival=rival
    )
    return given.measure(bench, sample)


def faithfulness(bench: Bench, answer: Any = None, contexts: Any = None, **options: Any) -> Measured:
    """How far the contexts support an answer, 0 to 1; the contexts of an output are its passages."""
    __tracebackhide__ = True
    given = _Given("faithfulness", options, answer=answer, contexts=contexts, question=None)
    output = given.output(given.contexts())
    if output.passages is None:
        raise NotScoredError("faithfulness needs contexts: faithfulness(answer, [text, …])")
    return given.measure(bench, Sample(output=output, input=given["question"]))


def recall_at_k(bench: Bench, answer: Any = None, relevant: Any = None, **options: Any) -> Measured:
    """The share of relevant ids among the first k of an output's passages, or of a ranking of ids."""
    __tracebackhide__ = True
    given = _Given("recall_at_k", options, answer=answer, relevant=relevant)
    ranking, ids = given["answer"], given["relevant"]
    if ids is None:
        raise NotScoredError("recall_at_k needs the relevant ids: recall_at_k(output, [id, …], k=5)")
    output = given.output(None) if isinstance(ranking, Output) else None
    if output is None:
        output = Output(text="", passages=read_passages("recall_at_k(answer)", ranking, text=False))
    sample = Sample(output=output, relevant=(ids,) if isinstance(ids, str) else tuple(map(str, ids)))
    return given.measure(bench, sample)


def tool_calls(bench: Bench, answer: Any = None, expected: Any = None, **options: Any) -> Measured:
    """Whether an output's tool calls, or a list of calls, are the expected ones."""
    __tracebackhide__ = True
    given = _Given("tool_calls", options, answer=answer, expected=expected, tools_called=None)
    calls = given["tools_called"] if given["answer"] is None else given["answer"]
    output = calls if isinstance(calls, Output) else Output(text="", tool_calls=_read_calls(calls))
    if given["expected"] is not None:
        given.options["expected"] = write_expected(given["expected"], given.options.get("metric"))
    return given.measure(bench, Sample(output=output))


def pii_leak(bench: Bench, answer: Any = "", spans: Iterable[Span] = (), **options: Any) -> Measured:
    """How many pieces of personal data an answer and spans contain; reports show places and masks only."""
    __tracebackhide__ = True
    given = _Given("pii_leak", options, answer=answer, spans=tuple(spans))
    return given.measure(bench, Sample(output=given.output(None), spans=given["spans"]))


def injection(
    bench: Bench, answer: Any = "", contexts: Any = None, spans: Iterable[Span] = (), **options: Any
) -> Measured:
    """How much an answer, its contexts or another text reads like an instruction to a model, 0 to 1."""
    __tracebackhide__ = True
    given = _Given("injection", options, answer=answer, contexts=contexts, question=None, spans=tuple(spans))
    output = given.output(given.contexts())
    return given.measure(bench, Sample(output=output, input=given["question"], spans=given["spans"]))


def write_expected(expected: Any, metric: str | None) -> list[Any]:
    """Expected calls as the metric takes them: names for `tool_order`, else as a golden file writes calls."""
    __tracebackhide__ = True
    calls = [_write_call(each) for each in _list("expected", expected)]
    return [call["name"] for call in calls] if metric == "tool_order" else calls


def _compare(
    bench: Bench, family: str, answer: Any, reference: str | None, options: Mapping[str, Any]
) -> Measured:
    __tracebackhide__ = True
    given = _Given(family, options, answer=answer, reference=reference, question=None)
    sample = Sample(output=given.output(None), input=given["question"], reference=given.text("reference"))
    return given.measure(bench, sample)


class _Given:
    """The arguments of one call, under whichever of their names they came."""

    def __init__(self, family: str, options: Mapping[str, Any], **arguments: Any) -> None:
        __tracebackhide__ = True
        self.family, self.options, self.arguments = family, dict(options), arguments
        for name in tuple(arguments):
            for other in (name, *_ALSO_CALLED.get(name, ())):
                if other in arguments and other != name:
                    continue
                if (value := self.options.pop(other, None)) is None:
                    continue
                if arguments[name] not in (None, "", ()):
                    raise NotScoredError(f"{family} was given {name} twice, the second time as {other}")
                arguments[name] = value
        try:
            check_arguments(family, self.options, arguments)
        except LLMOpsError as error:
            raise NotScoredError(str(error)) from None

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def text(self, name: str) -> str | None:
        __tracebackhide__ = True
        value = self.arguments[name]
        if value is not None and not isinstance(value, str):
            raise NotScoredError(f"{self.family}({name}=…) must be text, not {type_of(value)}")
        return value

    def contexts(self) -> tuple[Passage, ...] | None:
        __tracebackhide__ = True
        contexts = self.arguments["contexts"]
        return None if contexts is None else read_passages(f"{self.family}(contexts=…)", contexts, text=True)

    def output(self, passages: tuple[Passage, ...] | None) -> Output:
        """The answer as an output, with these passages where there are some."""
        __tracebackhide__ = True
        answer = self.arguments["answer"]
        if isinstance(answer, str):
            return Output(text=answer, passages=passages)
        if not isinstance(answer, Output):
            problem = "needs an answer" if answer is None else f"cannot measure {type_of(answer)}"
            raise NotScoredError(f"{self.family} {problem}; give a string, or the Output that llm() returned")
        return answer if passages is None else replace(answer, passages=passages)

    def measure(self, bench: Bench, sample: Sample) -> Measured:
        __tracebackhide__ = True
        sample = replace(_recall(bench, sample, self.arguments["answer"]), case=bench.node.nodeid)
        return bench.measure(self.family, self.options, sample)


def _recall(bench: Bench, sample: Sample, answer: Any) -> Sample:
    """The sample with the input and reference of the `llm()` call, where this call gives none."""
    found = next((each for each in Llm.samples_of(bench.node) if each.output is answer), None)
    if found is None:
        return sample
    question = found.input if sample.input is None else sample.input
    return replace(sample, input=question, reference=sample.reference or found.reference)


def read_passages(place: str, given: Any, *, text: bool) -> tuple[Passage, ...]:
    """Passages from a string or a list of strings, passages or mappings; strings are texts, or ids."""
    __tracebackhide__ = True
    if isinstance(given, Output):
        return given.passages or ()
    passages = []
    for each in [given] if isinstance(given, str | Passage) else _list(place, given):
        if isinstance(each, Passage):
            passages.append(each)
        elif isinstance(each, str):
            passages.append(Passage(id="", text=each) if text else Passage(id=each))
        elif isinstance(each, Mapping) and each.keys() & {"id", "text"}:
            passages.append(Passage(id=str(each.get("id", "")), text=str(each.get("text", ""))))
        else:
            raise NotScoredError(f"{place} holds {type_of(each)}; give strings or Passages")
    return tuple(passages)


def _read_calls(given: Any) -> tuple[ToolCall, ...]:
    __tracebackhide__ = True
    calls = []
    for each in _list("tool_calls(answer)", given):
        if not isinstance(each, ToolCall):
            written = _write_call(each)
            arguments = written.get("arguments", {})
            each = ToolCall(  # noqa: PLW2901 - the same call as ours
                name=written["name"], arguments=arguments, decision=written.get("decision")
            )
        calls.append(each)
    return tuple(calls)


def _write_call(given: Any) -> Mapping[str, Any]:
    """A call as a golden file writes it, from a name, a mapping, a `ToolCall` of ours or of DeepEval."""
    __tracebackhide__ = True
    if isinstance(given, str):
        return {"name": given}
    mapped = isinstance(given, Mapping)
    call = dict(given) if mapped else {key: getattr(given, key, None) for key in _OF_A_CALL}
    if mapped and "name" not in call:
        raise NotScoredError(describe_missing("the tool call", "name", call))
    if not isinstance(call.get("name"), str):
        raise NotScoredError(
            f"a tool call is a name, a ToolCall or a mapping with 'name', not {type_of(given)}"
        )
    for other in _ARGUMENTS:
        if (arguments := call.pop(other, None)) is not None:
            call["arguments"] = arguments
    if not mapped and not call.get("arguments"):
        call.pop("arguments", None)  # a record that says nothing of them: any will do
    return call


def _list(place: str, given: Any) -> Sequence[Any]:
    __tracebackhide__ = True
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise NotScoredError(f"{place} must be a list, not {type_of(given)}")
    return list(given)
