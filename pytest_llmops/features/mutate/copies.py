"""The golden set on a copy of the project in which one rule of a prompt or document is changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_llmops.cli.isolation import run_verb
from pytest_llmops.errors import SettingsError
from pytest_llmops.features.mutate.kinds import EDITS, Kind
from pytest_llmops.features.mutate.rules import Edit, edit_rules
from pytest_llmops.features.mutate.trials import Answered, Mutation, Trial, TrialOutcome
from pytest_llmops.gates.absolute import judge_case, judge_suite
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import CaseResult, Golden, Output, Run
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
_UNREAD = "no answer and no model call changed: the app may not read this file, or read an index made of it"


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

    def try_edits(self, goldens: Sequence[Golden], answered: Sequence[Answered]) -> list[Trial]:
        """Run the golden files on each changed file, as long as the budget goes; a trial a file and edit."""
        trials: list[Trial] = []
        left = self.budget
        known = {item.task.id: item for item in answered}
        for group, name, edit in self._edits():
            if left <= 0:
                reason = f"the budget of {counted(self.budget, 'call')} ended before it"
                trials += [_trial(golden, group, name, edit, "undecided", reason) for golden in goldens]
                continue
            run, outcome, reason = self._run(goldens, name, edit, left)
            if run is not None:
                left -= run.usage.calls - run.usage.replayed
            trials += [_judge(golden, (group, name, edit), run, outcome, reason, known) for golden in goldens]
        return trials

    def _edits(self) -> Iterator[tuple[str, str, Edit]]:
        for group in EDITS:
            wanted = {kind for of, kind in self.kinds if of == group}
            for name in self.by_group.get(group, ()):
                path = self.settings.path(name)
                content = path.read_bytes().decode("utf-8")
                for edit in edit_rules(content, path.suffix.lower()):
                    if edit.kind in wanted:
                        yield group, name, edit

    def _run(
        self, goldens: Sequence[Golden], name: str, edit: Edit, calls: int
    ) -> tuple[Run | None, TrialOutcome, str]:
        """Return the run on the copy; without one, what is to be thought of it and why."""
        with _copied(self.settings) as folder:
            (folder / name).write_bytes(edit.content.encode())
            out = folder / ".llmops" / "mutated.json"
            arguments = ["run", *(golden.path for golden in goldens), "--out", str(out), "--baseline", "none"]
            arguments += ["--repeats", "1", "--budget", f"{calls} calls", "--record", "new"]
            arguments += ["--home", str(folder / ".llmops")]
            if self.settings.app:
                arguments += ["--app", self.settings.app]
            _, last = run_verb(arguments, {"PYTHONDONTWRITEBYTECODE": "1"}, folder)
            if not out.exists():
                return None, "error", f"the run ended early: {last}"
            return load_run(out), "survived", ""


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

    Large files are links, and so are not copied: models and data that nobody writes to.

    Raises:
        SettingsError: It is too large.
    """
    root = settings.root.resolve()
    home = settings.path(settings.home).resolve()
    with tempfile.TemporaryDirectory(prefix="llmops-") as name:
        copy = Path(name) / root.name
        size = 0
        for folder, folders, files in os.walk(root):
            place = copy / Path(folder).relative_to(root)
            place.mkdir(parents=True, exist_ok=True)
            inside = Path(folder).resolve()
            folders[:] = [
                name
                for name in folders
                if name not in _LEFT_OUT and inside / name not in {home / "runs", home / "explain"}
            ]
            for file in files:
                source = Path(folder) / file
                if file in _LEFT_OUT or source.is_symlink() or not source.is_file():
                    continue
                bytes_ = source.stat().st_size
                if bytes_ > _LARGE:
                    (place / file).symlink_to(source)
                    continue
                size += bytes_
                if size > _MOST:
                    raise SettingsError(
                        f"{root} has more than {_MOST // 2**20} MiB to copy; run this in a clean checkout"
                    )
                shutil.copy2(source, place / file)
            for link in folders[:]:
                if (Path(folder) / link).is_symlink():
                    folders.remove(link)
                    (place / link).symlink_to((Path(folder) / link).resolve())
        if home.is_relative_to(root) and home != root / ".llmops":
            (copy / home.relative_to(root)).replace(copy / ".llmops")
        yield copy


def _judge(  # noqa: PLR0913, PLR0917 - the edit, its run, and the one before
    golden: Golden,
    edited: tuple[str, str, Edit],
    run: Run | None,
    outcome: TrialOutcome,
    reason: str,
    known: Mapping[str, Answered],
) -> Trial:
    """Judge a golden file on the changed project: it kills the edit where any of its checks is red."""
    if run is None:
        return _trial(golden, *edited, outcome, reason)
    cases = cases_by_id(golden)
    results = [result for result in run.results if result.case in cases]
    if any(_was_refused(result) for result in results):
        return _trial(golden, *edited, "undecided", "the budget ended in the middle of it")
    verdicts = [verdict for result in results for verdict in judge_case(cases[result.case], result)] + [
        judge_suite(check, results)
        for check in golden.suite
        if not check.record_only and find_traits(check.metric).basis != "run"
    ]
    asked = tuple(
        dict.fromkeys(verdict.check for verdict in verdicts if verdict.outcome in {"passed", "failed"})
    )
    if killers := tuple(dict.fromkeys(verdict.check for verdict in verdicts if verdict.outcome == "failed")):
        return replace(_trial(golden, *edited, "killed", ""), killers=killers, asked=asked)
    for verdict in verdicts:
        if verdict.outcome == "error":
            return _trial(golden, *edited, "error", f"{verdict.case or golden.path}: {verdict.reason}")
    changed = _first_changed(results, known)
    if changed is None and not _calls_differ(results, known):
        return _trial(golden, *edited, "undecided", _UNREAD)
    trial = replace(_trial(golden, *edited, "survived", ""), asked=asked)
    if changed is not None:
        item, output = changed
        mutation = replace(trial.mutation, answered=item, output=output, spans=item.spans)
        trial = replace(trial, mutation=mutation)
    return trial


def _was_refused(result: CaseResult) -> bool:
    return any(_REFUSED in failure.error and "spent" in failure.error for failure in result.failures)


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


def _trial(  # noqa: PLR0913, PLR0917 - an edit and its verdict
    golden: Golden, group: str, name: str, edit: Edit, outcome: TrialOutcome, reason: str
) -> Trial:
    place = f"{golden.path}::{name}:{edit.line}"
    mutation = Mutation(
        group=group, kind=edit.kind, answered=None, output=None, change=edit.change, place=place
    )
    return Trial(mutation=mutation, outcome=outcome, reason=reason)
