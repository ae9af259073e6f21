"""The golden set on a copy of the project in which one rule of a prompt or document is changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pytest_llmops.cli.isolation import run_verb
from pytest_llmops.errors import SettingsError
from pytest_llmops.features.mutate.kinds import EDITS, Kind
from pytest_llmops.features.mutate.rules import EditedFile, edit_rules
from pytest_llmops.features.mutate.trials import Answered, Mutation, Trial, TrialOutcome
from pytest_llmops.gates.absolute import judge_case, judge_suite
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import CaseResult, Golden, Output, Run, Verdict
from pytest_llmops.registry import find_traits
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.settings import Settings

_LEFT_OUT = frozenset({
    ".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache",
    ".ruff_cache", ".pytest_cache", ".hypothesis",
})  # fmt: skip
_LARGE = 20 * 2**20
_MOST = 2_000 * 2**20
_MOST_FILE = 2**20
_REFUSED = "the budget of "
_NOT_RECORDED = "--llm-record none makes no calls"
_UNREAD = "no answer and no model call changed: the app may not read this file, or read an index made of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A run on a copy, or why there is none; and the calls that it made, at most."""

    run: Run | None
    calls: int
    problem: str = ""


class _Edited(NamedTuple):
    """A file with one rule changed, by its name."""

    group: str
    name: str
    edit: EditedFile

    def trial(self, golden: Golden, outcome: TrialOutcome, reason: str = "") -> Trial:
        mutation = Mutation(
            group=self.group,
            kind=self.edit.kind,
            answered=None,
            output=None,
            change=self.edit.change,
            place=f"{golden.path}::{self.name}:{self.edit.line}",
        )
        return Trial(mutation=mutation, outcome=outcome, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """
    The files whose rules are changed.

    Attributes:
        by_group: `prompts` and `documents` to paths from the project's root.
        budget: The most model calls of all runs.
    """

    by_group: Mapping[str, Sequence[str]]
    kinds: Sequence[Kind]
    settings: Settings
    budget: int

    def try_edits(
        self, goldens: Sequence[Golden], answered: Sequence[Answered], calls: int
    ) -> tuple[list[Trial], int]:
        """
        Run the golden files on each changed file, as long as the calls go; a trial a file and edit.

        The unchanged copy is run first. Where it is not green, the copy and not an edit makes a run red.

        Args:
            calls: The most model calls of all runs.

        Returns:
            The trials, and how many calls were made. A run that ended early may have made all that it was
            allowed, so all of them count.
        """
        trials: list[Trial] = []
        known = {item.task.id: item for item in answered}
        first = self._run(goldens, None, calls)
        left = calls - first.calls
        doubts = {golden.path: _doubt_of_copy(golden, first) for golden in goldens}
        for edited in self._edits():
            ended = f"the budget of {counted(self.budget, 'call')} ended before it" if left <= 0 else ""
            reasons = {path: doubt or ended for path, doubt in doubts.items()}
            tried = [golden for golden in goldens if not reasons[golden.path]]
            made = self._run(tried, edited, left) if tried else None
            left -= made.calls if made else 0
            for golden in goldens:
                if made is None or reasons[golden.path]:
                    trials.append(edited.trial(golden, "undecided", reasons[golden.path]))
                else:
                    trials.append(_judge(edited, golden, made, known))
        return trials, calls - left

    def _edits(self) -> Iterator[_Edited]:
        for group in EDITS:
            wanted = {kind for of, kind in self.kinds if of == group}
            for name in self.by_group.get(group, ()):
                path = self.settings.path(name)
                content = path.read_bytes().decode("utf-8")
                for edit in edit_rules(content, path.suffix.lower()):
                    if edit.kind in wanted:
                        yield _Edited(group, name, edit)

    def _run(self, goldens: Sequence[Golden], edited: _Edited | None, calls: int) -> _Made:
        """Run golden files on a copy, with one file changed or as it is."""
        with _copied(self.settings) as folder:
            if edited is not None:
                (folder / edited.name).write_bytes(edited.edit.content.encode())
            out = folder / ".llmops" / "mutated.json"
            record = "none" if self.settings.record == "none" or calls <= 0 else "new"
            arguments = ["run", *(golden.path for golden in goldens), "--out", str(out), "--baseline", "none"]
            arguments += ["--repeats", "1", "--budget", f"{max(calls, 1)} calls", "--record", record]
            arguments += ["--home", str(folder / ".llmops")]
            overrides = "app" in self.settings.flagged or not any(golden.app for golden in goldens)
            if (
                isinstance(self.settings.app, str) and overrides
            ):  # it may be of an ini file, which `llmops run` does not read
                arguments += ["--app", self.settings.app]
            _, last = run_verb(arguments, {"PYTHONDONTWRITEBYTECODE": "1"}, folder)
            if not out.exists():
                most = 0 if record == "none" else calls
                return _Made(run=None, problem=f"the run ended early: {last}", calls=most)
            run = load_run(out)
            return _Made(run=run, calls=run.usage.calls - run.usage.replayed)


def read_files(
    by_group: Mapping[str, Sequence[str]], kinds: Sequence[Kind], settings: Settings, budget: int
) -> Files | None:
    """
    Check the files that are named; None where there are none.

    Raises:
        SettingsError: A file is missing, outside of the project, too large, no text, or without a rule; or
            there is no budget.
    """
    if not any(by_group.values()):
        return None
    if not budget:
        raise SettingsError("--prompt and --data call models anew, so they need a limit: --budget N")
    named = {
        group: [_read_name(typed, settings.root) for typed in written] for group, written in by_group.items()
    }
    return Files(by_group=named, kinds=kinds, settings=settings, budget=budget)


def _read_name(typed: str, root: Path) -> str:
    path = Path.cwd() / typed
    if not path.is_file():
        raise SettingsError(f"{printable(typed)}: there is no such file to change")
    if not path.resolve().is_relative_to(root.resolve()):
        raise SettingsError(
            f"{printable(typed)} lies outside of the project {root}, so a copy would not have it"
        )
    raw = path.read_bytes()
    try:
        content = raw[:_MOST_FILE].decode("utf-8")
    except UnicodeDecodeError:
        content = ""
    if len(raw) > _MOST_FILE or not edit_rules(content, path.suffix.lower()):
        raise SettingsError(
            f"{printable(typed)}: no rule was found that could be changed; name a text of at most "
            f"{_MOST_FILE // 2**20} MiB with sentences"
        )
    return path.resolve().relative_to(root.resolve()).as_posix()


@contextmanager
def _copied(settings: Settings) -> Iterator[Path]:
    """
    Copy the project, so that whatever ends this process leaves its files as they are.

    Large files, and folders that are linked from outside, are links and not copied: models and data that
    nobody writes to. What is linked within the project is linked within the copy. Folders that cannot be read
    are left out.

    Raises:
        SettingsError: It is too large, or a file cannot be read.
    """
    root = settings.root.resolve()
    home = settings.path(settings.home).resolve()
    links: list[Path] = []
    size = 0

    def leave_out(folder: str, names: Sequence[str]) -> set[str]:
        """Name environments, runs of before, and links, which are made when what they lead to is there."""
        places = {name: Path(folder, name) for name in names}
        linked = {name for name, place in places.items() if place.is_symlink()}
        links.extend(places[name] for name in linked - _LEFT_OUT)
        runs = {home / "runs", home / "explain"}
        strange = {name for name, place in places.items() if not (place.is_file() or place.is_dir())}
        shut = {name for name in names if places[name].is_dir() and not _is_readable(places[name])}
        return linked | strange | shut | {name for name in names if name in _LEFT_OUT or places[name] in runs}

    def copy_file(source: str, place: str) -> None:
        nonlocal size
        size += _copy(Path(source), Path(place))
        if size > _MOST:
            raise SettingsError(
                f"{root} has more than {_MOST // 2**20} MiB to copy; run this in a clean checkout"
            )

    with tempfile.TemporaryDirectory(prefix="llmops-") as name:
        copy = Path(name) / root.name
        try:
            shutil.copytree(root, copy, ignore=leave_out, copy_function=copy_file)
        except shutil.Error as error:  # of all that could not be copied
            source, _, why = error.args[0][0]
            raise SettingsError(
                f"{printable(str(source))}: cannot be copied: {printable(str(why))}"
            ) from None
        for link in links:
            _link(link, copy / link.relative_to(root), root, copy)
        if home.is_relative_to(root) and home != root / ".llmops":
            (copy / home.relative_to(root)).replace(copy / ".llmops")
        yield copy


def _is_readable(folder: Path) -> bool:
    try:
        os.scandir(folder).close()
    except OSError:
        return False
    return True


def _copy(source: Path, place: Path) -> int:
    """Copy a file, or link a large one; returns how many bytes were copied."""
    size = source.stat().st_size
    if size > _LARGE:
        place.symlink_to(source)
        return 0
    shutil.copy2(source, place)
    return size


def _link(source: Path, place: Path, root: Path, copy: Path) -> None:
    """Put what a link leads to into its place in the copy."""
    target = source.resolve()
    if not target.exists():
        return
    if target.is_relative_to(root) and (copy / target.relative_to(root)).exists():
        place.symlink_to(copy / target.relative_to(root))
    elif target.is_dir():
        place.symlink_to(target)
    elif target.is_file():
        _copy(target, place)


def _judge(edited: _Edited, golden: Golden, made: _Made, known: Mapping[str, Answered]) -> Trial:
    """Judge a golden file on the changed project: it kills the edit where any of its checks is red."""
    if made.run is None:
        return edited.trial(golden, "error", made.problem)
    results, verdicts = _judge_all(golden, made.run)
    if doubt := _refusal_of(results):
        return edited.trial(golden, "undecided", doubt)
    asked, killers = (
        tuple(dict.fromkeys(verdict.check for verdict in verdicts if verdict.outcome in outcomes))
        for outcomes in ({"passed", "failed"}, {"failed"})
    )
    if killers:
        return replace(edited.trial(golden, "killed"), killers=killers, asked=asked)
    app_broke = any(not failure.metric for result in results for failure in result.failures)
    for verdict in verdicts:
        if verdict.outcome == "error":  # a metric that broke is no kill
            reason = f"{verdict.case or golden.path}: {verdict.check}: {verdict.reason}"
            return edited.trial(golden, "error" if app_broke else "undecided", reason)
    changed = _first_changed(results, known)
    if changed is None and not _calls_differ(results, known):
        return edited.trial(golden, "undecided", _UNREAD)
    trial = replace(edited.trial(golden, "survived"), asked=asked)
    if changed is not None:
        item, output = changed
        mutation = replace(trial.mutation, answered=item, output=output, spans=item.spans)
        trial = replace(trial, mutation=mutation)
    return trial


def _judge_all(golden: Golden, run: Run) -> tuple[list[CaseResult], list[Verdict]]:
    """Return the results of a golden file, and the verdicts of all its checks but those of time and cost."""
    cases = cases_by_id(golden)
    results = [result for result in run.results if result.case in cases]
    verdicts = [verdict for result in results for verdict in judge_case(cases[result.case], result)]
    verdicts += [
        judge_suite(check, results)
        for check in golden.suite
        if not check.record_only and find_traits(check.metric).basis != "run"
    ]
    return results, verdicts


def _doubt_of_copy(golden: Golden, made: _Made) -> str:
    """Return why a run on the unchanged copy is not green; empty where it is."""
    start = "the copy of the project is not green before anything is changed: "
    if made.run is None:
        return f"{start}{made.problem}"
    results, verdicts = _judge_all(golden, made.run)
    if doubt := _refusal_of(results):
        return f"{start}{doubt}"
    for verdict in verdicts:
        if verdict.outcome in {"failed", "regressed", "error"}:
            return f"{start}{verdict.case or golden.path}: {verdict.check}: {verdict.reason}"
    return ""


def _refusal_of(results: Sequence[CaseResult]) -> str:
    """Return why a call was not made; empty where all were."""
    errors = [failure.error for result in results for failure in result.failures]
    if any(_REFUSED in error and "spent" in error for error in errors):
        return "the budget ended in the middle of it"
    if any(_NOT_RECORDED in error for error in errors):
        return "it asks a model something new, and --record none makes no calls"
    return ""


def _first_changed(
    results: Sequence[CaseResult], known: Mapping[str, Answered]
) -> tuple[Answered, Output] | None:
    for result in results:
        item = known.get(result.case)
        for output in result.outputs:
            if item and output.text != item.output.text:
                return item, output
    return None


def _calls_differ(results: Sequence[CaseResult], known: Mapping[str, Answered]) -> bool:
    return any(
        {call.key for call in output.model_calls}
        != {call.key for call in known[result.case].output.model_calls}
        for result in results
        if result.case in known
        for output in result.outputs
    )
