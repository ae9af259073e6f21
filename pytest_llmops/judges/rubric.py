"""`judge`: a chat model grades an answer by a rubric, each criterion from 1 to 5."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.judges.completion import NoVerdictError
from pytest_llmops.judges.model import JudgeModel
from pytest_llmops.judges.panel import JudgedMetric, Opinion, describe_judge, kept
from pytest_llmops.judges.prompt import fence, load_prompt
from pytest_llmops.judges.rubric_file import DEFAULT, SCALE, Criterion, choose_criteria, find_rubric
from pytest_llmops.judges.verdict import Answer, expect_scores, request_verdict, request_yes
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample

_LOW, _HIGH = SCALE[0], SCALE[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge(JudgedMetric):
    """
    The weighted mean of a rubric's criteria, 1 to 5, as one request to each judge gives them.

    Attributes:
        rubric: `default` (accuracy, completeness, hallucination), `support`, a name below
            `golden/rubrics/`, or a path.
        criteria: Which of its criteria count: a name, several, or names with weights; all by default.
        expected: Whether the value comes from the probabilities of the digits instead of the digits.
    """

    rubric: Any = DEFAULT
    criteria: Any = None
    expected: bool = False

    traits = MetricTraits(
        name="judge",
        family="judge",
        basis="judge",
        version=2,
        range=(1.0, 5.0),
        bound=Bound(comparison=">=", threshold=4.0),
        waits=True,
    )

    def __post_init__(self) -> None:
        JudgedMetric.__post_init__(self)
        rubric = choose_criteria(find_rubric(self.rubric, self.name), self.criteria, self.name)
        object.__setattr__(self, "rubric", rubric)
        object.__setattr__(self, "criteria", None)  # the rubric holds them now
        for judge in self.judges:
            if self.expected and not judge.yes_no and not judge.logprobs:
                raise MetricOptionError(
                    "judge: expected needs the tokens' probabilities, which `logprobs: false` leaves out"
                )
            if judge.yes_no and (mute := [each.name for each in rubric.criteria if not each.yes_no]):
                raise MetricOptionError(
                    f"judge: {judge.model} is asked yes or no, and {', '.join(mute)} of the rubric "
                    f"{rubric.name} has no such question; write one as `yes_no`, whose yes is good"
                )

    @property
    def instructions(self) -> str:
        prompts = dict.fromkeys("yes-no" if judge.yes_no else "rubric" for judge in self.judges)
        names = ",".join(load_prompt(each).identity for each in prompts)
        weights = ",".join(f"{each.name}:{each.weight:g}" for each in self.rubric.criteria)
        return f"{names}|{self.rubric.identity}|{weights}" + ("|expected" if self.expected else "")

    async def request(self, judge: JudgeModel, sample: Sample) -> Opinion:
        data = fence({
            "question": sample.input,
            "reference": sample.reference,
            "passages": passages_of(sample),
            "answer": sample.output.text,
        })  # fmt: skip
        if judge.yes_no:
            return await self._request_yes(judge, data)
        criteria = self.rubric.criteria
        texts = {"criteria": "\n\n".join(map(_describe, criteria)), "form": _form(criteria)}
        answer = await request_verdict(
            judge, load_prompt("rubric").render(**data, **texts), _schema(criteria)
        )
        return self._weigh(_read(answer), describe_judge(judge, answer))

    async def _request_yes(self, judge: JudgeModel, data: Mapping[str, str]) -> Opinion:
        prompt = load_prompt("yes-no")
        await asyncio.sleep(0)  # `gather` needs the loop
        chances = await asyncio.gather(
            *(
                request_yes(judge, prompt.render(**data, question=each.yes_no))
                for each in self.rubric.criteria
            )
        )
        by_criterion = {
            each.name: {
                "reason": f"yes to {each.yes_no!r} has a probability of {chance:.2f}",
                "score": round(_LOW + (_HIGH - _LOW) * chance, 4),
                "expected": round(_LOW + (_HIGH - _LOW) * chance, 4),
            }
            for each, chance in zip(self.rubric.criteria, chances, strict=True)
        }
        return self._weigh(by_criterion, describe_judge(judge))

    def _weigh(self, by_criterion: Mapping[str, Mapping[str, Any]], judged: dict[str, Any]) -> Opinion:
        of = "expected" if self.expected else "score"
        if lacking := [each.name for each in self.rubric.criteria if of not in by_criterion[each.name]]:
            raise NoVerdictError(
                f"{judged['judge']} gave no probabilities for the score of {', '.join(lacking)}, from which "
                "`expected` would come"
            )
        total = sum(each.weight for each in self.rubric.criteria)
        value = sum(each.weight * by_criterion[each.name][of] for each in self.rubric.criteria) / total
        lowest = min(by_criterion, key=lambda name: by_criterion[name][of])
        reason = ""
        if value < _HIGH:
            scores = ", ".join(f"{name} {by_criterion[name][of]:g}" for name in by_criterion)
            reason = f"{scores}: {by_criterion[lowest]['reason']}"
        return Opinion(value=value, reason=reason, evidence={**judged, "criteria": dict(by_criterion)})


def passages_of(sample: Sample) -> str | None:
    """The texts of the passages, numbered; None where the app gave none."""
    passages = sample.output.passages
    if not passages:
        return None
    return "\n\n".join(f"({number}) {each.text}" for number, each in enumerate(passages, 1))


def _describe(criterion: Criterion) -> str:
    steps = [f"  {step}: {meaning}" for step, meaning in zip(SCALE, criterion.anchors, strict=True)]
    return "\n".join([f"{criterion.name}: {criterion.asks}", *steps])


def _form(criteria: tuple[Criterion, ...]) -> str:
    one = '{"reason": "…", "evidence": "…", "score": 1 to 5}'
    return "{" + ", ".join(f"{json.dumps(each.name)}: {one}" for each in criteria) + "}"


def _schema(criteria: tuple[Criterion, ...]) -> dict[str, Any]:
    one = {
        "type": "object",
        "properties": {
            "reason": {"type": "string"},
            "evidence": {"type": "string"},
            "score": {"type": "integer", "enum": list(SCALE)},
        },
        "required": ["reason", "evidence", "score"],
        "additionalProperties": False,
    }
    names = [each.name for each in criteria]
    return {
        "type": "object",
        "properties": dict.fromkeys(names, one),
        "required": names,
        "additionalProperties": False,
    }


def _read(answer: Answer) -> dict[str, dict[str, Any]]:
    """By criterion: score, reason, evidence, and the expected score where it can be known."""
    expected = expect_scores(answer.reply.text, answer.reply.tokens, list(answer.values), SCALE)
    by_criterion = {}
    for name, given in answer.values.items():
        by_criterion[name] = {
            "reason": kept(given["reason"]),
            "evidence": kept(given["evidence"]),
            "score": int(given["score"]),
        }
        if name in expected:
            by_criterion[name]["expected"] = expected[name]
    return by_criterion
