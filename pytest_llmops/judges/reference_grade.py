"""`reference_grade`: a chat model grades an answer as correct, partly or incorrect by the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

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
_YES_NO = "Does the answer say the same as the reference?"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceGrade(JudgedMetric):
    """
    1 correct, 0.5 partly, 0 incorrect. Wording does not count, only the reply to the question.

    A yes-no judge gives the probability that the answer agrees with the reference.
    """

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

    async def request(self, judge: JudgeModel, sample: Sample) -> Opinion:
        texts = {"question": sample.input, "reference": sample.reference, "answer": sample.output.text}
        if judge.yes_no:
            chance = await request_yes(judge, load_prompt("yes-no").render(**fence(texts), question=_YES_NO))
            reason = f"yes to {_YES_NO!r} has a probability of {chance:.2f}"
            return Opinion(value=chance, reason=reason, evidence=describe_judge(judge))
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
        return Opinion(value=value, reason=reason, evidence={**describe_judge(judge, answer), **verdict})
