"""Bounds on metrics of which no number is right for all kinds of text, and whether labels vouch for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_llmops.calibration.record import Calibration, has_no_bound
from pytest_llmops.printable import counted, printable
from pytest_llmops.protocols import Metric
from pytest_llmops.records import CaseResult, Check, Golden, Score, SuiteCheck
from pytest_llmops.registry import create_metric


def find_uncalibrated(golden: Golden, known: Mapping[str, Calibration]) -> list[str]:
    """
    A sentence, with the place of the first bound, for each such metric whose scores no labels were held
    against as the file makes them.

    Args:
        known: What is recorded, by signature.
    """
    every: list[Check | SuiteCheck] = [
        *golden.suite,
        *(each for case in golden.cases for each in case.checks),
    ]
    return [
        f"{golden.path}:{golden.bound_lines[name]}: {describe_uncalibrated(name)}"
        for name in golden.bound_lines
        if has_no_bound(name)
        and not all(
            is_calibrated(create_metric(name, check.options), known)
            for check in every
            if check.metric == name and check.comparison is not None
        )
    ]


def is_calibrated(metric: Metric, known: Mapping[str, Calibration]) -> bool:
    """Whether labels were held against scores that are made as by this metric."""
    alike = getattr(metric, "is_scored_alike", None)
    return any(
        each.metric == metric.name and (alike is None or alike(signature))
        for signature, each in known.items()
    )


def describe_uncalibrated(metric: str) -> str:
    """What to do about a bound of which nobody knows what it passes."""
    return (
        f"what a bound on {metric} passes differs between kinds of text, and none of your labels shows it: "
        f"llmops calibrate {metric} LABELS.jsonl --label FIELD --save"
    )


def warn_of_self_preference(results: Iterable[CaseResult]) -> list[str]:
    """
    A sentence for each metric, judge and app model of one family, with how many answers it judged.

    A judge's family stands in the evidence of its scores; the app's is that of the model that
    answered the same repeat. Where either is not known nothing is said.
    """
    from pytest_llmops.judges.model import family_of

    counts: Counter[tuple[str, str, str, str]] = Counter()
    for result in results:
        models = {output.repeat: output.model for output in result.outputs}
        for score in result.scores:
            model = models.get(score.repeat)
            for name, family in judges_of(score) if model else ():
                if model and family_of(model) == family:
                    counts[score.metric, name, family, model] += 1
    return [
        f"{printable(metric)}: the judge {printable(name, 80)} judged {counted(count, 'answer')} of "
        f"{printable(model, 80)}, of its own family ({printable(family, 40)}), which judges tend to favour: "
        "take a judge of another family, or see by labelled pairs how far it does: "
        "llmops calibrate pairwise PAIRS.jsonl --label FIELD"
        for (metric, name, family, model), count in sorted(counts.items())
    ]


def judges_of(score: Score) -> list[tuple[str, str]]:
    """The models that judged, each with its family: one, the members of a panel, or none."""
    entries = [each for each in score.evidence if isinstance(each, Mapping)]
    members: Sequence[Mapping[str, Any]] = [each for each in entries[1:] if "judge" in each] or entries[:1]
    return [
        (str(each.get("judge") or each["family"]), str(each["family"]))
        for each in members
        if each.get("family")
    ]
