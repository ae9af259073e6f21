"""
What a run is held against: baseline and reviews, of the working tree or of where a change began.

Under `git:REF` both come from the merge base, and whatever the change loosened since is listed: golden
files are those of the working tree, so that new and stricter cases count, and a looser one is told.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_llmops.calibration.kin import warn_of_kin
from pytest_llmops.calibration.record import Calibration, ask_for_agreement, load_needed, parse_calibrations
from pytest_llmops.errors import GoldenError, LLMOpsError, RevisionError, RunFileError, SettingsError
from pytest_llmops.gates.baseline.stamps import describe_changes
from pytest_llmops.gates.foresight.selfcheck import plan_repeats
from pytest_llmops.gates.merge_base.loosening import SETTINGS, Loosening, list_loosened
from pytest_llmops.gates.pairing import pair_cases
from pytest_llmops.golden import find_golden_files, load_golden
from pytest_llmops.golden.files import find_in_folder, shown_path
from pytest_llmops.golden.reviews import Review, extends, load_reviews, parse_reviews
from pytest_llmops.golden.revision import Revision, is_revision, open_revision
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.prompts.files import find_prompts
from pytest_llmops.prompts.lock import find_lock, locked_prompts
from pytest_llmops.prompts.rules import check_prompts
from pytest_llmops.records import Golden, Run
from pytest_llmops.reports.baseline_file import (
    ACCEPT,
    load_base,
    load_baseline,
    parse_baseline,
    update_baseline,
)
from pytest_llmops.reports.selfcheck import selfcheck_line
from pytest_llmops.settings import INI_FILES, NO_BASELINE, Settings, load_settings, read_addopts, read_ini

_PROJECT = "pyproject.toml"
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """
    What a run is held against: a baseline, what people said of answers, and the gate's own rules of before.

    Attributes:
        base: None where nothing was accepted yet, or nobody wants a comparison.
        calibrations: How far judges were found to agree with people, by signature; of the revision, so that a
            change cannot vouch for its own judge.
        loosened: What the change made easier to pass; only known against a revision.
    """

    base: Run | None = None
    reviews: tuple[Review, ...] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    loosened: tuple[Loosening, ...] = ()

    def describe(self, run: Run, settings: Settings) -> list[str]:
        """
        Sentences for the summary: judges of the app's own family, what the baseline lets see, and what else
        is another than in it.
        """
        kin = warn_of_kin(run.results)
        if self.base is None:
            return kin
        seen = selfcheck_line(self.base, run.suite, repeats=plan_repeats(settings))
        changes = describe_changes(self.base.signature, run.signature)
        told = [*kin, seen, *(f"since the baseline: {line}" for line in changes)]
        if new := pair_cases(self.base.results, run.results).new:
            cases = counted(len(new), "case")
            told.append(f"{cases} new or edited since, so compared with nothing: take them by --llm-accept")
        return told


def find_yardstick(
    settings: Settings, goldens: Sequence[Golden], *, named: Iterable[str] = (), accept: bool = False
) -> Yardstick:
    """
    What the settings name as baseline: a file, a revision, `none`, or the accepted baseline if there is one.

    Args:
        goldens: The files that are run.
        named: Files and folders that somebody named for it, from the root.
        accept: The run will be taken into the baseline, which must be fit for it before a model is asked.

    Raises:
        LLMOpsError: A file or the revision cannot be read, a baseline that is named knows none of the
            cases, or the run would be written over what it needs.
    """
    _check_out(settings, goldens)
    if accept and accepted_path(settings).exists():
        load_baseline(accepted_path(settings))
    baseline = settings.baseline
    if baseline is not None and is_revision(baseline):
        return _at_revision(open_revision(baseline, settings.root), settings, goldens, named)
    kept = Yardstick(
        reviews=load_reviews(settings.path(settings.reviews)),
        calibrations=load_needed(goldens, settings.path(settings.calibration)),
    )
    if baseline == NO_BASELINE or (baseline is None and not settings.path(settings.accepted).exists()):
        return kept
    path = settings.path(baseline or settings.accepted)
    if accept and not path.exists():
        return kept
    base = load_base(path)
    if not accept and not _is_same(path, settings.path(settings.accepted)):
        _check_cases(base, path, goldens)
    return replace(kept, base=base)


def _check_out(settings: Settings, goldens: Sequence[Golden]) -> None:
    """Refuse to write the run where it would destroy something."""
    if settings.out is None:
        return
    path, shown = settings.path(settings.out), printable(settings.out)
    if path.suffix not in {".json", ".jsonl"}:
        raise SettingsError(f"out {shown}: the name of a run file ends in .json or .jsonl; try run.json")
    kept = {"the baseline": {accepted_path(settings), settings.path(settings.accepted)}}
    kept["the log of reviews"] = {settings.path(settings.reviews)}
    kept["the record of calibrations"] = {settings.path(settings.calibration)}
    named = {golden.path for golden in goldens} | set(settings.golden)
    kept["a golden file"] = {settings.path(each) for each in named}
    for what, files in kept.items():
        if any(_is_same(path, each) for each in files):
            raise SettingsError(
                f"out {shown}: this is {what}, which the run would be written over; try run.json"
            )


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _check_cases(base: Run, path: Path, goldens: Sequence[Golden]) -> None:
    """A baseline of another project would be no yardstick at all, and every case new."""
    cases = {f"{golden.path}::{case.id}" for golden in goldens for case in golden.cases}
    if cases and not any(result.case in cases for result in base.results):
        files = name_some([printable(golden.path) for golden in goldens], _NAMED)
        raise RunFileError(
            f"{path}: holds no case of {files}; it is of another project or the "
            f"cases were renamed; make one with: {ACCEPT}"
        )


def _at_revision(
    revision: Revision, settings: Settings, goldens: Sequence[Golden], named: Iterable[str]
) -> Yardstick:
    """Everything by the settings of then: a change of them may not hide what they pointed at."""
    with tempfile.TemporaryDirectory(prefix="llmops-") as name:
        folder = Path(name)
        revision.export(sorted({_PROJECT, *INI_FILES}), folder)
        ini, then = _written_settings(folder)
        _, flags = read_addopts(folder)
        pytest_path, flags_now = read_addopts(settings.root)
        ini_now, now = _written_settings(settings.root)
        files = {*then.golden, *named, *(golden.path for golden in goldens)}
        revision.export(sorted(files), folder)
        old = _load_all(files, folder, revision)
        prompts = {path for golden in (*old, *goldens) for path in golden.prompts}
        locks = {find_lock(path, settings.root).relative_to(settings.root).as_posix() for path in prompts}
        revision.export(sorted({*prompts, *locks} - files), folder)
        base = _baseline_of(revision, then.accepted)
        log = revision.read(then.reviews) or b""
        reviews = parse_reviews(log, f"{then.reviews} at git:{revision.ref}")
        calibrated = revision.read(then.calibration) if ask_for_agreement(goldens) else None
        calibrations = (
            parse_calibrations(calibrated, f"{then.calibration} at git:{revision.ref}") if calibrated else {}
        )
        accepted = settings.path(settings.accepted)
        loosened = list_loosened(
            old,
            _all_now(settings, goldens),
            old_baseline=base,
            new_baseline=load_base(accepted) if accepted.exists() else None,
            old_settings=_lenient(then),
            new_settings=_lenient(now),
            reviews_rewritten=not extends(reviews, load_reviews(settings.path(settings.reviews))),
            files_changed=_changed_files(old, revision, settings.root),
            lock_loosened=_broken_promises(prompts, folder, settings.root),
            baseline_path=settings.accepted,
            addopts_changed=flags != flags_now,
            settings_path=ini_now or ini or _PROJECT,
            pytest_path=pytest_path or _PROJECT,
            reviews_path=settings.reviews,
        )
    return Yardstick(base=base, reviews=reviews, calibrations=calibrations, loosened=loosened)


def _changed_files(old: Sequence[Golden], revision: Revision, root: Path) -> list[str]:
    """
    Files that the options of checks named then and that are not the same now: a rubric, a schema.

    An option is taken for a file's path, or the name of a rubric, where such a file was there.
    """
    checks = [check for golden in old for case in golden.cases for check in case.checks]
    options = [*(each.options for each in checks), *(each.options for golden in old for each in golden.suite)]
    texts = {value for each in options for value in each.values() if isinstance(value, str)}
    paths = {path for text in texts for path in (text, f"golden/rubrics/{text}.yaml") if _is_relative(path)}
    changed = []
    for path in sorted(paths):
        was = revision.read(path)
        now = root / path
        if was is not None and (not now.is_file() or now.read_bytes() != was):
            changed.append(path)
    return changed


def _is_relative(text: str) -> bool:
    """Whether a text can be the path of a file in the project; most options are no path at all."""
    path = Path(text)
    return text.isprintable() and bool(path.suffix) and not path.is_absolute() and ".." not in path.parts


def _baseline_of(revision: Revision, path: str) -> Run | None:
    data = revision.read(path)
    return None if data is None else parse_baseline(data, f"{path} at git:{revision.ref}")


def _load_all(paths: Iterable[str], folder: Path, revision: Revision) -> list[Golden]:
    """The golden files of an exported revision; their prompts and data need not be there."""
    try:
        return [load_golden(file, root=folder, stamps=False) for file in _find_files(paths, folder)]
    except GoldenError as error:
        raise RevisionError(f"at git:{revision.ref}: {error}") from None


def _all_now(settings: Settings, goldens: Sequence[Golden]) -> list[Golden]:
    """Every golden file of the working tree, those that were not selected included."""
    loaded = {golden.path: golden for golden in goldens}
    for file in _find_files(settings.golden, settings.root):
        golden = load_golden(file, root=settings.root)
        loaded.setdefault(golden.path, golden)
    return list(loaded.values())


def _find_files(paths: Iterable[str], root: Path) -> list[Path]:
    """The golden files of those paths that have any; a folder may hold none yet, or none any more."""
    there = [path for path in paths if (root / path).is_file() or find_in_folder(root / path)]
    return find_golden_files(there, root) if there else []


def _written_settings(root: Path) -> tuple[str, Settings]:
    """What files say, and the name of the one that pytest reads, where it says something of ours."""
    name, ini = read_ini(root)
    return name if ini else "", load_settings(root, (name, ini))


def _lenient(settings: Settings) -> Mapping[str, object]:
    return {name: getattr(settings, name) for name in SETTINGS}


def _broken_promises(paths: Iterable[str], folder: Path, root: Path) -> list[str]:
    """Prompts that changed against the lock of the revision in a way that a new lock would hide."""
    paths = sorted(paths)
    locked = locked_prompts([path for path in paths if (folder / path).exists()], folder)
    found = find_prompts([path for path in paths if (root / path).exists()], root) if locked else ()
    findings = check_prompts(locked, found)
    return [f"{each.file}: {each.name}: {each.reason}" for each in findings if each.hidden_by_lock]


def accepted_path(settings: Settings) -> Path:
    """Where what is accepted goes: the file that is compared with, else the accepted baseline."""
    named = settings.baseline
    return settings.path(
        settings.accepted if named is None or named == NO_BASELINE or is_revision(named) else named
    )


def accept_into_baseline(run: Run, settings: Settings) -> tuple[str, bool]:
    """Take the new cases of a run into the baseline: a line for the summary, and whether it went well."""
    path = accepted_path(settings)
    try:
        done = update_baseline(path, run)
    except LLMOpsError as error:
        return f"nothing was accepted: {error}", False
    except OSError as error:
        return f"nothing was accepted: {error.filename}: {error.strerror}", False
    taken = len(done.added) + len(done.edited)
    cases = counted(taken, "case")
    told = f"{shown_path(path, settings.root)}: {cases} accepted, {len(done.kept)} kept"
    if missed := tell_missed(len(done.missed)):
        told += f"; {missed}"
    if done.refused:
        told += f", {len(done.refused)} refused: {done.refused[0][0]}: {done.refused[0][1]}"
    if done.stale:
        one = len(done.stale) == 1
        lack = "lacks a metric or was" if one else "lack a metric or were"
        told += f"; of the kept {len(done.stale)} {lack} scored otherwise (llmops accept --all)"
    return told, True


def tell_missed(count: int) -> str:
    """A sentence on so many cases that were taken although they miss a check; empty for none."""
    if count == 1:
        return "1 of them misses a check, and is a known failure from now on"
    return f"{count} of them miss a check, and are known failures from now on" if count else ""
