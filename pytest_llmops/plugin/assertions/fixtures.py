"""
The fixtures of ordinary tests that measure: `lexical(answer, reference)` and others return a number.

Each function below that takes a node and an answer is the fixture of its name. Names of their arguments in
other libraries, such as DeepEval's `actual_output`, are accepted too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_llmops.bounds import mirror
from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.judges.floors import missed_floors
from pytest_llmops.plugin.assertions.families import check_arguments, find_metric
from pytest_llmops.plugin.assertions.llm import Llm, NotScoredError, PendingOutput, remedy_in_test
from pytest_llmops.plugin.session import session_of
from pytest_llmops.printable import counted, printable
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Failure, Output, Passage, Sample, Span, ToolCall
from pytest_llmops.registry import create_metric, metric_options
from pytest_llmops.runner.app.answers import describe_missing
from pytest_llmops.runner.app.returned import type_of
from pytest_llmops.runner.scoring import score_here, score_safely

_REASON = 300
_TEXT = 500
_PART = 300
_CONTEXTS = 3
_ALIASES = {  # DeepEval's names first
    "answer": ("actual_output", "output", "response", "prediction"),
    "question": ("input", "query"),
    "reference": ("expected_output", "expected", "ground_truth"),
    "contexts": ("retrieval_context", "context", "passages", "documents"),
    "other": ("rival",),
    "expected": ("expected_tools",),
}
_ALIASES_OF_ARGUMENTS = ("input_parameters", "args")
_PARTS_OF_A_CALL = ("name", "arguments", "input_parameters")


class Measured(float):
    """A score: a number to compare, with its reason and texts for the report of a failed assert."""

    metric: str
    reason: str
    details: tuple[str, ...]
    below: bool = False
    """A criterion is below its floor, so that the score is not as good as any number."""

    def __ge__(self, other: float) -> bool:
        return not self.below and super().__ge__(other)

    def __gt__(self, other: float) -> bool:
        return not self.below and super().__gt__(other)

    def explain(self, comparison: str, other: object, *, on_the_right: bool = False) -> list[str]:
        """The lines that pytest shows when `self comparison other`, or `other comparison self`, is false."""
        sign = mirror(comparison) if on_the_right else comparison
        lines = [f"{self.metric} {float(self):.4g} {sign} {printable(str(other), 100)}"]
        lines += [f"  {printable(self.reason, _REASON)}"] if self.reason else []
        return [*lines, *self.details]


def lexical(node: pytest.Item, answer: Any = None, reference: str | None = None, **options: Any) -> Measured:
    """Measure how much of the reference's wording an answer has; `metric=` names any lexical metric."""
    __tracebackhide__ = True
    return _compare(node, "lexical", answer, reference, options)


def semantic(node: pytest.Item, answer: Any = None, reference: str | None = None, **options: Any) -> Measured:
    """Measure how close in meaning an answer is to a reference; `metric=` names any semantic metric."""
    __tracebackhide__ = True
    return _compare(node, "semantic", answer, reference, options)


def judge(
    node: pytest.Item, answer: Any = None, question: Any = None, reference: str | None = None, **options: Any
) -> Measured:
    """Have a chat model judge an answer, by a rubric or by the reference."""
    __tracebackhide__ = True
    call = _Call("judge", options, answer=answer, question=question, reference=reference, contexts=None)
    sample = Sample(
        output=call.output(call.contexts()), input=call["question"], reference=call.text("reference")
    )
    return call.measure(node, sample)


def pairwise(
    node: pytest.Item, answer: Any = None, other: Any = None, question: Any = None, **options: Any
) -> Measured:
    """Have a chat model choose between two answers: 1 the first, 0.5 neither, 0 the other."""
    __tracebackhide__ = True
    call = _Call("pairwise", options, answer=answer, other=other, question=question, reference=None)
    rival = call["other"]
    rival = rival.text if isinstance(rival, Output) else call.text("other")
    if rival is None and call["reference"] is None:
        raise NotScoredError("pairwise needs two answers: pairwise(answer, other, question)")
    sample = Sample(
        output=call.output(None), input=call["question"], reference=call.text("reference"), rival=rival
    )
    return call.measure(node, sample)


