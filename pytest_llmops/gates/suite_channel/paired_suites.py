"""What of two runs of a golden file can be compared, paired by case once for all its suite checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.absolute.breakage import scoring_breakage
from pytest_llmops.gates.absolute.suite_verdicts import judge_suite
from pytest_llmops.gates.looks import Looks, looks_taken
from pytest_llmops.gates.paired_runs.index import like_metrics, values_by_metric
from pytest_llmops.gates.paired_runs.pairing import (
    Chance,
    Pairs,
    Scale,
    describe_unlike,
    find_scale,
    first_repeats,
    pair_cases,
)
from pytest_llmops.gates.suite_channel.paired_scores import PairedScores, tolerated_drop
from pytest_llmops.gates.suite_channel.run_shocks import RunMeans
from pytest_llmops.records import GAIN, CaseResult, Outcome, SuiteCheck, Verdict
from pytest_llmops.statistics.summaries import NOISE, mean

_NO_VERDICT = Verdict(check="", outcome="passed")
_NEW = "the baseline has no score of it yet: llmops accept RUN.json --all"
_RENAMED = "if cases were renamed on purpose, accept this run: --llm-accept, then llmops accept --prune"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSuites:
    """
    The results of one golden file and of their baseline, paired once for all its checks.

    Attributes:
        before: Case to metric to its finite scores by repeat, in the baseline; `after` in the new run.
        like: Case to the metrics that scored it whole on both sides, and in the same way.
    """

    results: Sequence[CaseResult]
    base_results: Sequence[CaseResult]
    pairs: Pairs
    looks: Looks
    chance: Chance
    before: Mapping[str, Mapping[str, Sequence[float]]]
    after: Mapping[str, Mapping[str, Sequence[float]]]
    like: Mapping[str, frozenset[str]]

    @classmethod
    def of(
        cls, results: Sequence[CaseResult], base_results: Sequence[CaseResult], chance: Chance
    ) -> PairedSuites:
        looks = looks_taken(results, base_results, chance)
        if not looks.is_fixed:
            results = [first_repeats(each, looks.done) if each.auto else each for each in results]
        pairs = pair_cases(base_results, results)
        return cls(
            results=results,
            base_results=base_results,
            pairs=pairs,
            looks=looks,
            chance=chance,
            before={base.case: values_by_metric(base) for base, _ in pairs.shared},
            after={new.case: values_by_metric(new) for _, new in pairs.shared},
            like={new.case: like_metrics(base, new) for base, new in pairs.shared},
        )

    def judge(self, check: SuiteCheck, level: float) -> PairedScores | Verdict:
        """What can be compared, with what the threshold alone says; or the verdict where nothing can."""
        absolute = judge_suite(check, self.results, level=level)
        if absolute.outcome == "error" or check.record_only:
            return absolute
        if check.statistic == GAIN:  # which is over a rival, not a baseline
            return absolute
        scores = self.find(check, absolute)
        if isinstance(scores, Verdict) or check.comparison is None:
            return scores
        bases = [base for base, _ in scores.pairs]
        return replace(scores, missed_before=judge_suite(check, bases).outcome == "failed")

    def find(self, check: SuiteCheck, absolute: Verdict = _NO_VERDICT) -> PairedScores | Verdict:
        """What can be compared, or the verdict that says why nothing can."""
        try:
            scale = find_scale(check.metric, check.options)
        except LLMOpsError as error:
            return _error(absolute, str(error))
        metric = check.metric
        sound = [
            (base, new)
            for base, new in self.pairs.shared
            if metric in self.like[new.case]
            or not (scoring_breakage(metric, base) or scoring_breakage(metric, new))
        ]
        if not sound:
            return self._nothing_shared(check, scale, absolute)
        values = {new.case: (self.before[new.case][metric], self.after[new.case][metric]) for _, new in sound}
        for base, new in sound:
            if metric not in self.like[new.case] and (unlike := describe_unlike(metric, base, new)):
                return _unlike(absolute, f"{new.case}: {unlike}; unlike scores are not compared")
        if not all(scale.holds(end(map(end, chain(*values.values())))) for end in (min, max)):
            case, value = next(
                (case, value)
                for case, sides in values.items()
                for value in chain(*sides)
                if not scale.holds(value)
            )
            return _unlike(absolute, f"{case}: {metric} gave {value:g}, which is outside its range")
        bases = [base for base, _ in sound]
        sign = scale.sign
        dropped = {case for case, (old, new) in values.items() if sign * (mean(new) - mean(old)) < -NOISE}
        had = {result.case for result in self.base_results if _says(check.metric, result)}
        return PairedScores(
            check=check,
            scale=scale,
            absolute=absolute,
            pairs=sound,
            values=values,
            fact=self._is_fact(sound, dropped),
            dropped=frozenset(dropped),
            lost=tuple(sorted(had - values.keys())),
            shocks=RunMeans.of([(base.runs, values[base.case][0]) for base in bases]),
        )

    def _is_fact(self, pairs: Sequence[tuple[CaseResult, CaseResult]], dropped: set[str]) -> bool:
        """Whether a difference of these cases is no chance."""
        if any(self.chance.may_explain(base, new) for base, new in pairs):
            return False
        return self.chance.is_confirmed([pair for pair in pairs if pair[1].case in dropped], pairs)

    def _nothing_shared(self, check: SuiteCheck, scale: Scale, absolute: Verdict) -> Verdict:
        """Where no case has a score on both sides: nothing was compared, and the advice says so."""
        had = any(_says(check.metric, result) for result in self.base_results)
        if tolerated_drop(check, scale) is None:
            return absolute
        if not had and check.max_drop is None:
            return replace(absolute, advice=_NEW)
        reason = "nothing to compare with: "
        reason += "no case has a score on both sides" if had else "the baseline has no score of it"
        outcome: Outcome = "failed" if absolute.outcome == "failed" else "undecided"
        return replace(absolute, outcome=outcome, reason=reason, advice=_RENAMED if had else _NEW)


def _says(metric: str, result: CaseResult) -> bool:
    """Whether a metric has to do with a case: it scored it, or should have."""
    return any(score.metric == metric for score in result.scores) or any(
        failure.metric in {"", metric} for failure in result.failures
    )


def _unlike(absolute: Verdict, reason: str) -> Verdict:
    return replace(_error(absolute, reason), advice="record the baseline again")


def _error(absolute: Verdict, reason: str) -> Verdict:
    return replace(absolute, outcome="error", reason=reason)
