"""
How often the gate is right: share of simulated runs that turn red, and the calls they took.

The app is simulated, the gate is the real one: its looks decide on repeats, `compare` decides on red.
30 cases, 8 checks, pass rates Beta(8, 2), a baseline of 10 repeats; only one check is harmed in the
harmful scenarios. Usage: python benchmarks/gate.py [--runs 2000] [--cases 30] [--continuous]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

# One process a core does the work, and each has small matrices.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from pytest_llmops import compare
from pytest_llmops.gates.asking import Asking
from pytest_llmops.records import CaseResult, Check, Output, Run, Score, SuiteCheck
from pytest_llmops.settings import Settings

CHECKS = tuple(f"recall@{k}" for k in range(1, 9))
BASELINE_REPEATS = 10
MOST = Settings().max_repeats
SUITE = {
    "": tuple(
        SuiteCheck(metric=metric, statistic="mean", comparison=None, threshold=None, max_drop=0.05)
        for metric in CHECKS
    )
}
LENIENT = tuple(Check(metric=metric, comparison=">=", threshold=0.3) for metric in CHECKS)
"""What a continuous score of a case must hold; a score of pass or miss must hold 1, by the metric itself."""

Rates = NDArray[np.float64]  # shape (cases, checks)
Change = Callable[[np.random.Generator, Rates], tuple[Rates, list[int]]]


@dataclass(frozen=True)
class Tally:
    """What came of a run, or the mean of many; calls are a case's, further ones those of suspects alone."""

    red: float
    names_check: float
    names_cases: float
    calls: float
    further: float


@dataclass(frozen=True)
class Scenario:
    """`change` takes the pass rates and gives those after it, with the cases that have to be named."""

    name: str
    goal: str
    holds: Callable[[Tally], bool]
    change: Change
    steady: bool = False


def nothing(_: np.random.Generator, rates: Rates) -> tuple[Rates, list[int]]:
    return rates, []


def neutral(random: np.random.Generator, rates: Rates) -> tuple[Rates, list[int]]:
    return np.clip(rates + random.normal(0, 0.15, rates.shape), 0, 1), []


def drop(by: float, share: float, random: np.random.Generator, rates: Rates) -> tuple[Rates, list[int]]:
    hit = random.choice(len(rates), round(share * len(rates)), replace=False)
    harmed = rates.copy()
    harmed[hit, 0] = np.clip(harmed[hit, 0] - by, 0, 1)
    return harmed, []


def collapse(cases: int, random: np.random.Generator, rates: Rates) -> tuple[Rates, list[int]]:
    hit = random.choice(len(rates), cases, replace=False)
    harmed = rates.copy()
    harmed[hit, 0] = 0
    return harmed, hit.tolist()


SCENARIOS = (
    Scenario("nothing changed", "≤ 5 % red, ≤ 6 calls", lambda t: t.red <= 0.05 and t.calls <= 6, nothing),
    Scenario("neutral edit", "≤ 6 % red", lambda t: t.red <= 0.06, neutral),
    Scenario(
        "-20 points everywhere",
        "≥ 95 % red, naming the check",
        lambda t: t.names_check >= 0.95,
        partial(drop, 0.2, 1.0),
    ),
    Scenario("-67 points on 30 % of cases", "≥ 90 % red", lambda t: t.red >= 0.9, partial(drop, 0.67, 0.3)),
    Scenario(
        "two cases collapse",
        "≥ 85 % red, naming both, ≤ 4 further calls",
        lambda t: t.names_cases >= 0.85 and t.further <= 4,
        partial(collapse, 2),
    ),
    Scenario(
        "deterministic app, one document lost",
        "always red, 1 call",
        lambda t: t.red == 1 and t.calls == 1,
        partial(collapse, 5),
        steady=True,
    ),
)


def draw(random: np.random.Generator, rates: Rates, repeats: int, *, steady: bool, continuous: bool) -> Rates:
    """Scores of shape (repeats, cases, checks): held or missed, or how well, with the rate as mean."""
    if continuous and not steady:
        spread = np.clip(rates, 0.02, 0.98)
        return random.beta(6 * spread, 6 * (1 - spread), (repeats, *rates.shape))
    return (random.random((repeats, *rates.shape)) < rates).astype(float)


def result_of(case: int, scores: Rates, repeats: int, *, steady: bool, continuous: bool) -> CaseResult:
    """The first repeats of a case as the gate sees them."""
    return CaseResult(
        case=f"case-{case}",
        input_hash="",
        outputs=tuple(Output(text="" if steady else str(each), repeat=each) for each in range(repeats)),
        scores=tuple(
            Score(metric=metric, value=float(scores[repeat, case, check]), repeat=repeat)
            for repeat in range(repeats)
            for check, metric in enumerate(CHECKS)
        ),
        checks=LENIENT if continuous else (),
        auto=MOST,
    )


def simulate(change: Change, cases: int, seed: int, *, steady: bool, continuous: bool) -> Tally:
    random = np.random.default_rng(seed)
    rates = np.ones((cases, len(CHECKS))) if steady else random.beta(8, 2, (cases, len(CHECKS)))
    changed, hit = change(random, rates)
    before = draw(random, rates, BASELINE_REPEATS, steady=steady, continuous=continuous)
    after = draw(random, changed, MOST, steady=steady, continuous=continuous)
    kind = {"steady": steady, "continuous": continuous}
    base = [result_of(case, before, BASELINE_REPEATS, **kind) for case in range(cases)]
    asking = Asking(
        base={result.case: result for result in base}, suite=SUITE, most=MOST, tests=cases * len(CHECKS)
    )
    asked = dict.fromkeys(range(cases), 1)
    shared = 1
    while True:
        results = [result_of(case, after, asked[case], **kind) for case in range(cases)]
        wanted = asking.next_repeats(results)
        if not wanted:
            break
        asked |= {int(case.removeprefix("case-")): repeats for case, repeats in wanted.items()}
        shared = min(asked.values())
    run = Run(signature={}, results=tuple(results), suite=SUITE)
    compared = compare(Run(signature={}, results=tuple(base)), run)
    named = {change.case for change in compared.changed if change.confirmed}
    return Tally(
        red=compared.outcome == "regressed",
        names_check=any(
            each.outcome == "regressed" and CHECKS[0] in each.check for each in compared.verdicts
        ),
        names_cases={f"case-{case}" for case in hit} <= named,
        calls=sum(asked.values()) / cases,
        further=sum(asked.values()) / cases - shared,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--cases", type=int, default=30)
    parser.add_argument("--continuous", action="store_true")
    given = parser.parse_args()
    print("| scenario | goal | red | naming check / cases | calls a case (further) | held | time |")
    print("|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor() as pool:
        for scenario in SCENARIOS:
            started = time.perf_counter()
            work = partial(
                simulate, scenario.change, given.cases, steady=scenario.steady, continuous=given.continuous
            )
            told = list(pool.map(work, range(given.runs), chunksize=20))
            tally = Tally(
                **{
                    name: float(np.mean([getattr(each, name) for each in told]))
                    for name in Tally.__annotations__
                }
            )
            print(
                f"| {scenario.name} | {scenario.goal} | {tally.red:.3f} "
                f"| {tally.names_check:.2f} / {tally.names_cases:.2f} "
                f"| {tally.calls:.2f} ({tally.further:.2f}) | {'yes' if scenario.holds(tally) else 'NO'} "
                f"| {time.perf_counter() - started:.0f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