def faithfulness(node: pytest.Item, answer: Any = None, contexts: Any = None, **options: Any) -> Measured:
    """Measure how far the contexts support an answer, 0 to 1; those of an output are its passages."""
    __tracebackhide__ = True
    call = _Call("faithfulness", options, answer=answer, contexts=contexts, question=None)
    output = call.output(call.contexts())
    if output.passages is None:
        raise NotScoredError("faithfulness needs contexts: faithfulness(answer, [text, …])")
    return call.measure(node, Sample(output=output, input=call["question"]))


def recall_at_k(node: pytest.Item, answer: Any = None, relevant: Any = None, **options: Any) -> Measured:
    """Measure the share of relevant ids among the first k of an output's passages, or of a ranking of ids."""
    __tracebackhide__ = True
    call = _Call("recall_at_k", options, answer=answer, relevant=relevant)
    ranking, ids = call["answer"], call["relevant"]
    if ids is None:
        raise NotScoredError("recall_at_k needs the relevant ids: recall_at_k(output, [id, …], k=5)")
    output = ranking
    if not isinstance(ranking, Output):
        output = Output(text="", passages=read_passages("recall_at_k(answer)", ranking, text=False))
    sample = Sample(output=output, relevant=(ids,) if isinstance(ids, str) else tuple(map(str, ids)))
    return call.measure(node, sample)


def tool_calls(node: pytest.Item, answer: Any = None, expected: Any = None, **options: Any) -> Measured:
    """Measure whether an output's tool calls, or a list of calls, are the expected ones."""
    __tracebackhide__ = True
    call = _Call("tool_calls", options, answer=answer, expected=expected, tools_called=None)
    calls = call["tools_called"] if call["answer"] is None else call["answer"]
    output = calls if isinstance(calls, Output) else Output(text="", tool_calls=_read_tool_calls(calls))
    if call["expected"] is not None:
        call.options["expected"] = read_expected_calls(call["expected"], call.options.get("metric"))
    return call.measure(node, Sample(output=output))


def pii_leak(node: pytest.Item, answer: Any = "", spans: Iterable[Span] = (), **options: Any) -> Measured:
    """Count the pieces of personal data in an answer and spans; reports show places and masks only."""
    __tracebackhide__ = True
    call = _Call("pii_leak", options, answer=answer, spans=tuple(spans))
    return call.measure(node, Sample(output=call.output(None), spans=call["spans"]))


def injection(
    node: pytest.Item, answer: Any = "", contexts: Any = None, spans: Iterable[Span] = (), **options: Any
) -> Measured:
    """Measure how much an answer, or its contexts, reads like an instruction to a model, 0 to 1."""
    __tracebackhide__ = True
    call = _Call("injection", options, answer=answer, contexts=contexts, question=None, spans=tuple(spans))
    output = call.output(call.contexts())
    return call.measure(node, Sample(output=output, input=call["question"], spans=call["spans"]))


def _compare(
    node: pytest.Item, family: str, answer: Any, reference: str | None, options: Mapping[str, Any]
) -> Measured:
    __tracebackhide__ = True
    call = _Call(family, options, answer=answer, reference=reference, question=None)
    sample = Sample(output=call.output(None), input=call["question"], reference=call.text("reference"))
    return call.measure(node, sample)


