"""
How often the gate is right over many runs: baselines that follow, releases, days and copies.

Apps are simulated as in `gate.py`, whose cases, checks and draws these are; the gate is the real one.
Usage: python benchmarks/gate_baselines.py [--runs 200] [--only WORDS] [--seed 0]
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from gate import CHECKS, MOST, SUITE, Rates, Row, Side, draw

from pytest_llmops import compare, run_golden
from pytest_llmops.gates.baseline import AcceptOptions
from pytest_llmops.gates.baseline import accept as accept_run
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.release import Release, ReleasePlanner, last_share
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.records import (
    Bound,
    Case,
    CaseResult,
    Check,
    Comparison,
    Golden,
    Run,
    Sample,
    Score,
    SuiteCheck,
)
from pytest_llmops.registry import register_metric
from pytest_llmops.settings import Settings

CASES = 30
RECORDED = 10
MERGES = 10
PLAIN = Row("", "", lambda _: True)


@dataclass(frozen=True)
class Tally:
    """What came of a chain or a run, or the mean of many; calls are a case's in a run."""

    red: float
    undecided: float
    calls: float


def judge(base: list[CaseResult], new: Side, release: Release | None = None) -> tuple[Comparison, float]:
    """A run that the planner repeats while a verdict is open, compared; and its calls a case."""
    share = 0.7
    planner: RepeatPlanner | ReleasePlanner = RepeatPlanner(
        base={result.case: result for result in base},
        suite={"": SUITE},
        most=MOST,
        budget=CaseBudget(tests=len(base) * len(CHECKS)),
        share=last_share(share, release),
    )
    if release is not None:
        planner = ReleasePlanner(last=planner, release=release, share=share)
    repeats = dict.fromkeys(range(len(base)), 1)
    while True:
        results = [new.result(case, repeats[case]) for case in range(len(base))]
        wanted = planner.next_repeats(results)
        if not wanted:
            break
        repeats |= {int(case.removeprefix("case-")): step for case, step in wanted.items()}
    run = Run(signature={}, results=tuple(results), suite={"": SUITE})
    compared = compare(Run(signature={}, results=tuple(base)), run, release=release)
    return compared, sum(repeats.values()) / len(base)


def is_red(compared: Comparison) -> bool:
    return compared.outcome in {"regressed", "failed", "error"}


def accept(random: np.random.Generator, rates: Rates) -> list[CaseResult]:
    """The baseline of an app with these rates, with all its repeats."""
    side = Side(draw(random, rates, RECORDED, PLAIN), PLAIN, base=True)
    return [side.result(case, RECORDED) for case in range(len(rates))]


def at_most(share: float, tally: Tally) -> bool:
    return tally.red <= share


def walk(seed: int, *, by: float, keeps_release: bool, checks: int = len(CHECKS)) -> Tally:
    """Ten merges that each lose so many points of every check; each one is accepted."""
    random = np.random.default_rng(seed)
    rates = random.beta(8, 2, (CASES, len(CHECKS)))
    base = accept(random, rates)
    release = Release(name="1", run=Run(signature={}, results=tuple(base))) if keeps_release else None
    red = undecided = calls = 0.0
    for _ in range(MERGES):
        rates = rates.copy()
        rates[:, :checks] = np.clip(rates[:, :checks] - by, 0, 1)
        compared, made = judge(base, Side(draw(random, rates, MOST, PLAIN), PLAIN), release)
        red += is_red(compared)
        undecided += any(verdict.outcome == "undecided" for verdict in compared.verdicts)
        calls += made
        base = accept(random, rates)
    chain = red > 0 if by else red / MERGES
    return Tally(red=chain, undecided=undecided / MERGES, calls=calls / MERGES)


