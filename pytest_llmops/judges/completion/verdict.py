"""
Verdicts: the same request in the form that an endpoint understands, a JSON schema, a tool, or plain text.

What an endpoint refuses is left out of the next request, and remembered, so that it is refused once in a
process. A recording knows nothing of refusals: a call that is not in it is looked up in the other forms.

A model too small to weigh and to write JSON answers yes or no, by the probability of `yes`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Literal

from pytest_llmops.errors import BudgetError, CassetteError
from pytest_llmops.judges.completion.answers import read_answer
from pytest_llmops.judges.completion.client import Reply, complete
from pytest_llmops.judges.completion.failures import NoVerdictError, RefusedError, UnusableAnswerError, quote
from pytest_llmops.judges.completion.loop import at_close
from pytest_llmops.judges.model import JudgeModel

Form = Literal["json_schema", "tools", "text"]
Message = dict[str, str]

_FORMS: tuple[Form, ...] = ("json_schema", "tools", "text")
_OPTIONAL = ("temperature", "seed", "logprobs")
_TOP_LOGPROBS = 5
_TOP_LOGPROBS_YES_NO = 20
_DIGITS = 4  # of a probability
_SHOWN = 40  # characters of an answer that is neither yes nor no
_TOOL = "give_verdict"
_UNKNOWN = re.compile(
    r"response_format|json_schema|schema|structured|grammar|tool|function|unsupported|not supported|"
    r"does(?:n't| not) support|not implemented|unknown|unrecogni[sz]ed|extra inputs|"
    r"not permitted|not allowed",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to write a request: the form, and the parameters that this model does not take."""

    form: Form = _FORMS[0]
    omitted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    A verdict as the schema asks for it.

    Attributes:
        reply: The completion that it was read from.
        form: In which it was requested.
        repaired: Whether the first answer could not be used.
    """

    values: Mapping[str, Any]
    reply: Reply
    form: Form
    repaired: bool = False


_learned: dict[tuple[str, str, bool], _Plan] = {}
"""By address, model and whether probabilities are wanted."""


async def _forget() -> None:
    _learned.clear()


at_close(_forget)


async def request_verdict(
    judge: JudgeModel, messages: Sequence[Message], schema: Mapping[str, Any]
) -> Answer:
    """
    The verdict on the messages; they say themselves, in words, what the schema asks.

    An answer that cannot be used is shown to the model with what is wrong in it, once.

    Raises:
        JudgeError: None came that can be used; `NoVerdictError` where the model answered.
        CassetteError: It is not recorded and may not be made.
    """
    reply, form = await _converse(judge, messages, schema)
    try:
        return Answer(values=read_answer(reply, schema), reply=reply, form=form)
    except UnusableAnswerError as error:
        first = str(error)
    reply, form = await _converse(judge, [*messages, *_repair(reply, first)], schema)
    try:
        return Answer(values=read_answer(reply, schema), reply=reply, form=form, repaired=True)
    except UnusableAnswerError as error:
        again = str(error)
    problem = again if again == first else f"{again} (before that: {first})"
    raise NoVerdictError(f"{judge.model} gave no verdict, even when asked again: {problem}")


async def request_yes(judge: JudgeModel, messages: Sequence[Message]) -> float:
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
        "top_logprobs": _TOP_LOGPROBS_YES_NO,
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
            f"{judge.model} gave no probability of yes or no, but {quote(reply.text, _SHOWN)!r}"
        )
    return round(mass["yes"] / total, _DIGITS)


async def _converse(
    judge: JudgeModel, messages: Sequence[Message], schema: Mapping[str, Any]
) -> tuple[Reply, Form]:
    place = (judge.url, judge.model, judge.logprobs)
    plan = _learned.get(place, _first(judge))
    others = _others(plan, judge)
    missed: CassetteError | None = None
    while True:
        try:
            reply = await complete(judge, _request(judge, plan, messages, schema))
        except BudgetError:
            raise
        except CassetteError as error:
            missed = missed or error
            following = next(others, None)
            if following is None:
                raise missed from None
        except RefusedError as error:
            following = _after(plan, error)
            if following is None:
                raise
        else:
            _learned[place] = plan
            if plan.form != "tools" or not _ignores_tools(reply, schema):
                return reply, plan.form
            following = replace(plan, form="text")
        plan = following


def _first(judge: JudgeModel) -> _Plan:
    return _Plan(omitted=frozenset() if judge.logprobs else frozenset({"logprobs"}))


def _others(plan: _Plan, judge: JudgeModel) -> Iterator[_Plan]:
    """Every other way in which the call may have been recorded, the usual ones first."""
    always = _first(judge).omitted
    left = [name for name in _OPTIONAL if name not in always]
    sets = [always.union(some) for size in range(len(left) + 1) for some in combinations(left, size)]
    return (other for omitted, form in product(sets, _FORMS) if (other := _Plan(form, omitted)) != plan)


def _request(
    judge: JudgeModel, plan: _Plan, messages: Sequence[Message], schema: Mapping[str, Any]
) -> dict[str, Any]:
    request: dict[str, Any] = {"messages": list(messages)}
    if "temperature" not in plan.omitted:
        request["temperature"] = 0
    if "seed" not in plan.omitted:
        request["seed"] = judge.seed
    if "logprobs" not in plan.omitted:
        request |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
    if plan.form == "json_schema":
        named = {"name": _TOOL, "schema": schema, "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": named}
    elif plan.form == "tools":
        task = "Give the verdict."
        function = {"name": _TOOL, "description": task, "parameters": schema}
        request["tools"] = [{"type": "function", "function": function}]
        request["tool_choice"] = {"type": "function", "function": {"name": _TOOL}}
    return request


def _after(plan: _Plan, refused: RefusedError) -> _Plan | None:
    """The plan after a refusal; None where it is about something that cannot be left out."""
    text = f"{refused.parameter} {refused.message}"
    for name in _OPTIONAL:
        if name not in plan.omitted and re.search(rf"\b(?:top_)?{name}\b", text):
            return replace(plan, omitted=plan.omitted | {name})
    if plan.form != "text" and _UNKNOWN.search(text):
        return replace(plan, form=_FORMS[_FORMS.index(plan.form) + 1])
    return None


def _ignores_tools(reply: Reply, schema: Mapping[str, Any]) -> bool:
    """Whether prose came where a tool was to be called; a verdict in the text will do as well."""
    if reply.arguments or reply.refusal or reply.finish in {"content_filter", "length"}:
        return False
    try:
        read_answer(reply, schema)
    except UnusableAnswerError:
        return True
    return False


def _repair(reply: Reply, problem: str) -> list[Message]:
    said = " ".join(reply.arguments) or reply.text or "(nothing)"
    return [
        {"role": "assistant", "content": said},
        {
            "role": "user",
            "content": f"That cannot be used: {problem}\n"
            "Give the verdict again, as one JSON object of the form asked for above and nothing else.",
        },
    ]
