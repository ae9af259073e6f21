"""
Influences on a judge of pairs that do not move people: position, length, its own family, the day.

A judge is compared with people's labels, so one that errs at random is honest, and so is one that likes long
answers as people do. The tests look for errors that go one way; see `measure_lean`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from pytest_llmops.calibration.record import judges_of
from pytest_llmops.documents.reading import is_number
from pytest_llmops.features.calibrate.estimates import measure_spearman
from pytest_llmops.judges.model import family_of
from pytest_llmops.printable import counted
from pytest_llmops.records import Score
from pytest_llmops.statistics.codes import rank_codes
from pytest_llmops.statistics.multiplicity import adjust_holm
from pytest_llmops.statistics.p_values import dealt_p_value
from pytest_llmops.statistics.paired import sign_flip_p_value

Lean = Literal["position", "length", "self_preference"]

LEVEL = 0.02
"""The chance that an honest judge is accused of anything: of all tests together, by Holm's correction."""

_GUARD = 0.05
_TIE = 0.5
_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    One pair as the judge saw it. Values are of the first: 1 better, 0 worse, 0.5 neither.

    Attributes:
        label: That of people; None where there is none.
        orders: The judge's values with the first in front, and with it behind; None of one order only.
        length_difference: Characters of the first less those of the second; 0 where they are unknown.
        own: 1 where only the first is by the judge's family, -1 where only the second is, else 0.
        again: The judge's values in further repeats.
    """

    value: float
    label: float | None = None
    orders: tuple[float, float] | None = None
    length_difference: int = 0
    own: int = 0
    again: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    The result of one test.

    Attributes:
        pairs: On which the test rests.
        effect: `position`: of the pairs whose orders disagree, the share that went to the first place, less
            the share that went to the second. Else by how much more often the judge errs towards that
            side than away from it. From -1 to 1.
        p_adjusted: By Holm's method over all tests; accused at `LEVEL` or below.
        description: The numbers behind it.
    """

    name: Lean
    pairs: int
    effect: float
    p_value: float
    description: str
    p_adjusted: float = 1.0

    @property
    def accused(self) -> bool:
        return self.p_adjusted <= LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """
    All that the pairs show of a judge's bias.

    Attributes:
        order_flips: Share of pairs whose two orders disagree; None where none was judged in both.
        repeat_flips: Share of repeats that differ from the first answer; None without repeats.
        length_correlation: Rank correlation of the judge's verdict with the difference in length, and
            that of people's labels; None where lengths or spread are missing.
        untested: A sentence for each test that could not be made.
    """

    findings: tuple[Finding, ...]
    order_flips: float | None = None
    repeat_flips: float | None = None
    length_correlation: tuple[float, float] | None = None
    untested: tuple[str, ...] = ()


def find_bias(verdicts: Sequence[Verdict], *, family: str | None = None) -> Bias:
    """
    Test everything that the pairs allow.

    Args:
        family: The judge's, as shown.
    """
    findings: list[Finding] = []
    untested: list[str] = []
    in_both_orders = [verdict.orders for verdict in verdicts if verdict.orders is not None]
    if in_both_orders:
        findings.append(measure_position(in_both_orders))
    else:
        untested.append("position: no pair was asked in both orders")
    labelled = [verdict for verdict in verdicts if verdict.label is not None]
    rarely = f"people never chose an answer of the judge's family ({family}) over another's, or always did"
    for name, side, reason in (
        ("length", "length_difference", "people never chose the longer answer, or always did"),
        ("self_preference", "own", rarely if family else "the judge's family is not known"),
    ):
        lean = measure_lean(name, labelled, side)  # type: ignore[arg-type]  # the two names of the line above
        if lean is None:
            untested.append(f"{name.replace('_', '-')}: {reason if labelled else 'no pair has a label'}")
        else:
            findings.append(lean)
    adjusted = adjust_holm([finding.p_value for finding in findings])
    again = [(verdict.value, value) for verdict in verdicts for value in verdict.again]
    return Bias(
        findings=tuple(replace(finding, p_adjusted=p) for finding, p in zip(findings, adjusted, strict=True)),
        order_flips=sum(first != second for first, second in in_both_orders) / len(in_both_orders)
        if in_both_orders
        else None,
        repeat_flips=sum(first != second for first, second in again) / len(again) if again else None,
        length_correlation=_correlate_length(labelled),
        untested=tuple(untested),
    )


def measure_position(orders: Sequence[tuple[float, float]]) -> Finding:
    """
    Do disagreements of the two orders go to one place? An honest judge's go to either alike.

    Source: an exact binomial test of the signs, two-sided.
    """
    from scipy.stats import binomtest

    first = sum(ahead > behind for ahead, behind in orders)
    second = sum(ahead < behind for ahead, behind in orders)
    flips = first + second
    places = f"{first} to the first place, {second} to the second"
    description = f"{flips} of {counted(len(orders), 'pair')} turned with the order, {places}"
    return Finding(
        name="position",
        pairs=len(orders),
        effect=(first - second) / flips if flips else 0.0,
        p_value=float(binomtest(first, flips).pvalue) if flips else 1.0,
        description=description,
    )


