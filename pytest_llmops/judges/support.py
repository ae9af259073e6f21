"""Whether passages support claims, as a chat model says, with the words of the passages that show it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.judges.completion import JudgeError, run
from pytest_llmops.judges.model import JudgeModel
from pytest_llmops.judges.panel import describe_problem, kept, locate, side_by_side
from pytest_llmops.judges.prompt import fence, load_prompt
from pytest_llmops.judges.rubric import passages_of
from pytest_llmops.judges.verdict import VERSION, request_verdict
from pytest_llmops.metrics.faithfulness.model import Label
from pytest_llmops.metrics.words import fold
from pytest_llmops.printable import counted
from pytest_llmops.recorder import recording_of
from pytest_llmops.records import Failure, Sample

_METRIC = "faithfulness"
_LABELS = ("supported", "contradicted", "absent")
_FORM = (
    '{"claims": [{"claim": 1, "evidence": "…", "reason": "…", '
    '"label": "supported" or "contradicted" or "absent"}, …]}'
)
_ELLIPSIS = re.compile(r"\s*(?:\.{3,}|…|\[(?:\.{3}|…)\])\s*")
_QUOTES = "\"'“”„«»`"


@dataclass(frozen=True, slots=True)
class Support:
    """
    What is said of one claim.

    Attributes:
        evidence: Words that stand in the passages, unmasked so that they can be found there; empty for
            `absent`. A label whose quotation stands nowhere is not believed: it is `absent`.
    """

    label: Label
    evidence: str = ""
    reason: str = ""


def judge_support(
    judge: JudgeModel, samples: Sequence[Sample], claims: Sequence[Sequence[str]]
) -> list[list[Support] | Failure]:
    """
    For each sample one `Support` a claim, in order, by one request; or why there is none.

    A sample without claims costs no request, nor does one whose app found no passages: all is absent.

    Raises:
        MissingExtraError: The client is not installed.
    """
    if judge.yes_no:
        error = f"{judge.model} is asked yes or no, which is not enough to check claims; name another judge"
        return [_failure(sample, error) for sample in samples]
    located = locate(judge)
    pairs = list(zip(samples, claims, strict=True))
    return side_by_side(lambda pair: _check(located, *pair), pairs) if pairs else []


def support_identity(judge: JudgeModel) -> str:
    """What moves these verdicts, for a signature."""
    return f"{judge.identity}|{load_prompt('support').identity}|parser{VERSION}"


def _check(judge: JudgeModel, sample: Sample, claims: Sequence[str]) -> list[Support] | Failure:
    if sample.output.passages is None:
        return _failure(
            sample, "the app reported no passages; return Output(passages=…), or trace the retriever"
        )
    if not claims or not sample.output.passages:
        return [Support("absent", "", "there are no passages") for _ in claims]
    numbered = "\n".join(f"{number}. {claim}" for number, claim in enumerate(claims, 1))
    data = fence({"passages": passages_of(sample), "claims": numbered})
    messages = load_prompt("support").render(**data, form=_FORM, count=str(len(claims)))
    try:
        with recording_of(sample.case or f"judges::{_METRIC}", sample.output.repeat) as log:
            answer = run(request_verdict(judge, messages, _schema(len(claims))))
    except (JudgeError, LLMOpsError) as error:
        return _failure(sample, describe_problem(error, judge, log))
    given = sorted(answer.values["claims"], key=lambda each: int(each["claim"]))
    if [each["claim"] for each in given] != list(range(1, len(claims) + 1)):
        return _failure(sample, f"{judge.model} did not label each of {counted(len(claims), 'claim')} once")
    texts = [fold(each.text) for each in sample.output.passages]
    return [_believed(each, texts) for each in given]


def _believed(given: dict[str, Any], texts: Sequence[str]) -> Support:
    label, reason = cast("Label", given["label"]), kept(given["reason"])
    if label == "absent":
        return Support(label, "", reason)
    quotation = given["evidence"].strip()
    if _stands_in(quotation, texts):
        return Support(label, quotation, reason)
    return Support("absent", "", f"called {label}, but what it quotes stands in no passage: {reason}")


def _stands_in(quotation: str, texts: Sequence[str]) -> bool:
    """Whether one passage holds the quotation, in all its parts where it leaves words out."""
    parts = [fold(part).strip(_QUOTES + " ") for part in _ELLIPSIS.split(quotation)]
    parts = [part for part in parts if any(map(str.isalnum, part))]
    return bool(parts) and any(all(part in text for part in parts) for text in texts)


def _schema(count: int) -> dict[str, Any]:
    one = {
        "type": "object",
        "properties": {
            "claim": {"type": "integer", "enum": list(range(1, count + 1))},
            "evidence": {"type": "string"},
            "reason": {"type": "string"},
            "label": {"type": "string", "enum": list(_LABELS)},
        },
        "required": ["claim", "evidence", "reason", "label"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"claims": {"type": "array", "items": one}},
        "required": ["claims"],
        "additionalProperties": False,
    }


def _failure(sample: Sample, error: str) -> Failure:
    return Failure(metric=_METRIC, stage="score", error=error, repeat=sample.output.repeat)
