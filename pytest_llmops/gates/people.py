"""The part of people in the verdicts on a case: labels that a judge has to agree with, reviews of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_llmops.calibration.record import Calibration
from pytest_llmops.gates.absolute import require_agreement
from pytest_llmops.gates.reviewing import settle
from pytest_llmops.golden.reviews import Review
from pytest_llmops.records import Case, CaseResult, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """
    Labels and reviews.

    Attributes:
        reviews: Of answers; they settle undecided verdicts.
        calibrations: By the signature of scores, their agreement with people; a check with `min_kappa` does
            not pass without.
    """

    reviews: Sequence[Review] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)

    def may_change(self, case: Case) -> bool:
        """True if a check of the case needs labels, or an answer was reviewed."""
        return any(check.min_kappa is not None for check in case.checks) or any(
            review.case == case.id for review in self.reviews
        )

    def settle(self, verdicts: Sequence[Verdict], case: Case, result: CaseResult) -> tuple[Verdict, ...]:
        """Return the verdicts of a case as people's labels and reviews leave them."""
        verdicts = require_agreement(verdicts, case, result, self.calibrations)
        return settle(verdicts, result, self.reviews) if self.reviews else verdicts
