"""Parts that moved between two runs: by their stamps, models by their answers, and retrieval."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

from pytest_llmops.features.drift.causes import LEVEL, Clue
from pytest_llmops.gates.stamps import describe_changes
from pytest_llmops.records import CaseResult, ModelCall, Output, Run, ToolCall
from pytest_llmops.statistics.p_values import poisson_binomial_p_value
from pytest_llmops.statistics.paired import exchange_units

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Mark = tuple[str, str]
"""The model that an answer names, and the provider's fingerprint; empty where it is unknown."""

UNNAMED = "-"
"""Stands for a model that a request does not name, and for a mark that is unknown."""

_PARTS = {"prompt", "data", "model"}
_CODE = {"code", "environment", "file", "package", "weights", "stamped", "partial"}
_EMBEDDINGS = "embeddings"
_SEVERAL = 2
_EXACT_CASES = 10  # these have 1,024 exchanges, which are all looked at
_EXCHANGES = 999


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    The models, passages and tools that the outputs of a run show, over all its cases.

    Attributes:
        answers: Key of a chat or completion call to its answers, counted.
        vectors: Key of an embeddings call to its answers, counted.
        requested: Key to the model that was requested.
        marks: Requested model to the marks of those that answered, the signature's included.
        tools: Digests of the tool schemas that models were given, empty for none.
        texts: Passage id to the texts it had.
        results: Tool call to its results.
    """

    answers: Mapping[str, Counter[str]]
    vectors: Mapping[str, Counter[str]]
    requested: Mapping[str, str]
    marks: Mapping[str, frozenset[Mark]]
    tools: frozenset[str]
    texts: Mapping[str, set[str]]
    results: Mapping[str, set[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """
    The parts of two runs that differ.

    Attributes:
        base: Seen in the earlier run; `new` alike.
        prompts: Prompt file whose stamp differs, to its old and new version.
        data: Files or folders whose stamp differs; `tools`, `app` and `golden` alike. Of the app its code,
            variables and files, too.
        known: The kinds of parts that both runs are stamped with: `prompt`, `data`, `model` with the
            fingerprint of each; `half_known` those that only one has stamps of.
        models: Requested model to the evidence that another one answers, or that it answers otherwise.
        embedders: As `models`, of models that make vectors.
        varies: Equal requests of one run were answered in several ways.
        retrieval: That other passages come up, where the documents are not stamped; None if none do.
    """

    base: Seen
    new: Seen
    prompts: Mapping[str, str]
    data: tuple[str, ...]
    tools: tuple[str, ...]
    app: tuple[str, ...]
    golden: frozenset[str]
    known: frozenset[str]
    half_known: frozenset[str]
    models: Mapping[str, str]
    embedders: Mapping[str, str]
    varies: bool
    retrieval: Clue | None

    @property
    def has_calls(self) -> bool:
        """Return whether model calls are seen in both runs."""
        return bool(self.base.requested and self.new.requested)

    def embeds_otherwise(self, calls: Iterable[ModelCall]) -> bool:
        """Return whether a text was embedded in both runs with nothing in common, as never within one."""
        before, after = self.base.vectors, self.new.vectors
        return not _varies(before, after) and any(
            call.key in before and not before[call.key].keys() & after[call.key].keys() for call in calls
        )


def find_moved(base: Run, new: Run, pairs: Sequence[tuple[CaseResult, CaseResult]]) -> Moved:
    """
    Compare two runs part by part.

    Args:
        pairs: (base, new) of the cases with answers in both.
    """
    before, after = _see(base), _see(new)
    stamped = [{name.partition(":")[0] for name in run.signature} & _PARTS for run in (base, new)]
    known = stamped[0] & stamped[1]
    if not all(
        fingerprint for seen in (before, after) for mark in seen.marks.values() for _, fingerprint in mark
    ):
        known -= {"model"}
    embedders = {seen.requested[key] for seen in (before, after) for key in seen.vectors}
    marks = {
        model: change
        for model in sorted(before.marks.keys() & after.marks.keys())
        if (change := compare_marks(model, before.marks[model], after.marks[model]))
    }
    return Moved(
        base=before,
        new=after,
        prompts={path: _describe_prompt(path, *stamps) for path, *stamps in _restamped("prompt:", base, new)},
        data=tuple(f"{path} has another digest" for path, _, _ in _restamped("data:", base, new)),
        tools=tuple(
            f"{model} is given other tool schemas" for model, _, _ in _restamped("tools:", base, new)
        ),
        app=(
            *(f"{path} names another app" for path, _, _ in _restamped("app:", base, new)),
            *describe_changes(*(_of_code(run.signature) for run in (base, new))),
        ),
        golden=frozenset(path for path, _, _ in _restamped("golden:", base, new)),
        known=frozenset(known),
        half_known=frozenset(stamped[0] ^ stamped[1]),
        models={
            **_moved_by_answers(before, after),
            **{model: change for model, change in marks.items() if model not in embedders},
        },
        embedders={model: change for model, change in marks.items() if model in embedders},
        varies=_varies(before.answers, after.answers),
        retrieval=None if "data" in known else compare_retrieval(pairs),
    )


def word_calls(output: Output) -> list[ModelCall]:
    """The chat and completion calls, in the order they began."""
    return [call for call in output.model_calls if call.kind != _EMBEDDINGS]


def vector_calls(output: Output) -> list[ModelCall]:
    """The calls of models that make vectors."""
    return [call for call in output.model_calls if call.kind == _EMBEDDINGS]


def call_key(call: ToolCall) -> str:
    """The tool and its arguments as one string."""
    return json.dumps([call.name, dict(call.arguments)], sort_keys=True, default=str)


def result_key(call: ToolCall) -> str:
    """The result of a tool as one string."""
    return json.dumps(call.result, sort_keys=True, ensure_ascii=False, default=str)


def mark_of(call: ModelCall) -> Mark:
    """The model and fingerprint that an answer names."""
    return call.reported or "", call.fingerprint or ""


def compare_marks(model: str, before: frozenset[Mark], after: frozenset[Mark]) -> str:
    """Describe how marks differ; empty where they have one in common or one side has none."""
    if not all(fingerprint for _, fingerprint in before | after):
        before, after = (frozenset((name, "") for name, _ in marks if name) for marks in (before, after))
    if not before or not after or before & after:
        return ""
    old, now = (" and ".join(sorted(" ".join(mark).strip() for mark in marks)) for marks in (before, after))
    return f"{model}: {old} answered before, {now} answers now"


def chance_of_moving(counts: Sequence[tuple[Counter[str], Counter[str]]]) -> float:
    """
    Return the chance, in (0, 1], that so many requests share no answer between two runs that are alike.

    A permutation test, exact: were the runs alike, each answer to a request could as well have come in the
    other one. The requests' chances add up to a Poisson binomial distribution. A request whose answers are
    all different, or that was made once a run, has no part in it.

    Args:
        counts: Of each request, its answers in the one run and in the other, counted.

    Source: Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, ch. 3.
    """
    chances = [(_chance_apart(before, after), not before.keys() & after.keys()) for before, after in counts]
    informative = [(chance, apart) for chance, apart in chances if 0 < chance < 1]
    return poisson_binomial_p_value(
        [chance for chance, _ in informative], sum(apart for _, apart in informative)
    )


def _of_code(signature: Mapping[str, str]) -> dict[str, str]:
    """The stamps of the app's own code and of all that it reads."""
    return {name: value for name, value in signature.items() if name.partition(":")[0] in _CODE}


