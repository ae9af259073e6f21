"""What a run is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_llmops.calibration.record import Calibration
from pytest_llmops.calibration.warnings import warn_of_self_preference
from pytest_llmops.gates.baseline.stamps import describe_changes
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.paired_runs.pairing import pair_cases
from pytest_llmops.gates.power.selfcheck import plan_repeats
from pytest_llmops.golden.identity import file_of
from pytest_llmops.golden.reviews import Review
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Golden, Run
from pytest_llmops.reports.loosening import render_edited
from pytest_llmops.reports.selfcheck import selfcheck_line
from pytest_llmops.revision.loosening import Loosening
from pytest_llmops.revision.revision import Revision
from pytest_llmops.settings import Settings

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
        edited: Checks that the change edited, and that are asked as they were too.
        carried: Cases and checks that came from there, and that the change does not have yet.
        revision: Where the change began; None where nothing is compared with one.
    """

    goldens: tuple[Golden, ...] = ()
    base: Run | None = None
    reviews: tuple[Review, ...] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    loosened: tuple[Loosening, ...] = ()
    edited: tuple[Loosening, ...] = ()
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
        warnings = [*self._describe_carried(), *render_edited(self.edited)]
        warnings += warn_of_self_preference(run.results)
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
