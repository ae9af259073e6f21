"""
Where the baseline, reviews and calibrations come from: the working tree, or the revision a change began at.

Under `git:REF` all of them come from the merge base, and whatever the change loosened since is listed: golden
files are those of the working tree, so that new and stricter cases count, and a looser one is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_llmops.calibration.bias.self_preference import warn_of_self_preference
from pytest_llmops.calibration.record import Calibration, load_needed
from pytest_llmops.errors import RunFileError, SettingsError
from pytest_llmops.evaluation.acceptance import accepted_path
from pytest_llmops.evaluation.merge_base.former import find_former_baseline
from pytest_llmops.evaluation.merge_base.reading import read_merge_base
from pytest_llmops.gates.baseline.stamps import describe_changes
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.paired_runs.pairing import pair_cases
from pytest_llmops.gates.power.selfcheck import plan_repeats
from pytest_llmops.gates.suite_channel.drops import watch_means
from pytest_llmops.golden.identity import cases_by_id, file_of
from pytest_llmops.golden.reviews import Review, load_reviews
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Golden, Run
from pytest_llmops.reports.files.baseline_file import ACCEPT, load_base, load_baseline
from pytest_llmops.reports.selfcheck import selfcheck_line
from pytest_llmops.revision.loosening.compared import Loosening
from pytest_llmops.revision.revision import Revision, is_revision, open_revision
from pytest_llmops.settings import NO_BASELINE, Settings

_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSource:
    """
    What a run is compared with: a baseline, reviews of answers, and the golden files as they were before.

    Attributes:
        goldens: The files to run. Against a revision they hold what was added there since the change began.
        base: None where nothing was accepted yet, or nobody wants a comparison.
        calibrations: How far judges were found to agree with people, by signature; of the revision, so that a
            change cannot calibrate its own judge.
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

    def judge(self, settings: Settings) -> Judge:
        """What judges a run of the golden files."""
        written = {file_of(result.case) for result in self.base.results} if self.base else set()
        gone = frozenset(path for path in written if not settings.path(path).exists())
        return Judge(self.goldens, self.base, self.reviews, self.calibrations, gone=gone)

    def describe(self, run: Run, settings: Settings) -> list[str]:
        """
        Sentences for the summary: judges of the app's own family, what the baseline lets see, and what else
        is another than in it.
        """
        warnings = [*self._describe_carried(), *warn_of_self_preference(run.results)]
        if self.base is None:
            return warnings
        seen = selfcheck_line(self.base, run.suite, repeats=plan_repeats(settings))
        changes = describe_changes(self.base.signature, run.signature)
        lines = [*warnings, seen, *(f"since the baseline: {line}" for line in changes)]
        if new := pair_cases(self.base.results, run.results).new:
            cases = counted(len(new), "case")
            lines.append(f"{cases} new or edited since, so compared with nothing: take them by --llm-accept")
        return lines

    def _describe_carried(self) -> list[str]:
        if not self.carried or self.revision is None:
            return []
        names = name_some([printable(each) for each in self.carried], _NAMED)
        ref = printable(self.revision.ref)
        return [f"newer than this change, from {ref}: {names}; where they are red, merge {ref} first"]


def find_baseline(
    settings: Settings,
    goldens: Sequence[Golden],
    *,
    named: Iterable[str] = (),
    accept: bool = False,
    selection: str = "",
) -> BaselineSource:
    """
    What the settings name as baseline: a file, a revision, `none`, or the accepted baseline if there is one.

    Args:
        goldens: The files that are run.
        named: Files and folders that somebody named for it, from the root.
        accept: The run will be taken into the baseline, which must be fit for it before a model is called.
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
        return BaselineSource(
            goldens=tuple(watch_means(golden, found.base) for golden in found.goldens),
            base=found.base,
            reviews=found.reviews,
            calibrations=found.calibrations,
            loosened=found.loosened,
            carried=found.carried,
            revision=revision,
        )
    kept = BaselineSource(
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
    """With a baseline of another project every case would be new, and nothing compared."""
    cases = cases_by_id(*goldens)
    if cases and not any(result.case in cases for result in base.results):
        files = name_some([printable(golden.path) for golden in goldens], _NAMED)
        raise RunFileError(
            f"{path}: holds no case of {files}; it is of another project or the "
            f"cases were renamed; make one with: {ACCEPT}"
        )
