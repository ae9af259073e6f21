"""
What a run is held against: baseline and reviews, of the working tree or of where a change began.

Under `git:REF` both come from the merge base, and whatever the change loosened since is listed: golden
files are those of the working tree, so that new and stricter cases count, and a looser one is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_llmops.calibration.kin import warn_of_kin
from pytest_llmops.calibration.record import Calibration, load_needed
from pytest_llmops.errors import LLMOpsError, RunFileError, SettingsError
from pytest_llmops.gates.baseline.stamps import describe_changes
from pytest_llmops.gates.drops import watch_means
from pytest_llmops.gates.foresight.selfcheck import plan_repeats
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.merge_base.loosening import Loosening
from pytest_llmops.gates.pairing import pair_cases
from pytest_llmops.golden.files import shown_path
from pytest_llmops.golden.reviews import Review, load_reviews
from pytest_llmops.golden.revision import Revision, is_revision, open_revision
from pytest_llmops.merge_base.former import find_former_baseline
from pytest_llmops.merge_base.reading import read_merge_base
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Golden, Run
from pytest_llmops.reports.baseline_file import (
    ACCEPT,
    load_base,
    load_baseline,
    update_baseline,
)
from pytest_llmops.reports.selfcheck import selfcheck_line
from pytest_llmops.runner.budget import Budget
from pytest_llmops.settings import NO_BASELINE, Settings

_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """
    What a run is held against: a baseline, what people said of answers, and the gate's own rules of before.

    Attributes:
        goldens: The files to run. Against a revision they hold what was added there since the change began.
        base: None where nothing was accepted yet, or nobody wants a comparison.
        calibrations: How far judges were found to agree with people, by signature; of the revision, so that a
            change cannot vouch for its own judge.
        loosened: What the change made easier to pass; only known against a revision.
        carried: Cases and checks that came from there, and that the change does not have yet.
        revision: Where the change began; None where nothing is compared with one.
    """

    goldens: tuple[Golden, ...] = ()
    base: Run | None = None
    reviews: tuple[Review, ...] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    loosened: tuple[Loosening, ...] = ()
    carried: tuple[str, ...] = ()
    revision: Revision | None = None

    def judge(self, settings: Settings, goldens: Sequence[Golden]) -> Judge:
        """What judges a run of these golden files."""
        written = {result.case.partition("::")[0] for result in self.base.results} if self.base else set()
        gone = frozenset(path for path in written if not settings.path(path).exists())
        return Judge(goldens, self.base, self.reviews, self.calibrations, gone=gone)

    def describe(self, run: Run, settings: Settings) -> list[str]:
        """
        Sentences for the summary: judges of the app's own family, what the baseline lets see, and what else
        is another than in it.
        """
        kin = [*self._describe_carried(), *warn_of_kin(run.results)]
        if self.base is None:
            return kin
        seen = selfcheck_line(self.base, run.suite, repeats=plan_repeats(settings))
        changes = describe_changes(self.base.signature, run.signature)
        told = [*kin, seen, *(f"since the baseline: {line}" for line in changes)]
        if new := pair_cases(self.base.results, run.results).new:
            cases = counted(len(new), "case")
            told.append(f"{cases} new or edited since, so compared with nothing: take them by --llm-accept")
        return told

    def _describe_carried(self) -> list[str]:
        if not self.carried or self.revision is None:
            return []
        names = name_some([printable(each) for each in self.carried], _NAMED)
        ref = printable(self.revision.ref)
        return [f"newer than this change, from {ref}: {names}; where they are red, merge {ref} first"]


def find_yardstick(
    settings: Settings,
    goldens: Sequence[Golden],
    *,
    named: Iterable[str] = (),
    accept: bool = False,
    selection: str = "",
) -> Yardstick:
    """
    What the settings name as baseline: a file, a revision, `none`, or the accepted baseline if there is one.

    Args:
        goldens: The files that are run.
        named: Files and folders that somebody named for it, from the root.
        accept: The run will be taken into the baseline, which must be fit for it before a model is asked.
        selection: By which words of tags the run chooses its cases, pytest's `-m` and `-k`.

    Raises:
        LLMOpsError: A file or the revision cannot be read, a baseline that is named knows none of the
            cases, or the run would be written over what it needs.
    """
    _check_out(settings, goldens)
    if accept and accepted_path(settings).exists():
        load_baseline(accepted_path(settings))
    baseline = settings.baseline
    if "baseline" not in settings.flagged and not is_revision(baseline or ""):
        baseline = find_former_baseline(settings.root) or baseline
    if baseline is not None and is_revision(baseline):
        revision = open_revision(baseline, settings.root)
        found = read_merge_base(revision, settings, goldens, named=named, selection=selection)
        return Yardstick(
            goldens=tuple(watch_means(golden, found.base) for golden in found.goldens),
            base=found.base,
            reviews=found.reviews,
            calibrations=found.calibrations,
            loosened=found.loosened,
            carried=found.carried,
            revision=revision,
        )
    kept = Yardstick(
        goldens=tuple(goldens),
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
    return replace(kept, goldens=tuple(watch_means(golden, base) for golden in goldens), base=base)


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


def list_undecided(budget: Budget | None, settings: Settings) -> list[Loosening]:
    """What a budget that was too small for it left undecided: less of it lets more pass."""
    if budget is None or not budget.ended:
        return []
    what = "the budget was spent before every verdict was decided, and what is undecided fails no build"
    place = "--llm-budget" if "budget" in settings.flagged else "the setting budget"
    return [Loosening(place=place, what=what, after=f"budget {settings.budget}")]