class _Call:
    """The arguments of one call of a fixture, under whichever of their names they came, and its options."""

    def __init__(self, family: str, options: Mapping[str, Any], **arguments: Any) -> None:
        __tracebackhide__ = True
        self.family, self.options, self.arguments = family, dict(options), arguments
        for name in tuple(arguments):
            for alias in (name, *_ALIASES.get(name, ())):
                if alias in arguments and alias != name:
                    continue
                if (value := self.options.pop(alias, None)) is None:
                    continue
                if arguments[name] not in (None, "", ()):
                    raise NotScoredError(f"{family} was given {name} twice, the second time as {alias}")
                arguments[name] = value
            if isinstance(value := arguments[name], PendingOutput):
                arguments[name] = value.take()
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

    def measure(self, node: pytest.Item, sample: Sample) -> Measured:
        """
        Score the sample; input and reference that are not given are those of the `llm()` call.

        Raises:
            NotScoredError: An option is wrong, or the metric failed.
        """
        __tracebackhide__ = True  # a report ends at the test's own line
        answer = self.arguments["answer"]
        called = next((called for called in Llm.samples_of(node) if called.output is answer), sample)
        sample = replace(
            sample,
            input=called.input if sample.input is None else sample.input,
            reference=sample.reference or called.reference,
            case=node.nodeid,
        )
        try:
            metric = make_metric(node.config, self.family, self.options)
            if traits_of(metric).waits:
                _ = session_of(node.config).recorder  # listens from here on, so that its calls are kept
            (result,) = score_safely(score_here, metric, [sample])
        except (LLMOpsError, pytest.UsageError) as error:
            raise NotScoredError(str(error)) from None
        if isinstance(result, Failure):
            raise NotScoredError(f"{metric.name}: {mask(remedy_in_test(result.error))}")
        measured = Measured(result.value)
        missed = missed_floors(result)
        measured.metric, measured.below = result.metric, bool(missed)
        measured.reason = "; ".join(criterion.describe() for criterion in missed) or result.reason
        measured.details = (*describe_parts(result.evidence, result.reason), *_describe_texts(metric, sample))
        return measured


def make_metric(config: pytest.Config, family: str, written: Mapping[str, Any]) -> Metric:
    """
    Make the metric of a marker or a fixture.

    Args:
        written: Options of the metric, `metric` and `k`.

    Raises:
        LLMOpsError: There is no such metric or option.
    """
    name, options = find_metric(family, written)
    if "judge" in metric_options(name) and (default := session_of(config).settings.judge):
        options = {"judge": default, **options}
    return create_metric(name, options)


def read_passages(place: str, value: Any, *, text: bool) -> tuple[Passage, ...]:
    """Read passages from a string or a list of strings, passages or mappings; strings are texts, or ids."""
    __tracebackhide__ = True
    if isinstance(value, Output):
        return value.passages or ()
    passages = []
    for passage in [value] if isinstance(value, str | Passage) else _read_list(place, value):
        if isinstance(passage, Passage):
            passages.append(passage)
        elif isinstance(passage, str):
            passages.append(Passage(id="", text=passage) if text else Passage(id=passage))
        elif isinstance(passage, Mapping) and passage.keys() & {"id", "text"}:
            passages.append(Passage(id=str(passage.get("id", "")), text=str(passage.get("text", ""))))
        else:
            raise NotScoredError(f"{place} holds {type_of(passage)}; give strings or Passages")
    return tuple(passages)


def read_expected_calls(expected: Any, metric: str | None) -> list[Any]:
    """Read expected calls: names for `tool_order`, else mappings as in a golden file."""
    __tracebackhide__ = True
    calls = [_read_call(call) for call in _read_list("expected", expected)]
    return [call["name"] for call in calls] if metric == "tool_order" else calls


def _read_tool_calls(value: Any) -> tuple[ToolCall, ...]:
    __tracebackhide__ = True
    calls = []
    for call in _read_list("tool_calls(answer)", value):
        if isinstance(call, ToolCall):
            calls.append(call)
            continue
        written = _read_call(call)
        calls.append(
            ToolCall(
                name=written["name"],
                arguments=written.get("arguments", {}),
                decision=written.get("decision"),
            )
        )
    return tuple(calls)


