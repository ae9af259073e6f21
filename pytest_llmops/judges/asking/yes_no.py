"""A question answered by the probability of `yes`, for models too small to weigh and to write JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_llmops.judges.asking.client import complete
from pytest_llmops.judges.asking.failures import NoVerdictError
from pytest_llmops.judges.asking.forms import Message
from pytest_llmops.judges.asking.quotation import quote
from pytest_llmops.judges.model import JudgeModel

_TOP_LOGPROBS = 20
_DIGITS = 4
_TOLD = 40


async def ask_yes(judge: JudgeModel, messages: Sequence[Message]) -> float:
    """
    The probability of `yes` over that of `yes` and `no`, 0 to 1, for the first token of the answer.

    Raises:
        NoVerdictError: Neither is among the likeliest tokens, or no probabilities came.
        CassetteError: It is not recorded and may not be made.
    """
    request = {
        "messages": list(messages),
        "temperature": 0,
        "seed": judge.seed,
        "max_tokens": 1,
        "logprobs": True,
        "top_logprobs": _TOP_LOGPROBS,
        # With a cached prefix the same prompt is computed in other batches and rounds to other answers.
        "extra_body": {"cache_prompt": False},
    }
    reply = await complete(judge, request)
    mass = {"yes": 0.0, "no": 0.0}
    try:
        for token in reply.tokens[0]["top_logprobs"] if reply.tokens else ():
            word = token["token"].strip().lower()
            if word in mass:
                mass[word] += math.exp(token["logprob"])
    except (LookupError, TypeError, AttributeError, OverflowError):
        raise NoVerdictError(f"{judge.model} gave probabilities that cannot be read") from None
    total = sum(mass.values())
    if not (math.isfinite(total) and total > 0):
        raise NoVerdictError(
            f"{judge.model} gave no probability of yes or no, but {quote(reply.text, _TOLD)!r}"
        )
    return round(mass["yes"] / total, _DIGITS)
