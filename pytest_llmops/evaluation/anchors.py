"""The anchors of a golden file, scored in a run: stored outputs in the place of the app's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.golden.anchors import load_anchors
from pytest_llmops.printable import name_some, printable
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.recorder import CallRules
from pytest_llmops.records import ANCHORS, GAIN, Anchor, Case, Golden, Output
from pytest_llmops.registry import create_metric, split_turn
from pytest_llmops.runner.app.calls import AppCaller, Called
from pytest_llmops.runner.app.states import StateReader
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.settings import Settings

_HAD = {"reference", "passages"}
"""Needs of a metric that an anchor may meet."""
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorCaller(AppCaller):
    """
    Returns stored outputs, and calls no app.

    Attributes:
        outputs: By the id of the anchor's item.
    """

    outputs: Mapping[str, Output] = field(default_factory=dict)

    async def call(
        self,
        case: str,
        repeat: int,
        question: Any,
        rules: CallRules | None = None,
        reader: StateReader | None = None,
    ) -> Called:
        """Return the stored output of an anchor, without spans."""
        del question, rules, reader
        return Called(replace(self.outputs[case], repeat=repeat))


def plan_anchors(golden: Golden, settings: Settings) -> tuple[Golden, list[Task], dict[str, Output]]:
    """
    Plan the anchors of a golden file: a file of them alone, their tasks, and their outputs by id.

    None are planned where recordings alone may answer: there a judge never moves.

    Raises:
        GoldenError: A row cannot be read.
    """
    own = Golden(path=f"{golden.path}{ANCHORS}", cases=())
    anchors = load_anchors(golden, settings.root)
    if settings.record == "none":
        return own, [], {}
    metrics = dict(_list_metrics(golden))
    tasks, outputs = [], {}
    for anchor in anchors:
        id_ = f"{own.path}::{anchor.id}"
        wanted = tuple((name, metric) for name, metric in metrics.items() if _can_score(metric, anchor))
        if wanted:
            contexts = tuple(passage.text for passage in anchor.passages or ())
            # As `relevant` they are in the hash of the input: with others, the anchor is another one.
            case = Case(id=anchor.id, input=anchor.input, reference=anchor.reference, relevant=contexts)
            tasks.append(Task(id=id_, case=case, repeats=1, metrics=wanted))
            outputs[id_] = Output(text=anchor.output, passages=anchor.passages)
    return own, tasks, outputs


def describe_unscored_anchors(goldens: Iterable[Golden], settings: Settings) -> Iterator[str]:
    """Yield a sentence for each golden file whose anchors were not scored."""
    for golden in goldens if settings.record == "none" else ():
        waiting = (name for name, metric in _list_metrics(golden) if traits_of(metric).waits)
        if golden.anchors and (names := sorted(map(printable, waiting))):
            yield (
                f"{printable(golden.path)}: {name_some(names, _NAMED)} did not score the anchors, since "
                "--llm-record none makes no calls: a drop may be one of the judge, and not of the app"
            )


def _list_metrics(golden: Golden) -> Iterator[tuple[str, Metric]]:
    """The metrics of a file that score all its cases alike, and whose score lies in a range."""
    options: dict[str, list[Mapping[str, Any]]] = {}
    for case in golden.cases:
        for check in case.checks:
            if split_turn(check.metric)[0]:  # an anchor is one answer
                continue
            options.setdefault(check.metric, []).append(check.options)
    for of_suite in golden.suite:
        if of_suite.statistic != GAIN and (of_suite.options or of_suite.metric not in options):
            options[of_suite.metric] = [of_suite.options]
    for name, listed in options.items():
        if any(other != listed[0] for other in listed):
            continue  # it is about single cases, as keywords are
        try:
            metric = create_metric(name, listed[0])
        except LLMOpsError:
            continue
        traits = traits_of(metric)
        scores_one = all(map(math.isfinite, metric.range)) and not traits.compares and not traits.over_repeats
        if scores_one and _needs(metric) <= _HAD:
            yield name, metric


def _needs(metric: Metric) -> set[str]:
    return set(metric.needs)


def _can_score(metric: Metric, anchor: Anchor) -> bool:
    had = {"reference": anchor.reference, "passages": anchor.passages}
    return all(had[need] is not None for need in _needs(metric))