def _read_call(value: Any) -> Mapping[str, Any]:
    """Read a call, as a golden file has it, from a name, a mapping, a `ToolCall` of ours or of DeepEval."""
    __tracebackhide__ = True
    if isinstance(value, str):
        return {"name": value}
    mapped = isinstance(value, Mapping)
    call = dict(value) if mapped else {key: getattr(value, key, None) for key in _PARTS_OF_A_CALL}
    if mapped and "name" not in call:
        raise NotScoredError(describe_missing("the tool call", "name", call))
    if not isinstance(call.get("name"), str):
        raise NotScoredError(
            f"a tool call is a name, a ToolCall or a mapping with 'name', not {type_of(value)}"
        )
    for alias in _ALIASES_OF_ARGUMENTS:
        if (arguments := call.pop(alias, None)) is not None:
            call["arguments"] = arguments
    if not mapped and not call.get("arguments"):
        call.pop("arguments", None)  # a record without arguments permits any
    return call


def _read_list(place: str, value: Any) -> Sequence[Any]:
    __tracebackhide__ = True
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise NotScoredError(f"{place} must be a list, not {type_of(value)}")
    return list(value)


def describe_parts(evidence: Sequence[Any], reason: str = "") -> list[str]:
    """
    Lines on the lowest part and the text nearest to it, escaped and cut; none where nothing is named.

    Args:
        reason: Of the same score; a text that it quotes in full is not repeated.
    """
    first = evidence[0] if evidence and isinstance(evidence[0], Mapping) else {}
    return [
        f"  {label}: {printable(text, _PART)}"
        for label, text in _name_parts(first)
        if text and text not in reason
    ]


def _name_parts(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and text of a claim and its nearest text, a judge's lowest criterion, and missing texts."""
    claims, criteria = evidence.get("claims"), evidence.get("criteria")
    if isinstance(claims, Sequence) and claims and isinstance(claims[0], Mapping):
        worst, support = claims[0], claims[0].get("support")
        label = f", {printable(worst['label'], 40)}" if worst.get("label") else ""
        yield f"least supported{_number(worst.get('score'))}{label}", str(worst.get("claim", ""))
        yield "nearest to it", str((support.get("text") if isinstance(support, Mapping) else support) or "")
    if isinstance(criteria, Mapping):
        scores = {
            name: criterion["score"]
            for name, criterion in criteria.items()
            if isinstance(criterion, Mapping) and isinstance(criterion.get("score"), int | float)
        }
        if scores:
            lowest = min(scores, key=scores.__getitem__)
            label = f"{printable(lowest, 40)}{_number(scores[lowest])} points to"
            yield label, str(criteria[lowest].get("evidence") or "")
    for name in ("missing", "contradicted"):
        texts = evidence.get(name)
        if isinstance(texts, Sequence) and not isinstance(texts, str) and "grade" in evidence:
            yield from ((name, str(text)) for text in texts[:_CONTEXTS])


def _number(value: Any) -> str:
    return f" ({value:.3g})" if isinstance(value, int | float) else ""


def _describe_texts(metric: Metric, sample: Sample) -> list[str]:
    """Answer, the other answer and the reference; an answer with a leak is left out."""
    texts: list[tuple[str, str | None]] = [
        ("answer:    ", sample.output.text if not traits_of(metric).masks else ""),
        ("other:     ", sample.rival),
        ("reference: ", sample.reference),
    ]
    lines = [f"  {label}{printable(text, _TEXT)}" for label, text in texts if text]
    return [*lines, *describe_contexts(metric, sample.output)]


def describe_contexts(metric: Metric, output: Output) -> list[str]:
    """Lines with the first few contexts, escaped and cut, of a metric that reads their texts."""
    reads = "passages" in metric.needs or traits_of(metric).waits
    if not reads or "relevant" in metric.needs:
        return []
    texts = [passage.text for passage in output.passages or ()]
    lines = [
        f"  context {number}: {printable(text, _PART)}" for number, text in enumerate(texts[:_CONTEXTS], 1)
    ]
    if len(texts) > _CONTEXTS:
        lines.append(f"  and {counted(len(texts) - _CONTEXTS, 'more context')}")
    return lines
