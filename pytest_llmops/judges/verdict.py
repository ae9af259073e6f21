"""
Verdicts of judges: requested in the form that the endpoint understands, and read strictly.

An answer that is not entirely in the requested form is no answer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Literal

from pytest_llmops.documents.json_document import STRICT, ConstantError, DoubledKeyError
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
_JSON_TYPES = {"object": dict, "array": list, "string": str, "integer": int}
_KEYWORDS = {"type", "enum", "properties", "required", "additionalProperties", "items"}
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|"', re.DOTALL)

_LEAST_MASS = 0.5
"""Of all digits of the scale together; with less, the position is wrong or the list is too short."""

# Inside a JSON text every quote is escaped, so that the closing one here can only end a key.
_NUMBER = re.compile(r'"score"\s*:\s*(?=[0-9])')

Form = Literal["json_schema", "tools", "text"]
Message = dict[str, str]

_FORMS: tuple[Form, ...] = ("json_schema", "tools", "text")
_OPTIONAL = ("temperature", "seed", "logprobs")
_TOP_LOGPROBS = 5
_TOP_LOGPROBS_YES_NO = 20
_DIGITS = 4  # of a probability
_WORD_SHOWN = 40  # characters of an answer that is neither yes nor no
_TOOL = "give_verdict"
_UNKNOWN = re.compile(
    r"response_format|json_schema|schema|structured|grammar|tool|function|unsupported|not supported|"
    r"does(?:n't| not) support|not implemented|unknown|unrecogni[sz]ed|extra inputs|"
    r"not permitted|not allowed",
    re.IGNORECASE,
)

_learned: dict[tuple[str, str, bool | None], _Plan] = {}
"""By address, model and `logprobs`; None for requests for a plain text."""

at_close(_learned.clear)


def read_answer(reply: Reply, schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    Read a reply as one object: the arguments of one tool, else the text, in a code fence or without.

    A judge that adds prose to its verdict may be quoting one that the text under test dictates, so no object
    is searched for within a text.

    Raises:
        UnusableAnswerError: It is something else, or the schema does not allow it.
        NoVerdictError: The model refused; a retry is no use.
    """
    if reply.refusal or reply.finish == "content_filter":
        reason = quote(reply.refusal or reply.text or "its content filter spoke", _SHOWN)
        raise NoVerdictError(f"the judge refused to answer: {reason}")
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
    parsed = _parse(_strip_fence(_strip_thought(texts[0])))
    if not _fits(parsed, schema):  # nearly all fit, and jsonschema takes a millisecond
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match

        if error := best_match(Draft202012Validator(schema).iter_errors(parsed)):
            problem = f"{error.json_path} is not as asked, {quote(error.message, _SHOWN)}"
            raise UnusableAnswerError(problem)
    return parsed


def _parse(text: str) -> dict[str, Any]:
    """Parse a text that is one object from its first character to its last."""
    if not text.startswith("{"):
        raise UnusableAnswerError(
            "the answer says something before its JSON object"
            if "{" in text
            else "the answer is no JSON object"
        )
    try:
        parsed, end = STRICT.raw_decode(text)
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
    """True where the object at the start of the text is still open at its end."""
    depth = 0
    for part in _PART.finditer(text):
        if part[0] == '"':  # a string without an end
            return True
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(part[0], 0)
        if depth == 0:
            return False
    return True


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """True where a schema of plain keywords surely allows a value; else jsonschema has to decide."""
    kind = schema.get("type")
    if not (schema.keys() <= _KEYWORDS and isinstance(kind, str) and type(value) is _JSON_TYPES.get(kind)):
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
    return "enum" not in schema or any(
        type(value) is type(allowed) and value == allowed for allowed in schema["enum"]
    )


def _strip_thought(text: str) -> str:
    """
    Cut off the thoughts that a reasoning model writes before its answer.

    They end at the first end mark: a second one is no part of a verdict.
    """
    start, end = _THOUGHT
    text = text.strip()
    if not text.startswith(start):
        return text
    _, mark, rest = text.partition(end)
    if not mark:
        raise UnusableAnswerError("the answer is cut off within the model's thoughts")
    return rest.strip()


def _strip_fence(text: str) -> str:
    """Cut off the code fence around the text, where there is one."""
    if not (opening := _OPENING.match(text)):
        return text
    inner = text[opening.end() :].strip()
    if inner.endswith(_FENCE):
        return inner.removesuffix(_FENCE).strip()
    raise UnusableAnswerError(
        "the answer says something after its code fence"
        if _FENCE in inner
        else "the answer is cut off, its code fence has no end"
    )


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
    places = [match.end() for match in _NUMBER.finditer(text)]
    if len(places) != len(names) or "".join(str(token.get("token")) for token in tokens) != text:
        return {}
    scores: dict[str, float] = {}
    for name, place in zip(names, places, strict=True):
        expected = _expect(*_token_at(place, tokens), scale)
        if expected is not None:
            scores[name] = expected
    return scores


def _token_at(place: int, tokens: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], str]:
    """The token with the character at that place, and the characters of the token before it."""
    start = 0
    for token in tokens:
        end = start + len(token["token"])
        if place < end:
            return token, token["token"][: place - start]
        start = end
    raise AssertionError  # the tokens make up the text


