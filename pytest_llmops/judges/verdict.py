"""The one JSON object of an answer, read strictly: what is not wholly as asked is no answer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Literal

from pytest_llmops.documents.json_text import ConstantError, DoubledKeyError, refuse_constant, unique_keys
from pytest_llmops.errors import BudgetError, CassetteError
from pytest_llmops.judges.completion import (
    NoVerdictError,
    RefusedError,
    Reply,
    UnusableAnswerError,
    at_close,
    complete,
    quote,
)
from pytest_llmops.judges.model import JudgeModel

VERSION = 2
"""Raised whenever an answer may be read otherwise."""

_SHOWN = 120
_THOUGHT = ("<think>", "</think>")
_FENCE = "```"
_OPENING = re.compile(r"```\w*")
_TYPES = {"object": dict, "array": list, "string": str, "integer": int}
_KEYWORDS = {"type", "enum", "properties", "required", "additionalProperties", "items"}
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|"', re.DOTALL)


def read_answer(reply: Reply, schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    The object that a reply is: as the arguments of one tool, else as text, in a code fence or without.

    A judge that says something beside its verdict may be quoting one that it was told to give, so there is
    no looking for an object within a text.

    Raises:
        UnusableAnswerError: It is something else, or the schema does not allow it.
        NoVerdictError: The model refused; asking again is no use.
    """
    if reply.refusal or reply.finish == "content_filter":
        said = quote(reply.refusal or reply.text or "its content filter spoke", _SHOWN)
        raise NoVerdictError(f"the judge refused to answer: {said}")
    texts = reply.arguments or (reply.text,)
    if not any(text.strip() for text in texts):
        raise UnusableAnswerError("the answer is empty")
    try:
        return _read_object(reply, texts, schema)
    except UnusableAnswerError as error:
        raise UnusableAnswerError(f"{error}: {quote(' '.join(texts), _SHOWN)}") from None


