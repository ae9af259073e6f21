"""`reference_grade`: a chat model grades an answer as correct, partly or incorrect by the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pytest_llmops.judges.floors import combine_criteria, read_floors
from pytest_llmops.judges.model import JudgeModel
from pytest_llmops.judges.panel import JudgedMetric, Opinion, describe_judge, kept
from pytest_llmops.judges.prompt import fence, load_prompt
from pytest_llmops.judges.verdict import request_verdict, request_yes
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample

GRADES: Mapping[str, float] = MappingProxyType({"correct": 1.0, "partly": 0.5, "incorrect": 0.0})

_FORM = (
    '{"missing": ["…"], "contradicted": ["…"], "reason": "…", "grade": "correct" or "partly" or "incorrect"}'
)
_TEXTS = {"type": "array", "items": {"type": "string"}}
_SCHEMA = {
    "type": "object",
    "properties": {
        "missing": _TEXTS,
        "contradicted": _TEXTS,
        "reason": {"type": "string"},
        "grade": {"type": "string", "enum": list(GRADES)},
    },
    "required": ["missing", "contradicted", "reason", "grade"],
    "additionalProperties": False,
}
_MOST_SHOWN = 10
_GRADE = "grade"
_YES_NO = "Does the answer say the same as the reference?"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceGrade(JudgedMetric):
    """
    1 correct, 0.5 partly, 0 incorrect. Wording does not count, only the reply to the question.

    A yes-no judge gives the probability that the answer agrees with the reference.

    Attributes:
        floors: The least grade, a number or `{grade: 0.5}`: if half of the judges or of the repeats are below
            it, the check fails whatever their mean is. None by default, for the bound is about the grade.
    """

    floors: Any = None

    prompt = "reference-grade"
    traits = MetricTraits(
        name="reference_grade",
        family="judge",
        basis="judge",
        version=2,
        needs=frozenset({"reference"}),
        bound=Bound(comparison=">=", threshold=1.0),
        waits=True,
    )

    def __post_init__(self) -> None:
        JudgedMetric.__post_init__(self)
        floors = read_floors(self.floors, {_GRADE: None}, self.range, self.name)
        object.__setattr__(self, "floors", floors[_GRADE])

    def combine(self, opinions: Sequence[Opinion]) -> dict[str, Any]:
        graded = [opinion.evidence["criteria"] for opinion in opinions if "criteria" in opinion.evidence]
        return {"criteria": combine_criteria(graded)} if graded else {}

    async def request(self, judge: JudgeModel, sample: Sample) -> Opinion:
        texts = {"question": sample.input, "reference": sample.reference, "answer": sample.output.text}
        if judge.yes_no:
            messages = load_prompt("yes-no").render(**fence(texts), question=_YES_NO)
            chance, reply = await request_yes(judge, messages)
            reason = f"yes to {_YES_NO!r} has a probability of {chance:.2f}"
            evidence = {**describe_judge(judge, reply), **self._list_grade(chance, reason)}
            return Opinion(value=chance, reason=reason, evidence=evidence)
        messages = load_prompt("reference-grade").render(**fence(texts), form=_FORM)
        answer = await request_verdict(judge, messages, _SCHEMA)
        values = answer.values
        verdict: dict[str, Any] = {
            "missing": [kept(text) for text in values["missing"][:_MOST_SHOWN]],
            "contradicted": [kept(text) for text in values["contradicted"][:_MOST_SHOWN]],
            "reason": kept(values["reason"]),
            "grade": values["grade"],
        }
        value = GRADES[values["grade"]]
        reason = "" if value == 1 else f"{verdict['grade']}: {verdict['reason']}"
        verdict |= self._list_grade(value, verdict["reason"])
        return Opinion(value=value, reason=reason, evidence={**describe_judge(judge, answer), **verdict})

    def _list_grade(self, value: float, reason: str) -> dict[str, Any]:
        """The grade as a criterion with its floor, for the evidence; nothing without a floor."""
        if self.floors is None:
            return {}
        return {"criteria": {_GRADE: {"reason": reason, "score": value, "floor": self.floors}}}