def _see(run: Run) -> Seen:
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    vectors: defaultdict[str, Counter[str]] = defaultdict(Counter)
    marks: defaultdict[str, set[Mark]] = defaultdict(set)
    texts: defaultdict[str, set[str]] = defaultdict(set)
    results: defaultdict[str, set[str]] = defaultdict(set)
    requested: dict[str, str] = {}
    tools: set[str] = set()
    for name, value in run.signature.items():
        if name.startswith("model:"):
            marks[name.removeprefix("model:")].update(map(_read_mark, value.split(", ")))
    results_in_order = sorted(run.results, key=lambda result: result.case)
    for output in (output for result in results_in_order for output in result.outputs):
        for call in output.model_calls:
            requested[call.key] = call.model or UNNAMED
            (vectors if call.kind == _EMBEDDINGS else answers)[call.key][call.answer] += 1
            marks[call.model or UNNAMED].add(mark_of(call))
            tools.add(call.tools)
        for passage in output.passages or ():
            texts[passage.id].add(passage.text)
        for tool_call in output.tool_calls:
            results[call_key(tool_call)].add(result_key(tool_call))
    return Seen(
        answers=answers,
        vectors=vectors,
        requested=requested,
        marks={model: frozenset(seen) - {("", "")} for model, seen in marks.items()},
        tools=frozenset(tools),
        texts=texts,
        results=results,
    )


def _read_mark(text: str) -> Mark:
    reported, _, fingerprint = text.partition(" ")
    return reported if reported != UNNAMED else "", fingerprint


def _restamped(prefix: str, base: Run, new: Run) -> Iterator[tuple[str, str, str]]:
    """
    Name, old and new value of the changed stamps of a kind, empty where there is none.

    A part that only has another name is no change, and neither is a kind that one run has no stamp of.
    """
    before, after = (
        {name.removeprefix(prefix): value for name, value in run.signature.items() if name.startswith(prefix)}
        for run in (base, new)
    )
    for name in sorted(before.keys() | after.keys()) if before and after else ():
        old, now = before.get(name, ""), after.get(name, "")
        renamed = now in before.values() if not old else old in after.values() and not now
        if old != now and not renamed:
            yield name, old, now


