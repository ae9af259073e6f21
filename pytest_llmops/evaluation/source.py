"""The source of a comparison: a baseline, reviews and calibrations, and the golden files to run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pytest_llmops.calibration.record import Calibration, find_uncalibrated, warn_of_self_preference
from pytest_llmops.evaluation.missing import MissingBaseline
from pytest_llmops.gates.expected import decide_strictness, split_skipped
from pytest_llmops.gates.golden_flaws import (
    describe_blind,
    describe_echoes,
    describe_unchecked,
    describe_unmeasured,
)
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.paired_runs import pair_cases
from pytest_llmops.gates.people import People
from pytest_llmops.gates.release import Release, describe_drift
from pytest_llmops.gates.renames import describe_renames
from pytest_llmops.gates.selfcheck import plan_repeats
from pytest_llmops.gates.spending import describe_spending
from pytest_llmops.gates.stamps import describe_changes, describe_unstamped, stamped_kinds
from pytest_llmops.golden.identity import case_id, cases_by_id, file_of
from pytest_llmops.golden.reviews import Review
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Case, Golden, Run
from pytest_llmops.reports.loosening import render_edited
from pytest_llmops.reports.selfcheck import selfcheck_line
from pytest_llmops.revision.loosening import Loosening
from pytest_llmops.revision.recordings import RecordedChanges
from pytest_llmops.revision.revision import Revision
from pytest_llmops.settings import Settings

SINCE = "since the baseline: "
"""The begin of a sentence on what changed besides the scores."""

_NAMED = 3


def gone_files(base: Run, settings: Settings) -> frozenset[str]:
    """Return the golden files of a baseline that do not exist any more."""
    files = {file_of(result.case) for result in base.results}
    return frozenset(path for path in files if not settings.path(path).exists())


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSource:
    """
    A baseline, reviews of answers and calibrations of judges, and the golden files that they are for.

    Attributes:
        goldens: The files to run, against a revision with all that was added there since the change began.
        base: None where nothing was accepted yet, or no comparison is wanted.
        calibrations: How far judges were found to agree with people, by signature; of the revision, so that a
            change cannot calibrate its own judge.
        loosened: Keys that the change made easier to pass; only known against a revision.
        edited: Checks that the change edited, and whose old form judges the run, too.
        carried: Cases and checks that came from there, and that the change does not have yet.
        revision: Where the change began; None where nothing is compared with one.
        recordings: Differences of the recorded calls from those of the revision.
        approvals: Loosened items that the pipeline approves, or the settings of the revision as it is by now.
        prices: Those of the revision, by which a change is judged; it may add further ones.
        release: The release baseline beside `base`; None where no release was named.
        left_out: A sentence on a release of the project that is not beside `base`.
        unwatched: A sentence on a baseline file that the change edited.
        renamed: Ids of cases that the baseline has under another one, old to new.
        missing: Why the revision has no baseline; None where it has one, or none is wanted.
        former: The golden files of the revision, by the paths and ids that they have now.
        former_options: Files that their checks named, and that are not what they were.
        former_settings: Those of the revision; None where nothing is compared with one.
        skipped: The cases of `goldens` that are not run, by item id, once they are taken out of these.
    """

    goldens: tuple[Golden, ...] = ()
    base: Run | None = None
    reviews: tuple[Review, ...] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    loosened: tuple[Loosening, ...] = ()
    edited: tuple[Loosening, ...] = ()
    carried: tuple[str, ...] = ()
    revision: Revision | None = None
    recordings: RecordedChanges = field(default_factory=RecordedChanges)
    approvals: tuple[str, ...] = ()
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    release: Release | None = None
    left_out: str = ""
    unwatched: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    missing: MissingBaseline | None = None
    former: tuple[Golden, ...] = ()
    former_options: tuple[str, ...] = ()
    former_settings: Settings | None = None
    skipped: Mapping[str, Case] = field(default_factory=dict)

    def leave_out_skipped(self, *, strict: bool | None) -> BaselineSource:
        """
        Return the source without the cases that are skipped.

        Args:
            strict: Of cases that are expected to fail, as `decide_strictness`.
        """
        goldens = [decide_strictness(golden, strict=strict) for golden in self.goldens]
        split = [split_skipped(golden) for golden in goldens]
        skipped = {case_id(golden, case): case for golden, cases in split for case in cases}
        return replace(self, goldens=tuple(golden for golden, _ in split), skipped=skipped)

    def judge(self, settings: Settings) -> Judge:
        """Return the judge of a run of the golden files."""
        gone = gone_files(self.base, settings) if self.base else frozenset[str]()
        people = People(reviews=self.reviews, calibrations=self.calibrations)
        skipped = {id_: case.skip for id_, case in self.skipped.items()}
        return Judge(self.goldens, self.base, people, gone=gone, release=self.release, skipped=skipped)

    def doubts(self) -> Iterator[str]:
        """A sentence for each check that shows little: uncalibrated, blind, unmeasured, met by a question."""
        for golden in self.goldens:
            yield from find_uncalibrated(golden, self.calibrations)
            yield from describe_blind(golden)
            yield from describe_unchecked(golden)
            yield from describe_echoes(golden)
            yield from describe_unmeasured(golden)

    def unasked(self, judged: Collection[str]) -> list[Loosening]:
        """
        Return edited checks of golden files of which a case was not judged: their old form saw only a part.

        Args:
            judged: Ids of the cases with a verdict.
        """
        incomplete = {golden.path for golden in self.goldens if not cases_by_id(golden).keys() <= {*judged}}
        return [
            edit for edit in self.edited if (file_of(edit.case) if edit.case else edit.place) in incomplete
        ]

    def describe(
        self,
        run: Run,
        settings: Settings,
        unasked: Collection[Loosening] = (),
        release: Release | None = None,
    ) -> list[str]:
        """
        Return sentences for the summary.

        They name judges of the app's own family, drops that the baseline cannot show, and all that differs
        from the baseline.

        Args:
            unasked: Edited checks whose old form did not judge all its cases; these are listed elsewhere.
            release: The release baseline, scored as the run is.
        """
        lines = []
        if self.carried and self.revision is not None:
            names = name_some([printable(name) for name in self.carried], _NAMED)
            ref = printable(self.revision.ref)
            lines.append(
                f"newer than this change, from {ref}: {names}; where they are red, merge {ref} first"
            )
        if self.revision is not None and self.revision.folder is not None:
            place = printable(self.revision.folder) or "the top of the repository"
            lines.append(f"this project was moved: it is compared with {place} at the merge base")
        lines += self.recordings.describe()
        lines += render_edited([edit for edit in self.edited if edit not in unasked])
        lines += warn_of_self_preference(run.results)
        if self.base is None:
            return lines
        most = 0 if isinstance(settings.repeats, int) else settings.max_repeats
        files = {file_of(result.case) for result in run.results}
        met = tuple(result for result in self.base.results if file_of(result.case) in files)
        base = replace(self.base, results=met or self.base.results)
        lines.append(selfcheck_line(base, run.suite, repeats=plan_repeats(settings), most=most))
        changes = describe_changes(self.base.signature, run.signature)
        unstamped = describe_unstamped(self.base.signature, run.signature)
        lines += [f"{SINCE}{change}" for change in changes]
        lines += [f"{SINCE}{more}" for more in describe_spending(base.results, run.results)]
        lines += unstamped
        if (kinds := stamped_kinds(self.base.signature, run.signature)) and not changes and not unstamped:
            lines.append(f"no stamp differs from the baseline: {', '.join(kinds)}")
        drift = self.left_out if release is None else describe_drift(release, run.suite, run.results)
        lines += filter(None, [drift, self.unwatched, describe_renames(self.renamed)])
        if new := pair_cases(self.base.results, run.results).new:
            cases = counted(len(new), "case")
            lines.append(f"{cases} new or edited since, so compared with nothing: take them by --llm-accept")
        return lines
