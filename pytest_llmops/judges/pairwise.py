"""`pairwise`: a chat model chooses the better of two answers, in both orders."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType
from typing import Any

from pytest_llmops.judges.model import JudgeModel
from pytest_llmops.judges.panel import JudgedMetric, Opinion, count_votes, describe_judge, kept
from pytest_llmops.judges.prompt import fence, load_prompt
from pytest_llmops.judges.rubric import passages_of
from pytest_llmops.judges.verdict import Answer, request_verdict, request_yes
from pytest_llmops.metrics.declared_metric import fail
from pytest_llmops.metrics.words import find_blank
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score
from pytest_llmops.statistics.intervals import wilson_interval

WIN, TIE, LOSS = 1.0, 0.5, 0.0

_VERDICTS: Mapping[str, float] = MappingProxyType({"first": WIN, "second": LOSS, "neither": TIE})
_FORM = '{"reason": "…", "evidence": "…", "better": "first" or "second" or "neither"}'
_SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "evidence": {"type": "string"},
        "better": {"type": "string", "enum": list(_VERDICTS)},
    },
    "required": ["reason", "evidence", "better"],
    "additionalProperties": False,
}
_YES_NO = "Is this a correct and helpful answer to the question?"
_NEAR = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairwise(JudgedMetric):
    """
    1 the output is better than its rival, 0.5 neither, 0 the rival is better.

    The rival is `Sample.rival`, else the reference, which a case needs where its golden file names no rival.
    Verdicts that differ between the two orders are a tie.
    A yes-no judge sees one answer at a time, so that there is no order to depend on.
    """

    prompt = "pairwise"
    traits = MetricTraits(
        name="pairwise",
        family="pairwise",
        basis="judge",
        version=2,
        needs=frozenset({"reference"}),
        bound=Bound(comparison=">=", threshold=TIE),
        waits=True,
        compares=True,
    )

    def settle(self, sample: Sample) -> Score | Failure | None:
        """An answer without a word loses to one with words, and ties with another without."""
        rival = _rival(sample)
        if rival is None:
            return fail(
                self, sample, "there is no other answer to compare with; add `reference:` to the case"
            )
        output, other = find_blank(sample.output.text, rival), find_blank(rival, sample.output.text)
        if output and other:
            return self.conclude(sample, TIE, "both answers are empty or contain no word")
        if output:
            return self.conclude(sample, LOSS, output)
        return self.conclude(sample, WIN) if other else None

    async def request(self, judge: JudgeModel, sample: Sample) -> Opinion:
        output, rival = sample.output.text, _rival(sample) or ""
        if output == rival:
            same = "both answers are the same text"
            return _opinion(TIE, same, describe_judge(judge), sample)
        if judge.yes_no:
            return await self._request_yes(judge, sample)
        await asyncio.sleep(0)  # `gather` needs the loop
        direct, swapped = await asyncio.gather(
            self._request_order(judge, sample, output, rival),
            self._request_order(judge, sample, rival, output),
        )
        orders = [_VERDICTS[direct.values["better"]], 1.0 - _VERDICTS[swapped.values["better"]]]
        evidence: dict[str, Any] = {
            **describe_judge(judge, direct),
            "orders": orders,
            "repaired": direct.repaired or swapped.repaired,
            "verdicts": [
                {name: kept(answer.values[name]) for name in ("better", "reason", "evidence")}
                for answer in (direct, swapped)
            ],
        }
        if orders[0] == orders[1]:
            reason = str(evidence["verdicts"][0]["reason"])
        else:
            reason = f"the verdict depends on the order: {_name(orders[0])} first, {_name(orders[1])} swapped"
        return _opinion(orders[0] if orders[0] == orders[1] else TIE, reason, evidence, sample)

    def combine(self, opinions: Sequence[Opinion]) -> dict[str, Any]:
        lengths = {"lengths": opinions[0].evidence["lengths"]}
        orders = [opinion.evidence["orders"] for opinion in opinions if "orders" in opinion.evidence]
        if not orders:
            return lengths
        return {"orders": [count_votes([pair[at] for pair in orders], self.vote) for at in (0, 1)], **lengths}

    async def _request_order(self, judge: JudgeModel, sample: Sample, first: str, second: str) -> Answer:
        # The reference is no help where it is itself one of the two.
        reference = sample.reference if sample.rival is not None else None
        data = fence({
            "question": sample.input,
            "reference": reference,
            "passages": passages_of(sample),
            "first answer": first,
            "second answer": second,
        })  # fmt: skip
        return await request_verdict(judge, load_prompt("pairwise").render(**data, form=_FORM), _SCHEMA)

    async def _request_yes(self, judge: JudgeModel, sample: Sample) -> Opinion:
        prompt = load_prompt("yes-no")
        await asyncio.sleep(0)  # `gather` needs the loop
        answers = await asyncio.gather(
            *(
                request_yes(
                    judge,
                    prompt.render(**fence({"question": sample.input, "answer": text}), question=_YES_NO),
                )
                for text in (sample.output.text, _rival(sample))
            )
        )
        chances = [chance for chance, _ in answers]
        difference = chances[0] - chances[1]
        value = TIE if abs(difference) < _NEAR else WIN if difference > 0 else LOSS
        reason = (
            f"yes to {_YES_NO!r} has probabilities of {chances[0]:.2f} and, for its rival, {chances[1]:.2f}"
        )
        question = {"question": _YES_NO, "chances": {"output": chances[0], "rival": chances[1]}}
        return _opinion(value, reason, {**describe_judge(judge, answers[0][1]), **question}, sample)


def win_rate(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float, float]:
    """
    The share of comparisons won, a tie as half of one, with its interval.

    Args:
        values: 1, 0.5 or 0 each, of `pairwise`; independent ones.
        level: Coverage, between 0 and 1.

    Returns:
        Rate, low and high, each 0 to 1.

    Raises:
        ValueError: There are none.

    Source: Wilson (1927); see `wilson_interval` for the effect of ties.
    """
    if not values:
        raise ValueError("a win rate needs a comparison")
    rate = fmean(values)
    return rate, *wilson_interval(rate, len(values), level)


def _opinion(value: float, reason: str, verdicts: Mapping[str, Any], sample: Sample) -> Opinion:
    evidence = {**verdicts, "lengths": [len(sample.output.text), len(_rival(sample) or "")]}
    return Opinion(value=value, reason="" if value == WIN else reason, evidence=evidence)


def _rival(sample: Sample) -> str | None:
    return sample.reference if sample.rival is None else sample.rival


def _name(value: float) -> str:
    return {WIN: "better", TIE: "neither", LOSS: "worse"}[value]
