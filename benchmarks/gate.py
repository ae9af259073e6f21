"""
How often the gate is right: share of simulated runs that turn red, and the calls they took.

The app is simulated, the gate is the real one: its looks decide on repeats, `compare` decides on red. Each
row draws cases of 8 checks with pass rates of their own and a baseline of 10 repeats; only one check is
harmed in the harmful rows. Usage: python benchmarks/gate.py [--runs 2000] [--only WORDS] [--seed 0]
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from pytest_llmops.gates.error_budget import CaseBudget, plan_looks

# One process a core does the work, and each has small matrices.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from pytest_llmops import compare
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.gates.suite_channel.detectable_drops import find_detectable_drops
from pytest_llmops.gates.suite_channel.verdicts import add_means
from pytest_llmops.records import CaseResult, Check, Output, Run, Score, SuiteCheck
from pytest_llmops.settings import Settings

CHECKS = tuple(f"recall@{k}" for k in range(1, 9))
MOST = Settings().max_repeats
MAX_DROP = 0.05
IN_RANGE = tuple(Check(metric=metric, comparison=">=", threshold=0.7) for metric in CHECKS)
"""What a continuous score of a case must reach: a bound in the middle of what the app scores."""
HELD = tuple(Check(metric=metric, comparison=">=", threshold=1.0) for metric in CHECKS)
RUBRIC = Check(metric="judge", comparison=">=", threshold=4.0)


def watch(metric: str, max_drop: float | None = MAX_DROP) -> SuiteCheck:
    return SuiteCheck(metric=metric, statistic="mean", comparison=None, threshold=None, max_drop=max_drop)


SUITE = tuple(map(watch, CHECKS))

Rates = NDArray[np.float64]  # shape (cases, checks)
Change = Callable[[np.random.Generator, Rates, "Row"], tuple[Rates, list[int]]]


@dataclass(frozen=True)
class Tally:
    """
    What came of a run, or the mean of many; calls are a case's, further ones those of single cases alone.

    Attributes:
        called: Cases and checks that were named; of these, `untrue` did not drop by the size that counts.
        error: The reported difference of the first check's mean less the true one.
        covers: Its interval contains the true one.
    """

    red: float
    undecided: float
    names_check: float
    names_cases: float
    calls: float
    further: float
    called: float = 0.0
    untrue: float = 0.0
    error: float = 0.0
    covers: float = 1.0


def nothing(_random: np.random.Generator, rates: Rates, _row: Row) -> tuple[Rates, list[int]]:
    return rates, []


def neutral(random: np.random.Generator, rates: Rates, row: Row) -> tuple[Rates, list[int]]:
    """An edit that moves each question up or down; paraphrases of one question move together."""
    moves = random.normal(0, 0.15, (len(rates) // row.paraphrases, rates.shape[1]))
    return np.clip(rates + np.repeat(moves, row.paraphrases, axis=0), 0, 1), []


def drop(
    by: float, share: float, random: np.random.Generator, rates: Rates, _row: Row
) -> tuple[Rates, list[int]]:
    hit = random.choice(len(rates), round(share * len(rates)), replace=False)
    harmed = rates.copy()
    harmed[hit, 0] = np.clip(harmed[hit, 0] - by, 0, 1)
    return harmed, []


def flip(
    cases: int, rate: float, random: np.random.Generator, rates: Rates, _row: Row
) -> tuple[Rates, list[int]]:
    """Good cases that become a flip of a coin, or bad."""
    hit = random.choice(np.flatnonzero(rates[:, 0] == rates[:, 0].max()), cases, replace=False)
    harmed = rates.copy()
    harmed[hit, 0] = rate
    return harmed, hit.tolist()


def collapse(cases: int, random: np.random.Generator, rates: Rates, _row: Row) -> tuple[Rates, list[int]]:
    hit = random.choice(len(rates), cases, replace=False)
    harmed = rates.copy()
    harmed[hit, 0] = 0
    return harmed, hit.tolist()


@dataclass(frozen=True)
class Row:
    """
    A kind of app, what is done to it, and what the gate should make of that.

    Attributes:
        shape: Of the beta distribution of pass rates; None where each answer deviates with `deviates`.
        auto: Repeats by the gate; else this many, fixed.
        steady_baseline: The baseline happens to show no deviation.
        shock: Standard deviation of what moves all answers of a run, in logits.
        runs: That the baseline was merged from.
        metrics: That score the cases.
        suite: Of the golden file, without the means that are watched anyway.
        checks: Of each case.
        alone: Without a shape, checks miss one by one and not as an answer deviates.
        steady: Cases that pass all checks in each answer.
        flips: Share of the answers that a judge takes for the other kind.
        printed: All cases drop by as much as the gate says of this baseline that it sees.
    """

    name: str
    goal: str
    holds: Callable[[Tally], bool]
    change: Change = nothing
    cases: int = 30
    shape: tuple[float, float] | None = (8, 2)
    deviates: float = 0.0
    steady_baseline: bool = False
    recorded: int = 10
    fixed: int = 0
    continuous: bool = False
    paraphrases: int = 1
    grouped: bool = True
    shock: float = 0.0
    runs: int = 1
    metrics: tuple[str, ...] = CHECKS
    suite: tuple[SuiteCheck, ...] = SUITE
    checks: tuple[Check, ...] = ()
    alone: bool = False
    steady: int = 0
    flips: float = 0.0
    printed: bool = False


def at_most(red: float) -> Callable[[Tally], bool]:
    return lambda tally: tally.red <= red


def never_red(tally: Tally) -> bool:
    return tally.red <= 0.01 and tally.undecided <= 0.1


EVERYWHERE = partial(drop, 0.2, 1.0)
THIRD = partial(drop, 0.67, 0.3)
BETAS = ((3, 3), (8, 2), (30, 1.5))

ROWS = (
    Row(
        "nothing changed",
        "≤ 1 % red, ≤ 10 % undecided, ≤ 6 calls",
        lambda t: never_red(t) and round(t.calls, 1) <= 6,
    ),
    Row("neutral edit", "≤ 6 % red", at_most(0.06), neutral),
    Row("-20 points everywhere", "≥ 95 % red, naming the check", lambda t: t.names_check >= 0.95, EVERYWHERE),
    Row("-67 points on 30 % of the cases", "≥ 90 % red", lambda t: t.red >= 0.9, THIRD),
    Row(
        "two cases collapse",
        "≥ 85 % red, naming both, ≤ 4 further calls",
        lambda t: t.names_cases >= 0.85 and t.further <= 4,
        partial(collapse, 2),
    ),
    Row(
        "an app that does not vary, 5 cases collapse",
        "always red, ≤ 2 calls more for each of them",
        lambda t: t.red == t.names_cases == 1 and t.calls <= 1 + 2 * 5 / 30 + 1e-9,
        partial(collapse, 5),
        shape=None,
    ),
    *(
        Row(
            f"nothing changed, {deviates:.0%} of answers deviate, {kind} baseline",
            "≤ 1 % red, ≤ 10 % undecided",
            never_red,
            shape=None,
            deviates=deviates,
            steady_baseline=steady,
        )
        for deviates in (0.01, 0.03, 0.05)
        for kind, steady in (("steady", True), ("varying", False))
    ),
    Row(
        "nothing changed, 3 % of answers deviate, steady baseline of 2 repeats",
        "≤ 1 % red, ≤ 10 % undecided",
        never_red,
        shape=None,
        deviates=0.03,
        steady_baseline=True,
        recorded=2,
    ),
    Row(
        "3 % of answers deviate, steady baseline, 5 cases collapse",
        "always red",
        lambda t: t.red == 1,
        partial(collapse, 5),
        shape=None,
        deviates=0.03,
        steady_baseline=True,
    ),
    *(
        Row(
            f"{what}, {cases} cases, Beta{shape}",
            goal,
            holds,
            change,
            cases=cases,
            shape=shape,
        )
        for cases in (12, 30, 100)
        for shape in BETAS
        for what, goal, holds, change in (
            ("nothing changed", "≤ 1 % red, ≤ 10 % undecided", never_red, nothing),
            ("neutral edit", "≤ 6 % red", at_most(0.06), neutral),
        )
        if (cases, shape) != (30, (8, 2))
    ),
    Row(
        "neutral edit, 6 questions x 5 paraphrases, `group:`",
        "≤ 6 % red",
        at_most(0.06),
        neutral,
        paraphrases=5,
    ),
    Row("nothing changed, 6 x 5, `group:`", "≤ 1 % red", at_most(0.01), paraphrases=5),
    Row("-20 points everywhere, 6 x 5, `group:`", "", lambda _: True, EVERYWHERE, paraphrases=5),
    *(
        Row(
            f"{what}, continuous, bounds in range, {cases} cases",
            goal,
            holds,
            change,
            cases=cases,
            continuous=True,
            checks=IN_RANGE,
        )
        for cases in (12, 30, 100)
        for what, goal, holds, change in (
            ("nothing changed", "≤ 1 % red, ≤ 10 % undecided", never_red, nothing),
            ("neutral edit", "≤ 6 % red", at_most(0.06), neutral),
        )
    ),
    Row(
        "-67 points on 30 % of the cases, continuous",
        "≥ 90 % red; 95 % of the named dropped by their size",
        lambda t: t.red >= 0.9 and t.untrue <= 0.05 * t.called,
        THIRD,
        continuous=True,
        checks=IN_RANGE,
    ),
    Row("run-level shock, logit sd .2, one run recorded", "", lambda _: True, shock=0.2),
    Row(
        "run-level shock, three runs of 10 recorded",
        "≤ 6 % red",
        at_most(0.06),
        shock=0.2,
        recorded=30,
        runs=3,
    ),
    Row(
        "-20 points everywhere, three runs of 10",
        "",
        lambda _: True,
        EVERYWHERE,
        shock=0.2,
        recorded=30,
        runs=3,
    ),
    Row("-20 points everywhere, 12 cases", "", lambda _: True, EVERYWHERE, cases=12),
    Row(
        "-20 points everywhere, 100 cases",
        "≥ 95 % red",
        lambda t: t.names_check >= 0.95,
        EVERYWHERE,
        cases=100,
    ),
    Row("nothing changed, fixed 10/8", "≤ 5 % red", at_most(0.05), fixed=8),
    Row("neutral edit, fixed 10/8", "≤ 6 % red", at_most(0.06), neutral, fixed=8),
    Row("-20 points everywhere, fixed 10/8", "≥ 95 %", lambda t: t.names_check >= 0.95, EVERYWHERE, fixed=8),
    Row("-20 points everywhere, fixed 10/8, 12 cases", "", lambda _: True, EVERYWHERE, fixed=8, cases=12),
    Row("-67 points on 30 %, fixed 10/8", "≥ 90 % red", lambda t: t.red >= 0.9, THIRD, fixed=8),
    Row("two cases collapse, fixed 10/8", "", lambda _: True, partial(collapse, 2), fixed=8),
    *(
        Row(
            f".92 to .6, {what}",
            "≥ 95 % red, naming the check",
            lambda t: t.names_check >= 0.95,
            partial(drop, 0.32, 1.0),
            shape=(46, 4),
            suite=suite,
        )
        for what, suite in (("no suite", ()), ("a suite of another check", (watch(CHECKS[1]),)))
    ),
    *(
        Row(
            f"a judge's scores of 1 to 5, {flips:.0%} flips, {what}, {name}",
            goal,
            holds,
            change,
            metrics=("judge",),
            checks=(RUBRIC,),
            suite=suite,
            flips=flips,
        )
        for flips in (0.1, 0.2)
        for name, suite in (("no suite", ()), ("max_drop .2", (watch("judge", 0.2),)))
        for what, goal, holds, change in (
            ("nothing changed", "≤ 1 % red, ≤ 10 % undecided", never_red, nothing),
            ("6 cases good to bad", "≥ 90 % red", lambda t: t.red >= 0.9, partial(flip, 6, flips)),
        )
    ),
    *(
        Row(
            f"steady baseline, {by:g} of each check's answers lost, {cases} cases",
            "≥ 95 % red; error ≤ .01; 90 % of the intervals contain the true drop",
            lambda t: t.names_check >= 0.95 and abs(t.error) <= 0.01 and t.covers >= 0.9,
            partial(drop, by, 1.0),
            shape=None,
            alone=True,
            cases=cases,
        )
        for by, cases in ((0.2, 30), (0.1, 100))
    ),
    *(
        Row(
            f"three steady cases become coin flips, {what}, {len(metrics)} checks",
            "≥ 90 % red",
            lambda t: t.red >= 0.9,
            partial(flip, 3, 0.5),
            shape=shape,
            steady=steady,
            checks=HELD[: len(metrics)],
            metrics=metrics,
            suite=SUITE[: len(metrics)],
            fixed=fixed,
            alone=True,
        )
        for metrics in (CHECKS[:1], CHECKS)
        for what, shape, steady, fixed in (
            ("no case varies", None, 30, 0),
            ("3 of 30 vary", (8, 2), 27, 0),
            ("15 of 30 vary", (8, 2), 15, 0),
            ("15 of 30 vary, fixed 10/20", (8, 2), 15, 20),
        )
    ),
    *(
        Row(
            f"one case that always passed passes 40 %, the others vary, {len(metrics)} checks",
            "",
            lambda _: True,
            partial(flip, 1, 0.4),
            steady=1,
            checks=HELD[: len(metrics)],
            metrics=metrics,
            suite=SUITE[: len(metrics)],
            alone=True,
        )
        for metrics in (CHECKS[:1], CHECKS)
    ),
    *(
        Row(
            f"the drop that is printed, {what}",
            "70 to 95 % red, naming the check",
            lambda t: 0.7 <= t.names_check <= 0.95,
            printed=True,
            **options,
        )
        for what, options in (
            ("max_drop .05", {}),
            ("no suite", {"suite": ()}),
            ("fixed 10/8", {"fixed": 8}),
            ("12 cases, Beta(3, 3)", {"cases": 12, "shape": (3, 3)}),
        )
    ),
    *(
        Row(
            f"{name}, {steady} of 30 cases steady, {len(metrics)} checks",
            goal,
            holds,
            change,
            steady=steady,
            checks=HELD[: len(metrics)],
            metrics=metrics,
            suite=SUITE[: len(metrics)],
        )
        for metrics in (CHECKS[:1], CHECKS)
        for steady in (15, 27)
        for name, goal, holds, change in (
            ("nothing changed", "≤ 1 % red, ≤ 10 % undecided", never_red, nothing),
            ("neutral edit", "≤ 6 % red", at_most(0.06), neutral),
        )
        if change is nothing or steady < 27  # a perfect case can only fall: 27 lose max_drop
    ),
)


def draw(random: np.random.Generator, rates: Rates, repeats: int, row: Row) -> Rates:
    """Scores of shape (repeats, cases, checks): held or missed, or how well, with the rate as mean."""
    if row.metrics == ("judge",):  # from 1 to 5; it takes a good answer for a bad one and the other way round
        good = random.random((repeats, *rates.shape)) < rates
        return random.integers(0, 2, good.shape) + np.where(good, 4.0, 1.0)
    if row.shape is None and not row.alone:  # an answer that deviates misses every check
        deviates = random.random((repeats, len(rates), 1)) < row.deviates
        return np.where(deviates, 0.0, (rates > 0).astype(float))
    if row.shock:
        logits = np.log(np.clip(rates, 1e-3, 1 - 1e-3) / (1 - np.clip(rates, 1e-3, 1 - 1e-3)))
        rates = 1 / (1 + np.exp(-logits - random.normal(0, row.shock)))
    if row.continuous:
        spread = np.clip(rates, 0.02, 0.98)
        return random.beta(6 * spread, 6 * (1 - spread), (repeats, *rates.shape))
    return (random.random((repeats, *rates.shape)) < rates).astype(float)


class Side:
    """One side's results, as the gate sees them after so many repeats of a case."""

    def __init__(self, scores: Rates, row: Row, *, base: bool = False) -> None:
        alike = row.shape is None
        cases = scores.shape[1]
        self._row = row
        self._runs = (row.recorded // row.runs,) * row.runs if base and row.runs > 1 else ()
        self._texts = alike
        self._drawn = scores.transpose(1, 0, 2).tolist()
        self._outputs: list[list[Output]] = [[] for _ in range(cases)]
        self._scores: list[list[Score]] = [[] for _ in range(cases)]
        self._made: dict[tuple[int, int], CaseResult] = {}

    def result(self, case: int, repeats: int) -> CaseResult:
        if (case, repeats) in self._made:
            return self._made[case, repeats]
        row = self._row
        self._make(case, repeats)
        result = CaseResult(
            case=f"case-{case}",
            input_hash="",
            outputs=tuple(self._outputs[case][:repeats]),
            scores=tuple(self._scores[case][: repeats * len(row.metrics)]),
            checks=row.checks,
            auto=0 if row.fixed else MOST,
            group=f"question-{case // row.paraphrases}" if row.paraphrases > 1 and row.grouped else "",
            runs=self._runs,
        )
        self._made[case, repeats] = result
        return result

    def _make(self, case: int, repeats: int) -> None:
        """The first records of a case, which a run seldom needs all of."""
        outputs, scores = self._outputs[case], self._scores[case]
        for repeat, drawn in enumerate(self._drawn[case][len(outputs) : repeats], start=len(outputs)):
            text = "".join(map(str, drawn)) if self._texts else str(repeat)
            outputs.append(Output(text=text, repeat=repeat))
            for metric, value in zip(self._row.metrics, drawn, strict=True):
                scores.append(Score(metric=metric, value=value, repeat=repeat))


def record(random: np.random.Generator, rates: Rates, row: Row) -> Rates:
    """The baseline's scores; one that happens to be steady is drawn as such."""
    if row.steady_baseline:
        row = replace(row, deviates=0.0)
    parts = [draw(random, rates, row.recorded // row.runs, row) for _ in range(row.runs)]
    return np.concatenate(parts)


def printed_drop(before: Rates, row: Row) -> float:
    """The drop of the first check that the gate says it sees."""
    side = Side(before, row, base=True)
    base = [side.result(case, row.recorded) for case in range(row.cases)]
    suite = {"": add_means(row.suite, row.metrics)}
    drops = find_detectable_drops(
        suite,
        base,
        repeats=row.fixed or plan_looks(MOST).planned[-1],
        steady=False,
        most=0 if row.fixed else MOST,
    )
    return drops[0].smallest_drop or 0.0


def simulate(place: int, seed: int) -> Tally:
    """A run of the row at that place of `ROWS`, whose functions no process could be sent."""
    row = ROWS[place]
    random = np.random.default_rng(seed)
    shape = (row.cases, len(row.metrics))
    rates = np.ones(shape) if row.shape is None else random.beta(*row.shape, shape)
    rates[: row.steady] = 1.0
    if row.flips:
        rates = np.where(random.random(shape) < 0.9, 1 - row.flips, row.flips)
    changed, hit = row.change(random, rates, row)
    before = record(random, rates, row)
    if row.printed:
        changed = np.clip(rates - [[printed_drop(before, row)] + [0.0] * (rates.shape[1] - 1)], 0, 1)
    after = draw(random, changed, row.fixed or MOST, row)
    recorded, made = Side(before, row, base=True), Side(after, row)
    base = [recorded.result(case, row.recorded) for case in range(row.cases)]
    suite = {"": add_means(row.suite, row.metrics)}
    planner = RepeatPlanner(
        base={result.case: result for result in base},
        suite=suite,
        most=MOST,
        budget=CaseBudget(tests=row.cases * len(row.metrics)),
    )
    asked = dict.fromkeys(range(row.cases), row.fixed or 1)
    while True:
        results = [made.result(case, asked[case]) for case in range(row.cases)]
        wanted = planner.next_repeats(results)
        if not wanted:
            break
        asked |= {int(case.removeprefix("case-")): repeats for case, repeats in wanted.items()}
    run = Run(signature={}, results=tuple(results), suite=suite)
    compared = compare(Run(signature={}, results=tuple(base)), run)
    named = [change for change in compared.changed if change.confirmed and change.after < change.before]
    shared = min(asked.values())
    first = next(
        verdict for verdict in compared.verdicts if verdict.check.startswith(f"{row.metrics[0]} mean")
    )
    true = _expected(changed, row) - _expected(
        rates, replace(row, deviates=row.deviates * (not row.steady_baseline))
    )
    low, high = first.interval or (0.0, 0.0)
    return Tally(
        red=compared.outcome in {"regressed", "failed", "error"},
        undecided=any(verdict.outcome == "undecided" for verdict in compared.verdicts),
        names_check=any(
            verdict.outcome == "regressed" and row.metrics[0] in verdict.check
            for verdict in compared.verdicts
        ),
        names_cases={f"case-{case}" for case in hit} <= {change.case for change in named},
        calls=sum(asked.values()) / row.cases,
        further=sum(asked.values()) / row.cases - shared,
        called=len(named),
        untrue=sum(not _dropped_by_size(change.case, change.metric, rates, changed, row) for change in named),
        error=(first.difference or 0.0) - true,
        covers=low - 1e-9 <= true <= high + 1e-9,
    )


def _expected(rates: Rates, row: Row) -> float:
    """The true mean of the first check."""
    if row.metrics == ("judge",):
        return float(np.mean(1.5 + 3 * rates[:, 0]))
    if row.shape is None and not row.alone:
        return float(np.mean(rates[:, 0] > 0)) * (1 - row.deviates)
    return float(np.mean(rates[:, 0]))


def _dropped_by_size(case: str, metric: str, rates: Rates, changed: Rates, row: Row) -> bool:
    """Whether the true mean lost half of itself, the size that counts where nothing else is written."""
    at = int(case.removeprefix("case-")), row.metrics.index(metric)
    return bool(rates[at] - changed[at] >= rates[at] / 2 - 1e-9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    given = parser.parse_args()
    print(
        "| row | goal | red | undecided | named: check, cases | calls (further) | error, covers | held | s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(initializer=gc.disable) as pool:  # nothing here refers to itself
        for place, row in enumerate(ROWS):
            if given.only not in row.name:
                continue
            started = time.perf_counter()
            seeds = range(given.seed, given.seed + given.runs)
            tallies = list(pool.map(partial(simulate, place), seeds, chunksize=max(1, given.runs // 100)))
            tally = Tally(
                **{
                    name: float(np.mean([getattr(each, name) for each in tallies]))
                    for name in Tally.__annotations__
                }
            )
            print(
                f"| {row.name} | {row.goal} | {tally.red:.2%} | {tally.undecided:.1%} "
                f"| {tally.names_check:.1%}, {tally.names_cases:.1%} "
                f"| {tally.calls:.2f} ({tally.further:.2f}) | {tally.error:+.3f}, {tally.covers:.0%} "
                f"| {'yes' if row.holds(tally) else 'NO'} "
                f"| {time.perf_counter() - started:.0f} s |"
                + (
                    f" untrue {tally.untrue:.3f} of {tally.called:.3f}"
                    if tally.called and row.continuous
                    else ""
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