def measure_lean(
    name: Lean, verdicts: Sequence[Verdict], side: Literal["length_difference", "own"]
) -> Finding | None:
    """
    Does the judge err towards one side (the longer answer, its own family's) more than away from it?

    Among pairs where people chose, the error of those where they chose the other side is compared with the
    error of those where they chose this side: an exact one-sided permutation test, in which any pair may as
    well have been of the other kind. A judge that errs at random passes, whatever people like. As labels err
    too, and a judge that sees the same quality would then seem to lean, its errors must also go to
    this side more often than to the other in all (sign-flip test, p ≤ 0.05); the larger p counts where not.

    None where people chose one side only, or no pair has such a side.
    """
    turned = [
        (_turn(verdict.value, getattr(verdict, side)), _turn(verdict.label, getattr(verdict, side)))
        for verdict in verdicts
        if getattr(verdict, side) and verdict.label is not None
    ]
    towards = np.array([value - label for value, label in turned if label < _TIE])
    away = np.array([label - value for value, label in turned if label > _TIE])
    if not len(towards) or not len(away):
        return None
    excess = np.array([value - label for value, label in turned])
    p_value = dealt_p_value(towards, away)
    guard = sign_flip_p_value(-excess)
    favoured = "the longer" if side == "length_difference" else "its own family's"
    description = (
        f"where people prefer the other, it errs towards {favoured} by {towards.mean():.3f} "
        f"({counted(len(towards), 'pair')}); away from it by {away.mean():.3f} ({counted(len(away), 'pair')})"
    )
    return Finding(
        name=name,
        pairs=len(turned),
        effect=float(towards.mean() - away.mean()),
        p_value=p_value if guard <= _GUARD else max(p_value, guard),
        description=description,
    )


def _turn(value: float, side: int) -> float:
    """The value of the first as that of the side; 1 when the side won."""
    return value if side > 0 else 1 - value


def _correlate_length(verdicts: Sequence[Verdict]) -> tuple[float, float] | None:
    known = [verdict for verdict in verdicts if verdict.length_difference]
    if not known:
        return None
    longer = rank_codes(np.array([float(verdict.length_difference) for verdict in known]))
    judged, people = (
        measure_spearman(rank_codes(np.array(values, float)), longer, np.ones(len(known)))
        for values in ([pair.value for pair in known], [pair.label for pair in known])
    )
    return (judged, people) if np.isfinite([judged, people]).all() else None


def read_verdicts(
    rows: Sequence[Mapping[str, Any]],
    scores: Sequence[Sequence[Score]],
    labels: Sequence[float | None],
    families: Iterable[str],
) -> list[Verdict]:
    """
    Read a verdict for each row that was scored.

    Args:
        rows: With `outputs`, and with `systems` where their authors are known.
        scores: Of each row, one a repeat; the first is the verdict.
        labels: As of `Labels` of pairs.
        families: The judge's, or those of a panel.
    """
    own = set(families)
    verdicts = []
    for row, of_row, label in zip(rows, scores, labels, strict=True):
        if not of_row:
            continue
        first, *again = of_row
        verdicts.append(
            Verdict(
                value=_side(first.value),
                label=label,
                orders=_orders(first),
                length_difference=_difference(first, row),
                own=_own(row.get("systems"), own),
                again=tuple(_side(score.value) for score in again),
            )
        )
    return verdicts


def families_of(scores: Iterable[Score]) -> tuple[str, ...]:
    """The families of the models that judged."""
    return tuple(sorted({family for score in scores for _, family in judges_of(score)}))


def _side(value: float) -> float:
    """1 the first, 0 the second, 0.5 neither; a panel's mean is the side it leans to."""
    return _TIE if value == _TIE else float(value > _TIE)


def _read_evidence(score: Score) -> Mapping[str, Any]:
    evidence = score.evidence[0] if score.evidence else None
    return evidence if isinstance(evidence, Mapping) else {}


def _orders(score: Score) -> tuple[float, float] | None:
    orders = _read_evidence(score).get("orders")
    if not isinstance(orders, list | tuple) or len(orders) != _PAIR:
        return None
    if not all(map(is_number, orders)):
        return None
    return _side(orders[0]), _side(orders[1])


def _difference(score: Score, row: Mapping[str, Any]) -> int:
    lengths = _read_evidence(score).get("lengths")
    if (
        isinstance(lengths, list | tuple)
        and len(lengths) == _PAIR
        and all(type(length) is int for length in lengths)
    ):
        return int(lengths[0] - lengths[1])
    texts = (output.get("text", "") if isinstance(output, Mapping) else output for output in row["outputs"])
    first, second = (len(str(text)) for text in texts)
    return first - second


def _own(systems: Any, families: set[str]) -> int:
    if not isinstance(systems, list | tuple) or len(systems) != _PAIR:
        return 0
    first, second = (isinstance(system, str) and family_of(system) in families for system in systems)
    return int(first) - int(second)
