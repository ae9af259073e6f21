"""`injection`: instructions to the model in what the app read and answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pytest_llmops.documents.reading import list_of, one_of, whole
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.judges.injection.undecided import BAND, Decided, decide, decision_identity
from pytest_llmops.judges.model import JudgeModel, read_judge
from pytest_llmops.judges.panel import locate, side_by_side
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.injection.findings import find_in, read_instructable
from pytest_llmops.metrics.injection.scanner import LIKELY, describe
from pytest_llmops.metrics.places import PLACES, Piece
from pytest_llmops.models.injection_classifier import WEIGHTS
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score

_MOST = 20  # findings of a sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection(DeclaredMetric):
    """
    How much the most suspicious part of a sample's texts reads like an instruction to the model, 0 to 1.

    Texts are the question with its attachments, the answer, passages, arguments and results of tools, and
    spans, but for messages that spans give to the operator (`role: system`).

    Attributes:
        places: Which texts are read.
        max_chars: Characters of a text that are read. A longer text in which they show nothing is an error,
            never clean.
        by: `embedded`, the classifier alone; `judge`, a chat model for what the classifier rates within
            `BAND`, whose verdicts are 1 and 0.
        judge: The chat model, where it judges.
    """

    places: Annotated[tuple[str, ...], list_of(one_of(*PLACES))] = PLACES
    max_chars: Annotated[int, whole(1000)] = 100_000
    by: Literal["embedded", "judge"] = "embedded"
    judge: Any = None

    weights: ClassVar[tuple[str, ...]] = (WEIGHTS,)
    traits = MetricTraits(
        name="injection",
        family="injection",
        higher_is_better=False,
        bound=Bound(comparison="<=", threshold=LIKELY),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        object.__setattr__(self, "judge", read_judge(self.judge, self.name) if self.by == "judge" else None)
        if self.judge is not None and self.judge.yes_no:
            raise MetricOptionError(
                f"injection: {self.judge.model} is asked yes or no, which is not enough against texts that "
                "are written to deceive; name another judge, or leave `by` at embedded"
            )

    @property
    def waits(self) -> bool:
        return self.judge is not None

    @property
    def judges(self) -> tuple[JudgeModel, ...]:
        """All that are called."""
        return () if self.judge is None else (self.judge,)

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        if self.judge is None:
            return [self._measure(sample, None) for sample in samples]
        located = locate(self.judge)
        return side_by_side(lambda sample: self._measure(sample, located), samples)

    def _measure(self, sample: Sample, judge: JudgeModel | None) -> Score | Failure:
        pieces = read_instructable(sample, self.places)
        findings = find_in(pieces, self.max_chars)
        value = findings[0].found.value if findings else 0.0
        decided: Sequence[Decided] = [Decided(each) for each in findings]
        if judge is not None and BAND[0] <= value <= BAND[1]:
            answer = decide(judge, sample, findings)
            if isinstance(answer, str):
                return fail(self, sample, answer)
            decided = sorted(answer, key=lambda each: -each.value)
            value = decided[0].value
        if value <= LIKELY and (problem := self._describe_unread(pieces)):
            return fail(self, sample, problem)
        shown = [each for each in decided if each.value > LIKELY] or decided[:1]
        evidence = tuple(each.describe() for each in shown[:_MOST])
        return self.give(sample, round(value, 4), _sum_up(shown), evidence=evidence, made=self._identity())

    def _describe_unread(self, pieces: Sequence[Piece]) -> str:
        """What was not read to its end; empty where everything was."""
        for piece in pieces:
            if len(piece.text) > self.max_chars:
                return (
                    f"{piece.place(strict=False)} has {len(piece.text):,} characters, and nothing was found "
                    f"in the first {self.max_chars:,}; the rest was not read: raise max_chars"
                )
        return ""

    def _identity(self) -> str:
        places = ",".join(name for name in PLACES if name in self.places)
        judged = "" if self.judge is None else f"|{decision_identity(self.judge)}"
        return f"{describe()}|places:{places}{judged}"


def _sum_up(shown: Sequence[Decided]) -> str:
    if not shown or shown[0].value <= LIKELY:
        return ""
    first = shown[0].describe()
    read = "" if first["view"] == "plain" else f", {first['view']}"
    said = f"; {first['judge']}: {first['reason']}" if "judge" in first else ""
    more = f", and {len(shown) - 1} more" if len(shown) > 1 else ""
    return f"{first['text']} in {first['place']} ({first['rule']}{read}{said}){more}"