def _describe_prompt(path: str, before: str, after: str) -> str:
    """`answerer 1.0.0 → answerer 1.1.0`; stamps hold name, version and digest."""
    if not before or not after:
        return f"{path} was {'removed' if before else 'added'}"
    old, now = (" ".join(value.split(" ")[:2]) for value in (before, after))
    return f"{path}: {old} → {now}" if old != now else f"{path}: {now} has another text"


def _varies(*answers: Mapping[str, Counter[str]]) -> bool:
    return any(len(counts) > 1 for run in answers for counts in run.values())


def _moved_by_answers(before: Seen, after: Seen) -> dict[str, str]:
    """
    Requested model to the evidence that its answers to equal requests are another model's.

    Where no request of either run was answered in two ways, one whose answers share nothing is a fact, if
    a run made it several times. Where answers vary, `chance_of_moving` decides.
    """
    shared: defaultdict[str, list[str]] = defaultdict(list)
    for key in sorted(before.answers.keys() & after.answers.keys()):
        shared[before.requested[key]].append(key)
    varies = _varies(before.answers, after.answers)
    moved = {}
    for model, keys in sorted(shared.items()):
        counts = [(before.answers[key], after.answers[key]) for key in keys]
        apart = [(one, other) for one, other in counts if not one.keys() & other.keys()]
        change = f"{model}: {len(apart)} of {len(counts)} equal requests are answered otherwise"
        if varies:
            chance = chance_of_moving(counts)
            if chance <= LEVEL:
                moved[model] = f"{change}, which chance does with p = {chance:.2g}"
        elif any(max(one.total(), other.total()) >= _SEVERAL for one, other in apart):
            moved[model] = f"{change}, each in one way when it was asked again"
    return moved


def _chance_apart(before: Counter[str], after: Counter[str]) -> float:
    """The chance that a random division of these answers gives two sides that share none."""
    ways = [1] + [0] * before.total()
    for size in (before + after).values():
        for filled in range(before.total(), size - 1, -1):
            ways[filled] += ways[filled - size]
    return ways[before.total()] / comb(before.total() + after.total(), before.total())


def compare_retrieval(pairs: Sequence[tuple[CaseResult, CaseResult]]) -> Clue | None:
    """
    Compare how often each passage is retrieved; None where nothing moved.

    The effect is the Jensen-Shannon distance of the two distributions, from 0 to 1. Its p-value is that of
    a permutation test which exchanges the runs case by case, exact up to ten cases. Cases that embedded
    other texts are left out: there the question to the index changed.

    Args:
        pairs: (base, new) of each case.

    Source: Endres and Schindelin (2003), A new metric for probability distributions, IEEE Trans. Inf.
    Theory 49.
    """
    rows = [
        (before, after)
        for base, new in pairs
        if _embedded(base) == _embedded(new) and (before := _retrieved(base)) and (after := _retrieved(new))
    ]
    if all(before == after for before, after in rows):
        return None
    import numpy as np

    names = sorted({name for row in rows for shares in row for name in shares})
    counts = np.array([[[shares.get(name, 0.0) for name in names] for shares in row] for row in rows])
    distance, p_value = _test(counts)
    change = f"other passages come up: Jensen-Shannon distance {distance:.2f}, p = {p_value:.2g}"
    return Clue(kind="data", evidence=f"{change}, {len(rows)} cases", sure=p_value <= LEVEL)


def _embedded(result: CaseResult) -> set[str]:
    return {call.key for output in result.outputs for call in output.model_calls if call.kind == "embeddings"}


def _retrieved(result: CaseResult) -> dict[str, float]:
    """Passage id to the share of the repeats that retrieved it; an empty id means no passage."""
    retrieved = [output.passages for output in result.outputs if output.passages is not None]
    counted = Counter(name for passages in retrieved for name in {passage.id for passage in passages} or {""})
    return {name: count / len(retrieved) for name, count in counted.items()}


def _test(counts: NDArray[np.float64]) -> tuple[float, float]:
    """Distance and p-value; `counts` has shape (cases, 2, passages)."""
    import numpy as np

    cases = len(counts)
    differences, total = counts[:, 0] - counts[:, 1], counts.sum(axis=(0, 1))

    def measure(exchanged: NDArray[np.bool_]) -> NDArray[np.float64]:
        return _distances((1.0 - 2.0 * exchanged) @ differences, total)

    p_value = exchange_units(cases, measure, draws=None if cases <= _EXACT_CASES else _EXCHANGES)
    return float(measure(np.zeros((1, cases), bool))[0]), p_value


def _distances(differences: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distances of two sides that differ by each row and add up to the total."""
    from scipy.spatial.distance import jensenshannon

    before, after = (side.clip(min=0.0) for side in ((total + differences) / 2, (total - differences) / 2))
    distances: NDArray[np.float64] = jensenshannon(before, after, base=2, axis=1)
    return distances