def _read_object(reply: Reply, texts: Sequence[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    if reply.finish == "length":
        raise UnusableAnswerError("the answer was cut off at the limit of tokens")
    if len(texts) > 1:
        raise UnusableAnswerError(f"the answer calls {len(texts)} tools instead of one")
    parsed = _parse(_without_fence(_without_thought(texts[0])))
    if problem := _violation(parsed, schema):
        raise UnusableAnswerError(problem)
    return parsed


def _parse(text: str) -> dict[str, Any]:
    """
    The object that the text is, from its first character to its last.

    Raises:
        UnusableAnswerError: It is something else, or broken by what JSON does not know: NaN, a key twice.
    """
    if not text.startswith("{"):
        raise UnusableAnswerError(
            "the answer says something before its JSON object"
            if "{" in text
            else "the answer is no JSON object"
        )
    decoder = json.JSONDecoder(parse_constant=refuse_constant, object_pairs_hook=unique_keys)
    try:
        parsed, end = decoder.raw_decode(text)
    except (json.JSONDecodeError, RecursionError):
        raise UnusableAnswerError(
            "the answer is cut off, its JSON object has no end"
            if _is_unfinished(text)
            else "the answer is broken JSON"
        ) from None
    except ConstantError as error:
        raise UnusableAnswerError(f"the answer holds {error.found}, which is no number") from None
    except DoubledKeyError as error:
        raise UnusableAnswerError(f"the answer says {quote(error.found, 40)!r} twice") from None
    except ValueError:  # of a number with too many digits
        raise UnusableAnswerError("the answer holds a number that is none") from None
    if end < len(text):
        raise UnusableAnswerError("the answer says something after its JSON object")
    return dict(parsed)


def _is_unfinished(text: str) -> bool:
    """Whether the object that the text begins with is still open where the text ends."""
    depth = 0
    for part in _PART.finditer(text):
        if part[0] == '"':  # a string without an end
            return True
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(part[0], 0)
        if depth == 0:
            return False
    return True


def _violation(parsed: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The first place where the object is not as asked; empty where there is none."""
    if _fits(parsed, schema):  # as nearly all do, and jsonschema takes a millisecond to say so
        return ""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(parsed))
    return "" if error is None else f"{error.json_path} is not as asked, {quote(error.message, _SHOWN)}"


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a schema of plain keywords surely allows a value; where not, jsonschema has the last word."""
    kind = schema.get("type")
    if not (schema.keys() <= _KEYWORDS and isinstance(kind, str) and type(value) is _TYPES.get(kind)):
        return False
    if isinstance(value, dict):
        named = schema.get("properties", {})
        return (
            "enum" not in schema
            and value.keys() <= named.keys()
            and value.keys() >= set(schema.get("required", ()))
            and all(_fits(part, named[name]) for name, part in value.items())
        )
    if isinstance(value, list):
        return "enum" not in schema and all(_fits(part, schema.get("items", {})) for part in value)
    return "enum" not in schema or (type(value), value) in [(type(each), each) for each in schema["enum"]]


def _without_thought(text: str) -> str:
    """
    What follows the thoughts that a reasoning model writes ahead of its answer.

    Up to where they first end: words after that which end them again are no part of a verdict.
    """
    start, end = _THOUGHT
    text = text.strip()
    if not text.startswith(start):
        return text
    _, found, rest = text.partition(end)
    if not found:
        raise UnusableAnswerError("the answer is cut off within the model's thoughts")
    return rest.strip()


def _without_fence(text: str) -> str:
    """What stands within the code fence around the text, where there is one."""
    if not (opening := _OPENING.match(text)):
        return text
    inner = text[opening.end() :].strip()
    if inner.endswith(_FENCE):
        return inner.removesuffix(_FENCE).strip()
    what = (
        "says something after its code fence" if _FENCE in inner else "is cut off, its code fence has no end"
    )
    raise UnusableAnswerError(f"the answer {what}")


_LEAST_MASS = 0.5
"""Of all digits of the scale together; with less, the place was read wrongly or the list is too short."""

# Inside a JSON text every quote is escaped, so that the closing one here can only end a key.
_NUMBER = re.compile(r'"score"\s*:\s*(?=[0-9])')


def expect_scores(
    text: str, tokens: Sequence[Mapping[str, Any]], names: Sequence[str], scale: Sequence[int]
) -> dict[str, float]:
    """
    The expected score of each name whose number can be found; none where they cannot be attributed.

    Args:
        text: The answer, JSON with one `"score": digit` for each name.
        tokens: Of the text, with `token` and `top_logprobs`.
        names: In the order of the answer.
        scale: Values of one digit.
    """
    places = [matched.end() for matched in _NUMBER.finditer(text)]
    if len(places) != len(names) or "".join(str(each.get("token")) for each in tokens) != text:
        return {}
    scores: dict[str, float] = {}
    for name, place in zip(names, places, strict=True):
        expected = _expect(*_token_at(place, tokens), scale)
        if expected is not None:
            scores[name] = expected
    return scores


def _token_at(place: int, tokens: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], str]:
    """The token that holds the character at that place, and what of the token stands before it."""
    start = 0
    for token in tokens:
        end = start + len(token["token"])
        if place < end:
            return token, token["token"][: place - start]
        start = end
    raise AssertionError  # the tokens make up the text


def _expect(token: Mapping[str, Any], lead: str, scale: Sequence[int]) -> float | None:
    weights: dict[int, float] = {}
    for written, logprob in _others(token):
        digit = re.match(rf"{re.escape(lead)}([0-9])(?![0-9])", written)
        if digit is not None and (value := int(digit[1])) in scale:
            weights[value] = weights.get(value, 0.0) + math.exp(min(0.0, logprob))
    mass = sum(weights.values())
    if mass < _LEAST_MASS:
        return None
    return round(sum(value * weight for value, weight in weights.items()) / mass, 4)


def _others(token: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """What might have stood in the token's place, with the logarithm of its probability."""
    others = token.get("top_logprobs")
    for other in others if isinstance(others, list) else ():
        written, logprob = (
            (other.get("token"), other.get("logprob")) if isinstance(other, Mapping) else ("", "")
        )
        if isinstance(written, str) and isinstance(logprob, int | float) and not math.isnan(logprob):
            yield written, logprob


Form = Literal["json_schema", "tools", "text"]
Message = dict[str, str]

_FORMS: tuple[Form, ...] = ("json_schema", "tools", "text")
_OPTIONAL = ("temperature", "seed", "logprobs")
_TOP_LOGPROBS = 5
_TOP_LOGPROBS_YES_NO = 20
_DIGITS = 4  # of a probability
_verdict_SHOWN = 40  # characters of an answer that is neither yes nor no
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
            f"{judge.model} gave no probability of yes or no, but {quote(reply.text, _verdict_SHOWN)!r}"
        )
    return round(mass["yes"] / total, _DIGITS)


async def _converse(
    judge: JudgeModel, messages: Sequence[Message], schema: Mapping[str, Any]
) -> tuple[Reply, Form]:
    place = (judge.url, judge.model, judge.logprobs)
    plan = _learned.get(place, _first(judge))
    others = _verdict_others(plan, judge)
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


def _verdict_others(plan: _Plan, judge: JudgeModel) -> Iterator[_Plan]:
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
