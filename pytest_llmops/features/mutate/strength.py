"""Strength of a golden set: the shares of mutants that it kills, and the checks that kill them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_llmops.bounds import describe_check, format_bound, holds
from pytest_llmops.features.mutate.kinds import GROUPS, LIES_KEY, MUTED, Kind, kinds_of
from pytest_llmops.features.mutate.trials import Trial, checks_that_count
from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import Bound, Golden, Outcome, Verdict
from pytest_llmops.registry import find_traits
from pytest_llmops.statistics.bootstrap import measure_with_intervals
from pytest_llmops.statistics.intervals import Measure, bound_share

MEASURED = "mutation"
_WORDS = "lies by words, since the answers are in a language in which none can be made"
_OF_ANY_LANGUAGE = {("output", "number"), ("output", "date")}
_NOTHING_TO_CHANGE = "no case has anything for it to change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """
    The share of mutants that are killed.

    Undecided ones are more often those that would survive, since a check that could be asked may have killed
    the others. So a share of the decided ones alone would flatter, and there is none.

    Attributes:
        value: None where a mutant is undecided; `at_least` counts those as survived, `at_most` as killed.
        low: Of the interval over cases, drawn with their group, from `at_least`; `high` is from `at_most`.
            None where no interval can be made.
        killed: Mutants that a check found, and those that broke the app; `errors` counts the latter.
        survived: Mutants that stayed green.
        undecided: Mutants that a check could not be asked about.
    """

    group: str
    kind: str
    at_least: float
    at_most: float
    low: float | None
    high: float | None
    killed: int
    errors: int
    survived: int
    undecided: int

    @property
    def value(self) -> float | None:
        return self.at_least if self.tried and not self.undecided else None

    @property
    def tried(self) -> int:
        return self.killed + self.survived + self.undecided


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStrength:
    """
    The mutants that one check of one golden file found.

    Attributes:
        low: Of the interval of the share that it killed, as `high`.
        alone: Of those that it killed, the ones that no other check killed.
        is_dead: What it kills, checks that are not dead kill too, so that all dead ones may go.
        finds_leaks: It looks for leaks or attacks, which no mutant here is.
    """

    golden: str
    check: str
    tried: int
    killed: int
    low: float
    high: float
    alone: int
    is_dead: bool
    finds_leaks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """
    The result of a measurement.

    Attributes:
        goldens: The golden files that were measured.
        total: Of all kinds; `groups` and `kinds` are rates of their own, and `lies` is that of fluent ones.
        not_tried: Group, or `group/kind` of one that was tried, to the reason why nothing of it was tried.
        unread: Cases whose answers are in a language whose words cannot be turned.
        verdicts: Of the bounds under `mutation`.
        proposed: By golden file, bounds for one that has none.
    """

    goldens: tuple[Golden, ...]
    trials: tuple[Trial, ...]
    total: Rate
    groups: tuple[Rate, ...]
    kinds: tuple[Rate, ...]
    lies: Rate
    checks: tuple[CheckStrength, ...]
    not_tried: Mapping[str, str] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    proposed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    @property
    def survivors(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.outcome == "survived"]

    def was_wanted(self, group: str, kind: str) -> bool:
        """Return whether mutants of a kind were tried, or were to be."""
        names = {group, f"{group}/{kind}"}
        return not names.isdisjoint(self.not_tried) or any(
            (rate.group, rate.kind) == (group, kind) for rate in self.kinds
        )


def measure_strength(
    goldens: Sequence[Golden],
    trials: Sequence[Trial],
    not_tried: Mapping[str, str],
    wanted: Iterable[Kind],
    unread: Iterable[str] = (),
) -> Strength:
    """
    Measure what share of mutants the checks of golden files kill.

    Args:
        not_tried: Group, or `group/kind`, to the reason why nothing of it can be tried.
        wanted: The kinds that were to be tried.
        unread: Cases whose answers are in a language whose words cannot be turned.
    """
    wanted = list(wanted)
    kinds = sorted({(trial.group, trial.kind) for trial in trials}, key=_order)
    groups = list(dict.fromkeys(group for group, _ in kinds))
    chosen: list[tuple[str, str, Callable[[Trial], bool]]] = [("", "", lambda _: True)]
    chosen += [(group, "", _is_of(group)) for group in groups]
    chosen += [(group, kind, _is_of(group, kind)) for group, kind in kinds]
    fluent = set(kinds_of(LIES_KEY))
    chosen.append(("output", LIES_KEY, lambda trial: (trial.group, trial.kind) in fluent))
    total, *rates, lies = _rate(trials, chosen)
    missing = {
        group: not_tried.get(group, _NOTHING_TO_CHANGE)
        for group in dict.fromkeys(group for group, _ in wanted)
        if group not in {rate.group for rate in rates}
    }
    foreign = frozenset(unread)
    missing |= {
        f"{group}/{kind}": not_tried.get(f"{group}/{kind}", _NOTHING_TO_CHANGE)
        for group, kind in wanted
        if group not in missing and (group, kind) not in kinds
    }
    return Strength(
        goldens=tuple(goldens),
        trials=tuple(trials),
        total=total,
        groups=tuple(rate for rate in rates if not rate.kind),
        kinds=tuple(rate for rate in rates if rate.kind),
        lies=lies,
        checks=tuple(_list_checks(goldens, trials)),
        not_tried=missing,
        verdicts=tuple(judge_bounds(goldens, trials, missing, wanted, foreign)),
        proposed={
            golden.path: bounds
            for golden in goldens
            if (bounds := propose_bounds(golden, trials, wanted, foreign))
        },
        unread=foreign,
    )


def judge_bounds(
    goldens: Iterable[Golden],
    trials: Sequence[Trial],
    not_tried: Mapping[str, str],
    wanted: Collection[Kind],
    unread: frozenset[str],
) -> Iterable[Verdict]:
    """
    Yield a verdict for each bound under `mutation`, of the mutants of its own golden file.

    A bound is `undecided` where nothing or only a part of its kinds was to be tried, or where the mutants
    that could not be decided, or not be made in the language of an answer, would make the difference.
    """
    for golden in goldens:
        own = [trial for trial in trials if file_of(trial.case) == golden.path]
        for name, bound in golden.measures.get(MEASURED, {}).items():
            unmade = _count_unmade(name, golden, own, unread)
            why_nothing = _why_nothing(name, wanted, not_tried)
            verdict = _judge_bound(golden, name, bound, own, why_nothing=why_nothing, unmade=unmade or 0)
            left_out = _left_out(name, wanted) or ([_WORDS] if unmade is None else [])
            if left_out and verdict.outcome != "undecided":
                reason = f"only a part was tried, without {name_some(left_out, 3)}: {verdict.reason}"
                verdict = replace(verdict, outcome="undecided", reason=reason)
            yield verdict


def _left_out(name: str, wanted: Collection[Kind]) -> list[str]:
    """The kinds that a name stands for and that were not to be tried, where others of their group were."""
    groups = {group for group, kind in kinds_of(name) if (group, kind) in wanted}
    return [kind for group, kind in kinds_of(name) if group in groups and (group, kind) not in wanted]


def _why_nothing(name: str, wanted: Collection[Kind], not_tried: Mapping[str, str]) -> str:
    """Return why a bound may have no mutant, and what to do."""
    kinds = kinds_of(name)
    if not any(kind in wanted for kind in kinds):
        return "it was not among the kinds"
    why = next((not_tried[group] for group, _ in kinds if group in not_tried), _NOTHING_TO_CHANGE)
    return f"{why}; if the app is meant to be so, leave {name} out of `mutation`"


def _count_unmade(name: str, golden: Golden, own: Sequence[Trial], unread: frozenset[str]) -> int | None:
    """
    Return how many lies are missing since words of an answer cannot be turned; None if no answer has any.

    Such an answer lacks as many lies by words as the others have on average.
    """
    foreign = {case for case in unread if file_of(case) == golden.path}
    if not foreign or name not in {LIES_KEY, "output"}:
        return 0
    readable = {trial.case for trial in own if trial.group == "output"} - foreign
    by_words = set(kinds_of(LIES_KEY)) - _OF_ANY_LANGUAGE
    lies = sum((trial.group, trial.kind) in by_words for trial in own)
    return math.ceil(lies / len(readable) * len(foreign)) if lies and readable else None


def propose_bounds(
    golden: Golden, trials: Iterable[Trial], wanted: Collection[Kind], unread: frozenset[str]
) -> dict[str, str]:
    """Return bounds that hold and that can be missed, of what was decided; none where the file has some."""
    if golden.measures.get(MEASURED):
        return {}
    own = [trial for trial in trials if file_of(trial.case) == golden.path]
    proposed = {}
    for name in (MUTED, LIES_KEY, "retrieval"):
        of_name = [trial for trial in own if (trial.group, trial.kind) in kinds_of(name)]
        is_partial = _left_out(name, wanted) or _count_unmade(name, golden, own, unread) != 0
        if not of_name or is_partial or not all(trial.is_decided for trial in of_name):
            continue
        percent = 100 * sum(trial.is_killed for trial in of_name) // len(of_name)
        if percent:  # else nothing could miss it
            proposed[name] = f"<= {1 - percent / 100:.2g}" if name == MUTED else f">= {percent / 100:g}"
    return proposed


def _judge_bound(  # noqa: PLR0913 - a bound, and what is known of its mutants
    golden: Golden, name: str, bound: Bound, own: Sequence[Trial], *, why_nothing: str, unmade: int
) -> Verdict:
    kinds = set(kinds_of(name))
    trials = [trial for trial in own if (trial.group, trial.kind) in kinds]
    verdict = Verdict(
        check=f"mutation {name} {format_bound(bound)}",
        outcome="undecided",
        metric=name,
        case=f"{golden.path}::mutation[{name}]",
        cases=len({trial.case for trial in trials}),
    )
    if not any(trial.is_decided for trial in trials):
        if trials:
            return replace(verdict, reason=f"nothing could be decided: {trials[0].reason}")
        return replace(verdict, reason=f"nothing was tried: {why_nothing}")
    (rate,) = _rate(trials, [("", "", lambda _: True)])
    share = rate.tried / (rate.tried + unmade)
    ends = (rate.at_least * share, rate.at_most * share + 1 - share)
    interval = (
        None if rate.low is None else rate.low * share,
        None if rate.high is None else rate.high * share + 1 - share,
    )
    what = f"{rate.killed} of {counted(rate.tried, 'mutant')} are killed"
    if name == MUTED:
        ends = (1 - ends[1], 1 - ends[0])
        low, high = interval
        interval = (None, None) if low is None or high is None else (1 - high, 1 - low)
        what = f"{rate.survived} of {counted(rate.tried, 'case')} stay green"
    if rate.undecided:
        first = next(trial.reason for trial in trials if not trial.is_decided)
        what += f"; {rate.undecided} undecided: {first}"
    if unmade:
        what += (
            f"; {unmade} more could not be made, since words in the language of an answer cannot be turned"
        )
    if ends[0] != ends[1]:
        what += f"; so it is {ends[0]:.3g} to {ends[1]:.3g}"
    held = {bool(holds(end, bound)) for end in ends}
    outcome: Outcome = "undecided" if len(held) > 1 else "passed" if True in held else "failed"
    low, high = interval
    return replace(
        verdict,
        outcome=outcome,
        observed=None if rate.undecided or unmade else ends[0],
        interval=None if low is None or high is None else (low, high),
        reason=what,
    )


def _is_of(group: str, kind: str = "") -> Callable[[Trial], bool]:
    return lambda trial: trial.group == group and (not kind or trial.kind == kind)


def _order(kind: Kind) -> tuple[int, int]:
    group, name = kind
    return list(GROUPS).index(group), list(GROUPS[group]).index(name)


def _rate(trials: Sequence[Trial], chosen: Sequence[tuple[str, str, Callable[[Trial], bool]]]) -> list[Rate]:
    """Count what was killed, at least and at most."""
    members = [[is_of(trial) for trial in trials] for _, _, is_of in chosen]
    least = [trial.is_killed for trial in trials]
    most = [trial.is_killed or not trial.is_decided for trial in trials]
    measured = _measure_shares(trials, [*members, *members], [*[least] * len(chosen), *[most] * len(chosen)])
    rows = []
    for at, (group, kind, is_of) in enumerate(chosen):
        own = [trial for trial in trials if is_of(trial)]
        lower, upper = measured[at], measured[at + len(chosen)]
        rows.append(
            Rate(
                group=group,
                kind=kind,
                at_least=lower.value or 0.0,
                at_most=1.0 if upper.value is None else upper.value,
                low=lower.low,
                high=upper.high,
                killed=sum(trial.is_killed for trial in own),
                errors=sum(trial.outcome == "error" for trial in own),
                survived=sum(trial.outcome == "survived" for trial in own),
                undecided=sum(not trial.is_decided for trial in own),
            )
        )
    return rows


def _measure_shares(
    trials: Sequence[Trial], members: Sequence[Sequence[bool]], hits: Sequence[Sequence[bool]]
) -> list[Measure]:
    """
    The share of hits among the members of each row, with intervals for which all cases are drawn once.

    Of the members of one case nobody knows how others would be: the interval is 0 to 1.

    Args:
        members: Of shape (rows, trials), as `hits`.
    """
    import numpy as np

    if not trials or not members:
        return [Measure(value=None)] * len(members)
    own, hit = np.array(members, dtype=float), np.array(hits, dtype=float)

    def measure(weights: Any) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return (own * hit) @ weights / (own @ weights)

    shares = []
    clusters = [trial.cluster for trial in trials]
    for row, share in zip(members, measure_with_intervals(measure, clusters), strict=True):
        units = len({cluster for cluster, is_member in zip(clusters, row, strict=True) if is_member})
        bounded = bound_share(share, units) if units else share
        if units and bounded.low is None:
            bounded = replace(bounded, low=0.0, high=1.0)
        shares.append(bounded)
    return shares


def _list_checks(goldens: Iterable[Golden], trials: Sequence[Trial]) -> Iterable[CheckStrength]:
    """Yield each check of each golden file: those that kill most by themselves first, dead ones last."""
    tried: defaultdict[tuple[str, str], int] = defaultdict(int)
    killed, alone = tried.copy(), tried.copy()
    kills: defaultdict[str, list[set[str]]] = defaultdict(list)
    for trial in trials:
        path = file_of(trial.case)
        for check in trial.asked:
            tried[path, check] += 1
        if trial.killers:
            kills[path].append({*trial.killers})
        for check in trial.killers:
            killed[path, check] += 1
            alone[path, check] += len(trial.killers) == 1
    for golden in goldens:
        names = {
            describe_check(check): find_traits(check.metric)
            for case in golden.cases
            for check in checks_that_count(case)
        }
        dead = _find_dead([name for name in names if tried[golden.path, name]], kills[golden.path])
        tried_checks = [name for name in names if tried[golden.path, name]]
        own = [trial for trial in trials if file_of(trial.case) == golden.path]
        shares = _measure_shares(
            own,
            [[name in trial.asked for trial in own] for name in tried_checks],
            [[name in trial.killers for trial in own] for name in tried_checks],
        )
        rows = [
            CheckStrength(
                golden=golden.path,
                check=name,
                tried=tried[golden.path, name],
                killed=killed[golden.path, name],
                low=share.low or 0.0,
                high=1.0 if share.high is None else share.high,
                alone=alone[golden.path, name],
                is_dead=name in dead,
                finds_leaks=not names[name].excusable,
            )
            for name, share in zip(tried_checks, shares, strict=True)
        ]
        yield from sorted(rows, key=lambda row: (-row.alone, row.is_dead, -row.killed, row.check))


def _find_dead(checks: Sequence[str], kills: Sequence[Collection[str]]) -> set[str]:
    """Find checks that may all go: those that kill least first, of equal ones the last."""
    dead: set[str] = set()
    killed = Counter(check for killers in kills for check in killers)
    for check in sorted(checks, key=lambda name: (killed[name], -checks.index(name))):
        if all({*killers} - dead - {check} for killers in kills if check in killers):
            dead.add(check)
    return dead
