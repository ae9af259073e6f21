"""Who judged, as every score of a judge says it."""

from __future__ import annotations

from typing import Any

from pytest_llmops.judges.completion import Answer
from pytest_llmops.judges.model import JudgeModel


def describe_judge(judge: JudgeModel, answer: Answer | None = None) -> dict[str, Any]:
    """
    The model that says it answered, its family, and how the answer came.

    Without an answer the judge was asked yes or no.
    """
    if answer is None:
        return {"judge": judge.model, "family": judge.family, "form": "yes_no"}
    reply = answer.reply
    return {
        "judge": reply.model or judge.model,
        "asked": judge.model,
        "family": judge.family,
        "fingerprint": reply.fingerprint,
        "form": answer.form,
        "repaired": answer.repaired,
    }