def _expect(token: Mapping[str, Any], lead: str, scale: Sequence[int]) -> float | None:
    weights: dict[int, float] = {}
    for text, logprob in _read_alternatives(token):
        digit = re.match(rf"{re.escape(lead)}([0-9])(?![0-9])", text)
        if digit is not None and (value := int(digit[1])) in scale:
            weights[value] = weights.get(value, 0.0) + math.exp(min(0.0, logprob))
    mass = sum(weights.values())
    if mass < _LEAST_MASS:
        return None
    return round(sum(value * weight for value, weight in weights.items()) / mass, 4)


def _read_alternatives(token: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The alternatives to a token, each with the logarithm of its probability."""
    entries = token.get("top_logprobs")
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, Mapping):
            continue
        text, logprob = entry.get("token"), entry.get("logprob")
        if isinstance(text, str) and isinstance(logprob, int | float) and not math.isnan(logprob):
            yield text, logprob


@dataclass(frozen=True, slots=True)
class _Plan:
    """The form of a request, without the parameters that this model does not take."""

    form: Form = _FORMS[0]
    omitted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    A verdict in the form of its schema.

    Attributes:
        reply: The completion that it was read from.
        form: Of the request.
        repaired: True where the first answer could not be used.
    """

    values: Mapping[str, Any]
    reply: Reply
    form: Form
    repaired: bool = False


async def request_verdict(
    judge: JudgeModel, messages: Sequence[Message], schema: Mapping[str, Any]
) -> Answer:
    """
    Request the verdict on the messages, which describe the schema in words themselves.

    An answer that cannot be used is sent back to the model with its fault, once.

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


async def request_yes(judge: JudgeModel, messages: Sequence[Message]) -> tuple[float, Reply]:
    """
    The probability of `yes` over that of `yes` and `no`, 0 to 1, for the first token of the answer; and the
    completion that it was read from.

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
            f"{judge.model} gave no probability of yes or no, but {quote(reply.text, _WORD_SHOWN)!r}"
        )
    return round(mass["yes"] / total, _DIGITS), reply


async def request_text(judge: JudgeModel, messages: Sequence[Message]) -> Reply:
    """
    Request a plain text, at temperature 0.

    Raises:
        JudgeError: No answer came.
        CassetteError: It is not recorded and may not be made.
    """
    return (await _converse(judge, messages, None))[0]


async def _converse(
    judge: JudgeModel, messages: Sequence[Message], schema: Mapping[str, Any] | None
) -> tuple[Reply, Form]:
    """
    Send the messages by the plan that this model took before, or by simpler ones until it takes one.

    Args:
        schema: Of the answer; None for a plain text.
    """
    forms = _FORMS if schema is not None else _FORMS[-1:]
    logprobs = judge.logprobs and schema is not None
    place = (judge.url, judge.model, logprobs if schema is not None else None)
    usual = _Plan(form=forms[0], omitted=frozenset() if logprobs else frozenset({"logprobs"}))
    plan = _learned.get(place, usual)
    others = _list_others(plan, usual.omitted, forms)
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
            following = _simplify(plan, error)
            if following is None:
                raise
        else:
            _learned[place] = plan
            if schema is None or plan.form != "tools" or not _ignores_tools(reply, schema):
                return reply, plan.form
            following = replace(plan, form="text")
        plan = following


def _list_others(plan: _Plan, always: frozenset[str], forms: Sequence[Form]) -> Iterator[_Plan]:
    """Every other form in which the call may have been recorded, the usual ones first."""
    rest = [name for name in _OPTIONAL if name not in always]
    sets = [always.union(some) for size in range(len(rest) + 1) for some in combinations(rest, size)]
    return (other for omitted, form in product(sets, forms) if (other := _Plan(form, omitted)) != plan)


def _request(
    judge: JudgeModel, plan: _Plan, messages: Sequence[Message], schema: Mapping[str, Any] | None
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
        function = {"name": _TOOL, "description": "Give the verdict.", "parameters": schema}
        request["tools"] = [{"type": "function", "function": function}]
        request["tool_choice"] = {"type": "function", "function": {"name": _TOOL}}
    return request


def _simplify(plan: _Plan, refused: RefusedError) -> _Plan | None:
    """The plan after a refusal; None where that is about something that cannot be left out."""
    text = f"{refused.parameter} {refused.message}"
    for name in _OPTIONAL:
        if name not in plan.omitted and re.search(rf"\b(?:top_)?{name}\b", text):
            return replace(plan, omitted=plan.omitted | {name})
    if plan.form != "text" and _UNKNOWN.search(text):
        return replace(plan, form=_FORMS[_FORMS.index(plan.form) + 1])
    return None


def _ignores_tools(reply: Reply, schema: Mapping[str, Any]) -> bool:
    """True where prose came instead of a tool call; a verdict in the text is accepted too."""
    if reply.arguments or reply.refusal or reply.finish in {"content_filter", "length"}:
        return False
    try:
        read_answer(reply, schema)
    except UnusableAnswerError:
        return True
    return False


def _repair(reply: Reply, problem: str) -> list[Message]:
    return [
        {"role": "assistant", "content": " ".join(reply.arguments) or reply.text or "(nothing)"},
        {
            "role": "user",
            "content": f"That cannot be used: {problem}\n"
            "Give the verdict again, as one JSON object of the form asked for above and nothing else.",
        },
    ]