def compare_days(
    seed: int,
    *,
    days: int = 1,
    shock: float = 0.0,
    topics: int = 1,
    copies: str = "",
    shape: tuple[float, float] = (8, 2),
    loses: float = 0.0,
    sticks: float = 0.0,
) -> Tally:
    """
    A run of another day than those of the baseline.

    Args:
        shock: Standard deviation of what moves all cases of a topic on a day, in logits.
        copies: `known` or `unknown` to the gate: a cache answers all repeats of a day with the first.
        loses: Points that every case of one check loses.
        sticks: The chance that a repeat comes out as the one before it.
    """
    random = np.random.default_rng(seed)
    rates = random.beta(*shape, (CASES, len(CHECKS)))

    def draw_day(truth: Rates, repeats: int) -> Rates:
        kept = np.clip(truth, 1e-3, 1 - 1e-3)
        moves = np.repeat(random.normal(0, shock, topics), CASES // topics)[:, None]
        moved = 1 / (1 + np.exp(-np.log(kept / (1 - kept)) - moves)) if shock else truth
        if copies:
            return np.repeat(draw(random, moved, 1, PLAIN), repeats, axis=0)
        scores = draw(random, moved, repeats, PLAIN)
        for repeat in range(1, repeats):
            same = random.random(moved.shape) < sticks
            scores[repeat] = np.where(same, scores[repeat - 1], scores[repeat])
        return scores

    harmed = rates.copy()
    harmed[:, 0] = np.clip(harmed[:, 0] - loses, 0, 1)
    merged: Run | None = None
    for day in range(days):
        side = Cached(draw_day(rates, RECORDED), copies, day)
        results = [side.result(case, RECORDED) for case in range(CASES)]
        run = Run(signature={}, results=tuple(results))
        merged = accept_run(merged, run, AcceptOptions(merge=merged is not None)).baseline
    base = list(merged.results) if merged else []
    compared, calls = judge(base, Cached(draw_day(harmed, MOST), copies, days))
    undecided = any(verdict.outcome == "undecided" for verdict in compared.verdicts)
    return Tally(red=is_red(compared), undecided=undecided, calls=calls)


class Cached(Side):
    """Results whose texts are alike where a cache answered, which the gate may know or not."""

    def __init__(self, scores: Rates, copies: str, day: int) -> None:
        super().__init__(scores, PLAIN)
        self._copies, self._day = copies, day

    def result(self, case: int, repeats: int) -> CaseResult:
        result = super().result(case, repeats)
        if not self._copies:
            outputs = (replace(output, text=f"{self._day} {output.text}") for output in result.outputs)
            return replace(result, outputs=tuple(outputs))
        draw = "".join(f"{score.value:g}" for score in result.scores[: len(CHECKS)])
        copied = tuple(replace(output, text=draw) for output in result.outputs)
        known = tuple(range(1, repeats)) if self._copies == "known" else ()
        return replace(result, outputs=copied, copies=known)


class OverloadedError(Exception):
    """A provider's answer with status 429 that asks to be called again at once."""

    status_code = 429
    response = SimpleNamespace(status_code=429, headers={"retry-after": "0"})


def fail_at_times(seed: int, *, share: float) -> Tally:
    """An app that did not change, run by the plugin itself, whose provider fails in a share of the calls."""
    random = np.random.default_rng(seed)
    rates = dict(enumerate(random.beta(8, 2, CASES)))

    def answer(question: str) -> str:
        if random.random() < share:
            raise OverloadedError("too many requests")
        return f"{'yes' if random.random() < rates[int(question)] else 'no'} {random.random()}"

    check = Check(metric="keywords", comparison=">=", threshold=1.0, options={"all": ["yes"]})
    golden = Golden(
        path="golden.yaml",
        cases=tuple(Case(id=f"c{at}", input=str(at), checks=(check,)) for at in range(CASES)),
    )
    base = run_golden(golden, answer, repeats=RECORDED)
    run = run_golden(golden, answer, baseline=base, repeats="auto")
    compared = compare(base, run)
    undecided = any(verdict.outcome == "undecided" for verdict in compared.verdicts)
    calls = sum(len(result.outputs) for result in run.results) / CASES
    return Tally(red=is_red(compared), undecided=undecided, calls=calls)


class Judged:
    """A judge's scores: the quality that an output names, times how lenient it is today, and noise."""

    name, version, needs, range = "judged", 1, frozenset[str](), (0.0, 1.0)
    higher_is_better, bound = True, Bound(comparison=">=", threshold=0.1)

    random = np.random.default_rng()
    lenient = 1.0

    def score(self, batch: Sequence[Sample]) -> list[Score]:
        """One score for each sample, never above 1."""
        return [
            Score(metric=self.name, value=min(1.0, self.lenient * self._rate(sample)), signature="judged")
            for sample in batch
        ]

    def _rate(self, sample: Sample) -> float:
        quality = float(sample.output.text.split()[0])
        return float(np.clip(quality + self.random.normal(0, 0.02), 0, 1))


def judge_days(seed: int, *, lenient: float, anchors: int = 0, loses: float = 0.0) -> Tally:
    """
    A judge that is stricter or more lenient in the run than in the baseline, run by the plugin.

    Args:
        lenient: What the run's scores are multiplied with.
        anchors: Stored outputs that are judged in both runs.
        loses: Share of its quality that each answer of the app loses.
    """
    register_metric("judged", Judged)
    random = np.random.default_rng(seed)
    qualities = random.beta(8, 2, CASES)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        stored = [
            {"id": f"a{at}", "input": str(at), "output": f"{quality:.4f} stored"}
            for at, quality in enumerate(random.beta(8, 2, anchors))
        ]
        (root / "anchors.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in stored))
        check = Check(metric="judged", comparison=">=", threshold=0.1)
        suite = SuiteCheck(metric="judged", statistic="mean", comparison=None, threshold=None, max_drop=0.01)
        golden = Golden(
            path="golden.yaml",
            anchors="anchors.jsonl" if anchors else "",
            cases=tuple(Case(id=f"c{at}", input=str(at), checks=(check,)) for at in range(CASES)),
            suite=(suite,),
        )

        def run(today: float, kept: float, base: Run | None) -> Run:
            def answer(question: str) -> str:
                quality = float(np.clip(qualities[int(question)] * kept + random.normal(0, 0.03), 0, 1))
                return f"{quality:.4f} {random.random()}"

            Judged.random, Judged.lenient = random, today
            return run_golden(
                golden,
                answer,
                baseline=base,
                repeats=RECORDED if base is None else "auto",
                settings=Settings(root=root),
            )

        base = run(1.0, 1.0, None)
        later = run(lenient, 1.0 - loses, base)
    compared = compare(base, later)
    undecided = any(verdict.outcome == "undecided" for verdict in compared.verdicts)
    calls = sum(len(result.outputs) for result in later.results) / CASES
    return Tally(red=is_red(compared), undecided=undecided, calls=calls)


Simulation = Callable[[int], Tally]
ROWS: tuple[tuple[str, str, Callable[[Tally], bool], Simulation], ...] = (
    (
        "ten merges of -2 points in one check, no release: chains red",
        "",
        lambda _: True,
        partial(walk, by=0.02, keeps_release=False, checks=1),
    ),
    (
        "ten merges of -2 points in one check, a release: chains red",
        "≥ 90 % red",
        lambda tally: tally.red >= 0.9,
        partial(walk, by=0.02, keeps_release=True, checks=1),
    ),
    (
        "ten merges that change nothing, no release: runs red",
        "≤ 1 % red",
        lambda tally: tally.red <= 0.01,
        partial(walk, by=0.0, keeps_release=False),
    ),
    (
        "ten merges that change nothing, a release: runs red",
        "≤ 1 % red",
        lambda tally: tally.red <= 0.01,
        partial(walk, by=0.0, keeps_release=True),
    ),
    *(
        (
            f"nothing changed, copies {known} to the gate, {shape_name}, {days} merged",
            "≤ 1 % red" if known == "known" or days > 2 else "",
            partial(at_most, 0.01 if known == "known" or days > 2 else 1.0),
            partial(compare_days, days=days, copies=known, shape=shape),
        )
        for known, days in (("known", 1), ("unknown", 1), ("unknown", 5))
        for shape, shape_name in (((8, 2), "Beta(8, 2)"), ((99, 1), "Beta(99, 1)"))
    ),
    *(
        (
            f"{'-20 points' if loses else 'nothing changed'}, {sticks:.0%} as the one before, {days} merged",
            "≤ 5 % red" if days > 1 and not loses else "",
            partial(at_most, 0.05 if days > 1 and not loses else 1.0),
            partial(compare_days, days=days, sticks=sticks, loses=loses),
        )
        for loses in (0.0, 0.2)
        for sticks in (0.2, 0.5)
        for days in (1, 3)
    ),
    *(
        (
            f"{'-20 points' if loses else 'nothing changed'}, {what}, logit sd {shock}, {days} merged",
            "≤ 5 % red" if days > 1 and not loses else "",
            partial(at_most, 0.05 if days > 1 and not loses else 1.0),
            partial(compare_days, days=days, shock=shock, topics=topics, loses=loses),
        )
        for what, topics in (("day by topic", 5), ("day of all answers", 1))
        for loses in (0.0, 0.2)
        for shock in (0.3, 0.5)
        for days in (1, 3, 5)
    ),
)


ROWS += (
    (
        "nothing changed, a provider fails in 1 % of calls, one check",
        "≤ 1 % red",
        partial(at_most, 0.01),
        partial(fail_at_times, share=0.01),
    ),
    *(
        (
            f"{'-5 points' if loses else 'nothing changed'}, a judge's scores x {lenient}, {anchors} anchors",
            "≤ 1 % red" if not loses and (anchors or lenient == 1) else "≥ 90 % red" if loses else "",
            partial(at_most, 0.01 if not loses and (anchors or lenient == 1) else 1.0)
            if not loses
            else lambda tally: tally.red >= 0.9,
            partial(judge_days, lenient=lenient, anchors=anchors, loses=loses),
        )
        for loses, lenient, anchors in (
            (0.0, 1.0, 0),
            (0.0, 0.98, 0),
            (0.0, 0.98, 8),
            (0.0, 0.98, 20),
            (0.05, 0.98, 8),
            (0.05, 0.98, 20),
        )
    ),
)


def simulate(place: int, seed: int) -> Tally:
    return ROWS[place][-1](seed)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    given = parser.parse_args()
    print("| row | goal | red | undecided | calls a case | held | time |")
    print("|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(initializer=gc.disable) as pool:  # nothing here refers to itself
        for place, (name, goal, holds, _) in enumerate(ROWS):
            if given.only not in name:
                continue
            started = time.perf_counter()
            seeds = range(given.seed, given.seed + given.runs)
            tallies = list(pool.map(partial(simulate, place), seeds, chunksize=max(1, given.runs // 100)))
            red, undecided, calls = (
                float(np.mean([getattr(tally, part) for tally in tallies]))
                for part in ("red", "undecided", "calls")
            )
            held = "yes" if holds(Tally(red=red, undecided=undecided, calls=calls)) else "NO"
            print(
                f"| {name} | {goal} | {red:.2%} | {undecided:.1%} | {calls:.2f} | {held} "
                f"| {time.perf_counter() - started:.0f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
