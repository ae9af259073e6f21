"""
The cases that a change can touch: `--llm-affected REF` runs these alone.

The result of any other case is the baseline's. A case is other where its golden file asks it as before, its
metrics score as before, and nothing differs of all that the baseline's run stamped: the app's code, files,
variables and packages, prompts and data. What is not stamped is never taken for unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.gates.stamps import STAMPED, describe_changes
from pytest_llmops.golden.identity import cases_by_id, file_of, input_hash
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Case, CaseResult, Golden
from pytest_llmops.revision.merging import AS_BEFORE
from pytest_llmops.runner.cases.tasks import Task, is_scored_alike
from pytest_llmops.runner.signature import sign_run
from pytest_llmops.settings import SCORED_BY, Settings

_SEEN = ("code", "environment", "file", "package")
"""Kinds of stamps by which a process sees what its apps read."""

_NAMED = ("app", "data", "mcp", "prompt", "rival")
"""Kinds of stamps of what golden files name."""

_MET = ("model", "judge", "user", "tools", "setting", "system", "metric", "weights", "mcp")
"""Kinds of stamps of what cases meet."""

_MOST_NAMED = 5


@dataclass(slots=True, eq=False)
class Affected:
    """
    Results of a baseline that stand where nothing changed.

    Attributes:
        changed: Why every case is run; empty where none has to.
    """

    source: BaselineSource
    settings: Settings
    changed: tuple[str, ...] = ()
    _former: dict[str, Case] = field(init=False)
    _frames: dict[str, Golden] = field(init=False)
    _base: dict[str, CaseResult] = field(init=False)

    def __post_init__(self) -> None:
        self._former = cases_by_id(*self.source.former)
        self._frames = {golden.path: _frame(golden) for golden in self.source.former}
        base = self.source.base
        self._base = {result.case: result for result in base.results} if base else {}

    def check(self, restamp: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """
        Compare what made the baseline with what is there now.

        Args:
            restamp: Returns stamps as of now, also of what the app has not read yet.
        """
        if self.source.base is None:
            self.changed = ("there is no baseline",)
            return
        base = self.source.base.signature
        if lacking := [kind for kind in _SEEN if kind not in base.get(STAMPED, "").split()]:
            self.changed = (f"the baseline has no stamps of {', '.join(lacking)}",)
            return
        self.changed = tuple(self._list_changed_checks())
        if self.changed:
            return
        named = self._sign_named()
        old = {name: value for name, value in base.items() if name in named or self._is_of_these_files(name)}
        new = {**_only(restamp(_only(base, _SEEN)), _SEEN), **named}
        if differing := sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)):
            stamped = {STAMPED: " ".join((*_SEEN, "mcp"))}
            self.changed = describe_changes({**old, **stamped}, {**new, **stamped}) or tuple(differing)

    def _list_changed_checks(self) -> Iterator[str]:
        """Yield by what cases are scored otherwise than they were, though their golden files say the same."""
        if (former := self.source.former_settings) is not None:
            for name in SCORED_BY:
                if getattr(former, name) != getattr(self.settings, name):
                    yield f"the setting {name} changed"
        for path in self.source.former_options:
            yield f"{printable(path)}, on which checks rest, changed"

    def find(self, task: Task) -> CaseResult | None:
        """Return the baseline's result of a case that no change can have touched."""
        result = self._base.get(task.id)
        if self.changed or result is None or task.begun is not None or task.case.live:
            return None
        if result.failures or result.rival or not self._is_asked_alike(task):
            return None
        result = _name_as_now(result, task)
        kept = replace(task, metrics=tuple(_kept_in_baselines(task)))
        is_alike = result.input_hash == input_hash(task.case) and is_scored_alike(result, kept)
        return replace(result, checks=task.case.checks, taken=True) if is_alike else None

    def stamps(self, results: Iterable[CaseResult]) -> dict[str, str]:
        """Return the stamps of the results that stand: of what this run need not read, call or score."""
        base = self.source.base
        return (
            {}
            if base is None or not any(result.taken for result in results)
            else _only(base.signature, (*_SEEN, *_MET, STAMPED))
        )

    def describe(self, results: Iterable[CaseResult]) -> str:
        """Return a sentence on how many results of a run are those of the baseline."""
        found = list(results)
        ref = printable(self.source.revision.ref) if self.source.revision else "no revision"
        if self.changed:
            return f"affected since {ref}: every case, for {name_some(self.changed, _MOST_NAMED)}"
        taken = sum(result.taken for result in found)
        cases = counted(len(found) - taken, "case")
        if not taken:  # a worker of xdist may know why
            return f"affected since {ref}: {cases} run, and none taken from the baseline"
        why = "for nothing that they read changed"
        return f"affected since {ref}: {cases} run; {taken} taken from the baseline, {why}"

    def _is_asked_alike(self, task: Task) -> bool:
        """Return whether the golden file of the revision has the same case, run and judged alike."""
        path = file_of(task.id)
        now = next((golden for golden in self.source.goldens if golden.path == path), None)
        former = self._former.get(task.id)
        if now is None or former is None or self._frames.get(path) != _frame(now):
            return False
        own = tuple(check for check in task.case.checks if not check.metric.endswith(AS_BEFORE))
        return replace(former, source=None) == replace(task.case, source=None, checks=own)

    def _is_of_these_files(self, name: str) -> bool:
        """Return whether a stamp of the baseline is of these golden files, and not of others that it has."""
        kind, _, path = name.partition(":")
        if kind == "prompt":  # one that is gone from a folder is not found any more
            named = {prompt for golden in self.source.goldens for prompt in golden.prompts}
            return not named.isdisjoint({path, *map(str, PurePosixPath(path).parents)})
        return kind in {*_SEEN, "mcp"}

    def _sign_named(self) -> dict[str, str]:
        settings = self.settings
        app = settings.app if "app" in settings.flagged else None
        goldens, root = self.source.goldens, settings.root
        return _only(sign_run(goldens, (), app=app, otherwise=settings.app, root=root), _NAMED)


def _kept_in_baselines(task: Task) -> Iterator[tuple[str, Metric]]:
    """Yield metrics without those of seconds and money that the suite alone bounds: no baseline has them."""
    own = {check.metric for check in task.case.checks}
    return (
        (name, metric) for name, metric in task.metrics if name in own or traits_of(metric).basis != "run"
    )


def _name_as_now(result: CaseResult, task: Task) -> CaseResult:
    """Name the scores of checks that other cases edited, and that this one has under two names, by both."""
    scored = {score.metric for score in result.scores}
    lent = [
        replace(score, metric=name)
        for name, _ in task.metrics
        if name not in scored
        for score in result.scores
        if f"{name}{AS_BEFORE}" == score.metric
    ]
    return replace(result, scores=(*result.scores, *lent))


def _frame(golden: Golden) -> Golden:
    """Return what a golden file says besides its cases and bounds."""
    return replace(golden, cases=(), suite=(), suite_lines={}, measures={}, sha256="", anchors="")


def _only(stamps: Mapping[str, str], kinds: Iterable[str]) -> dict[str, str]:
    return {name: value for name, value in stamps.items() if name.partition(":")[0] in {*kinds}}
