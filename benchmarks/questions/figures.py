"""The figures of a set of scored answers, each with its floor and its goal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.questions.scoring import Scored
from pytest_llmops.statistics.intervals import wilson_interval

Belongs = Callable[[Scored], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """
    How many of some answers are of one outcome.

    Attributes:
        floor: The least that is accepted, or the most where fewer are better.
    """

    name: str
    count: int
    of: int
    floor: float | None = None
    goal: float | None = None
    fewer_is_better: bool = False

    @property
    def value(self) -> float:
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, at 95 %."""
        return wilson_interval(self.value, self.of)

    @property
    def standing(self) -> str:
        """`goal`, `floor` or `below`: what the share reaches; empty if nothing is asked of it."""
        for name, limit in (("goal", self.goal), ("floor", self.floor)):
            if limit is not None and (self.value <= limit if self.fewer_is_better else self.value >= limit):
                return name
        return "" if self.floor is None and self.goal is None else "below"


def _kind(*names: str) -> Belongs:
    return lambda one: one.question["kind"] in names


def _route(name: str) -> Belongs:
    return lambda one: one.question["expected"]["route"] == name


# Name, members, floor and goal of the right ones. Members overlap: a follow-up may need a tool.
GROUPS: tuple[tuple[str, Belongs, float | None, float | None], ...] = (
    ("all questions", lambda _: True, 0.65, 0.75),
    ("documents", _route("documents"), None, None),
    ("orders and tools", _route("tools"), 0.80, 0.90),
    ("database", _route("database"), 0.65, 0.80),
    ("two intents", _kind("two_intents"), 0.50, 0.70),
    ("follow-ups", _kind("follow_up"), 0.65, 0.80),
    ("missing information asked back", _route("ask_back"), 0.80, None),
    ("absent facts admitted", _kind("unanswerable"), 0.60, 0.80),
    ("hostile", _kind("hostile"), 1.0, None),
    ("out of scope", _kind("out_of_scope"), 0.90, None),
    ("German and Spanish", _kind("german_spanish"), None, None),
    ("typing mistakes", _kind("typos_chatty"), None, None),
)
_WRONG: dict[str, tuple[str, float, float]] = {
    "all questions": ("wrong", 0.20, 0.10),
    "database": ("database, silently wrong", 0.15, 0.05),
}


def list_shares(scored: Sequence[Scored]) -> Iterator[Share]:
    """The shares of right answers in groups, then those of tools and sections."""
    for name, belongs, floor, goal in GROUPS:
        members = [one for one in scored if belongs(one)]
        if not members:
            continue
        yield Share(name=name, count=_count(members, "right"), of=len(members), floor=floor, goal=goal)
        if name in _WRONG:
            title, most, better = _WRONG[name]
            wrong = _count(members, "wrong", "missing")
            yield Share(
                name=title, count=wrong, of=len(members), floor=most, goal=better, fewer_is_better=True
            )
    if made := [one.tools for one in scored if one.tools is not None]:
        yield Share(name="expected tools called", count=sum(made), of=len(made))


def list_kinds(scored: Iterable[Scored]) -> Iterator[tuple[str, list[Scored]]]:
    kinds: dict[str, list[Scored]] = {}
    for one in scored:
        kinds.setdefault(one.question["kind"], []).append(one)
    yield from sorted(kinds.items())


def list_recalls(scored: Sequence[Scored], ks: Sequence[int] = (1, 3, 5)) -> Iterator[tuple[int, float, int]]:
    """k, the mean share of relevant sections among the first k passages, and the number of questions."""
    for k in ks:
        found = [recall for one in scored if (recall := one.recall(k)) is not None]
        if found:
            yield k, sum(found) / len(found), len(found)


def describe_spending(scored: Iterable[Scored]) -> str:
    """Seconds and calls of the chat model for a question; empty of answers that do not have them."""
    seconds = [one.answer["seconds"] for one in scored if one.answer and "seconds" in one.answer]
    calls = [one.answer["calls"] for one in scored if one.answer and "calls" in one.answer]
    if not seconds:
        return ""
    return (
        f"{median(seconds):.1f} s a question (median; the slowest {max(seconds):.1f} s), "
        f"{sum(calls)} calls of the chat model, {sum(calls) / len(calls):.2f} a question"
    )


def _count(members: Iterable[Scored], *outcomes: str) -> int:
    return sum(one.outcome in outcomes for one in members)
