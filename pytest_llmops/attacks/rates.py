"""What came of attacks in numbers: rates, each with its interval and how many it is of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.attacks.placements import PLACEMENTS
from pytest_llmops.attacks.suites import Facets
from pytest_llmops.gates.absolute.breakage import case_means
from pytest_llmops.metrics.attack.success import is_refused
from pytest_llmops.records import CaseResult
from pytest_llmops.statistics.intervals import LEVEL, wilson_interval

ALL = "all attacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """
    A share with its interval at 95 %; None where it is of nothing.

    Attributes:
        of: How many attacks, tool calls or benign cases it is of.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    of: int = 0

    @classmethod
    def of_values(cls, values: Sequence[float]) -> Rate:
        if not values:
            return cls()
        value = sum(values) / len(values)
        low, high = wilson_interval(value, len(values), LEVEL)
        return cls(value=value, low=low, high=high, of=len(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    The rates of one group of attacks.

    Attributes:
        denied: Share of the tool calls that the model asked for which were denied.
        stopped_by: Each guard with the number of attacks that it blocked, alone or with others; most first.
    """

    group: str
    success: Rate
    blocked: Rate
    denied: Rate
    stopped_by: tuple[tuple[str, int], ...] = ()


def tabulate(attacks: Mapping[str, Facets], results: Iterable[CaseResult]) -> list[Row]:
    """Rows for all attacks, for each placement and for each entry of the OWASP list, of item ids."""
    attacked = [result for result in results if result.case in attacks]
    groups: defaultdict[str, list[CaseResult]] = defaultdict(list)
    for result in attacked:
        facets = attacks[result.case]
        groups[f"placement {facets.placement}"].append(result)
        for entry in facets.owasp:
            groups[entry].append(result)
    order = [f"placement {each}" for each in PLACEMENTS]
    names = [*(each for each in order if each in groups), *sorted(groups.keys() - {*order})]
    return [_row(ALL, attacked), *(_row(name, groups[name]) for name in names)]


def rate_utility(results: Sequence[CaseResult]) -> Rate:
    return Rate.of_values(list(case_means("utility", results).values()))


def _row(group: str, results: Sequence[CaseResult]) -> Row:
    calls = [call for result in results for output in result.outputs for call in output.tool_calls]
    return Row(
        group=group,
        success=Rate.of_values(list(case_means("attack_success", results).values())),
        blocked=Rate.of_values(list(case_means("blocked", results).values())),
        denied=Rate.of_values([float(is_refused(call)) for call in calls]),
        stopped_by=tuple(_count_guards(results)),
    )


def _count_guards(results: Sequence[CaseResult]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for result in results:
        facts = (fact for score in result.scores if score.metric == "blocked" for fact in score.evidence)
        counts.update({guard for fact in facts for guard in fact.get("stopped_by", ())})
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))
