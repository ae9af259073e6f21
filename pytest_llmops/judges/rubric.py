"""`judge`: a chat model grades an answer by a rubric, each criterion from 1 to 5."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.judges.completion import NoVerdictError
from pytest_llmops.judges.floors import combine_criteria
from pytest_llmops.judges.model import JudgeModel
from pytest_llmops.judges.panel import JudgedMetric, Opinion, describe_judge, kept
from pytest_llmops.judges.prompt import fence, load_prompt
from pytest_llmops.judges.rubric_file import (
    DEFAULT,
    SCALE,
    Criterion,
    choose_criteria,
    find_rubric,
    set_floors,
)
from pytest_llmops.judges.verdict import Answer, expect_scores, request_verdict, request_yes
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample

_LOW, _HIGH = SCALE[0], SCALE[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge(JudgedMetric):
    """
    The weighted mean of a rubric's criteria, 1 to 5, from one request to each judge.

    Attributes:
        rubric: `default` (accuracy, completeness, hallucination), `support`, a name below
            `golden/rubrics/`, or a path.
        criteria: Those of its criteria that count: a name, several, or names with weights; all by default.
        expected: Take the value from the probabilities of the digits instead of the digits.
        floors: The least score of each criterion, as `floors.read_floors` takes it; a check that a criterion
            misses fails, whatever the mean is. By default those of the rubric.
    """

    rubric: Any = DEFAULT
    criteria: Any = None
    expected: bool = False
    floors: Any = None

    prompt = "rubric"
    traits = MetricTraits(
        name="judge",
        family="judge",
        basis="judge",
        version=2,
        range=(1.0, 5.0),
        bound=Bound(comparison=">=", threshold=4.0),
        waits=True,
        reads="transcript",
    )

    def __post_init__(self) -> None:
        JudgedMetric.__post_init__(self)
        rubric = choose_criteria(find_rubric(self.rubric, self.name), self.criteria, self.name)
        rubric = set_floors(rubric, self.floors, self.name)
        object.__setattr__(self, "rubric", rubric)
        for option in ("criteria", "floors"):  # the rubric contains them now
            object.__setattr__(self, option, None)
        for judge in self.judges:
            if self.expected and not judge.yes_no and not judge.logprobs:
                raise MetricOptionError(
                    "judge: expected needs the tokens' probabilities, which `logprobs: false` leaves out"
                )
            if judge.yes_no and (
                mute := [criterion.name for criterion in rubric.criteria if not criterion.yes_no]
            ):
                raise MetricOptionError(
                    f"judge: {judge.model} is asked yes or no, and {', '.join(mute)} of the rubric "
                    f"{rubric.name} has no such question; write one as `yes_no`, whose yes is good"
                )

    @property
    def instructions(self) -> str:
        prompts = super(Judge, self).instructions
        weights = ",".join(f"{criterion.name}:{criterion.weight:g}" for criterion in self.rubric.criteria)
        return f"{prompts}|{self.rubric.identity}|{weights}" + ("|expected" if self.expected else "")

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
        messages = load_prompt("rubric").render(**data, **texts)
        answer = await request_verdict(judge, messages, _schema(criteria))
        return self._weigh(_read(answer), describe_judge(judge, answer))

    async def _request_yes(self, judge: JudgeModel, data: Mapping[str, str]) -> Opinion:
        prompt = load_prompt("yes-no")
        await asyncio.sleep(0)  # `gather` needs the loop
        criteria = self.rubric.criteria
        questions = (prompt.render(**data, question=criterion.yes_no) for criterion in criteria)
        answers = await asyncio.gather(*(request_yes(judge, messages) for messages in questions))
        by_criterion = {}
        for criterion, (chance, _) in zip(criteria, answers, strict=True):
            value = round(_LOW + (_HIGH - _LOW) * chance, 4)
            reason = f"yes to {criterion.yes_no!r} has a probability of {chance:.2f}"
            by_criterion[criterion.name] = {"reason": reason, "score": value, "expected": value}
        return self._weigh(by_criterion, describe_judge(judge, answers[0][1]))

    def _weigh(self, by_criterion: Mapping[str, Mapping[str, Any]], judged: dict[str, Any]) -> Opinion:
        of = "expected" if self.expected else "score"
        criteria = self.rubric.criteria
        if lacking := [criterion.name for criterion in criteria if of not in by_criterion[criterion.name]]:
            raise NoVerdictError(
                f"{judged['judge']} gave no probabilities for the score of {', '.join(lacking)}, from which "
                "`expected` would come"
            )
        total = sum(criterion.weight for criterion in criteria)
        value = sum(criterion.weight * by_criterion[criterion.name][of] for criterion in criteria) / total
        lowest = min(by_criterion, key=lambda name: by_criterion[name][of])
        floors = {criterion.name: criterion.floor for criterion in criteria if criterion.floor}
        graded = {
            name: {**entry, **({"floor": floors[name]} if name in floors else {})}
            for name, entry in by_criterion.items()
        }
        reason = ""
        if value < _HIGH:
            below = {
                name: f" (below its floor {floor:g})"
                for name, floor in floors.items()
                if by_criterion[name]["score"] < floor
            }
            scores = ", ".join(
                f"{name} {entry[of]:g}{below.get(name, '')}" for name, entry in by_criterion.items()
            )
            reason = f"{scores}: {by_criterion[lowest]['reason']}"
        return Opinion(value=value, reason=reason, evidence={**judged, "criteria": graded})

    def combine(self, opinions: Sequence[Opinion]) -> dict[str, Any]:
        return {"criteria": combine_criteria([opinion.evidence["criteria"] for opinion in opinions])}


def passages_of(sample: Sample) -> str | None:
    """The texts of the passages, numbered; None without passages."""
    passages = sample.output.passages
    if not passages:
        return None
    return "\n\n".join(f"({number}) {passage.text}" for number, passage in enumerate(passages, 1))


def _describe(criterion: Criterion) -> str:
    steps = [f"  {step}: {meaning}" for step, meaning in zip(SCALE, criterion.anchors, strict=True)]
    return "\n".join([f"{criterion.name}: {criterion.asks}", *steps])


def _form(criteria: tuple[Criterion, ...]) -> str:
    one = '{"reason": "…", "evidence": "…", "score": 1 to 5}'
    return "{" + ", ".join(f"{json.dumps(criterion.name)}: {one}" for criterion in criteria) + "}"


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
    names = [criterion.name for criterion in criteria]
    return {
        "type": "object",
        "properties": dict.fromkeys(names, one),
        "required": names,
        "additionalProperties": False,
    }


def _read(answer: Answer) -> dict[str, dict[str, Any]]:
    """By criterion: reason, evidence, score, and the expected score where probabilities came."""
    expected = expect_scores(answer.reply.text, answer.reply.tokens, list(answer.values), SCALE)
    return {
        name: {
            "reason": kept(graded["reason"]),
            "evidence": kept(graded["evidence"]),
            "score": int(graded["score"]),
            **({"expected": expected[name]} if name in expected else {}),
        }
        for name, graded in answer.values.items()
    }
