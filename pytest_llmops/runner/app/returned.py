"""
Reads what apps return besides text: messages, states, replies of providers, streams, records, HTTP responses.

Nothing is imported for it: a value is known by its fields, and what is not known is refused by name.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from pytest_llmops.errors import AnswerError, describe_error
from pytest_llmops.printable import counted, name_some, printable, with_article
from pytest_llmops.recorder.reply import piece_of
from pytest_llmops.records import Output, Passage, ToolCall, Usage

UNDERSTOOD = (
    "a string, an Output, or a mapping with 'text'; a message or state of LangChain, a reply of an OpenAI or "
    "Anthropic client, a generator of strings, a dataclass, a pydantic model or an HTTP response is read too"
)
_OURS = (Output, Passage, ToolCall, Usage)
_OF_MODELS = frozenset({"assistant", "ai", "AIMessageChunk"})
_OF_USERS = frozenset({"user", "human", "HumanMessageChunk"})
_OF_TOOLS = frozenset({"tool", "ToolMessageChunk"})
_OF_APPS = frozenset({"system", "developer"})
_CALLS = frozenset({None, "function", "function_call", "tool_call", "tool_use"})
"""Types of parts that call a tool, in the protocols of OpenAI, Anthropic and LangChain."""

_TEXT_PARTS = frozenset({"text", "output_text", "refusal"})
_TEXT_FIELDS = ("text", "answer", "output", "final_output", "content", "response")
_OTHER_FIELDS = ("passages", "tool_calls", "usage", "model", "trace_id", "degraded")
_NOT_FOUND = 400  # the first HTTP status of a response without an answer
_NAMED = 5


def type_of(value: Any) -> str:
    return "None" if value is None else with_article(type(value).__name__)


def translate(answer: Any) -> Any:  # noqa: PLR0911 - a return a kind
    """
    Return the text, or the mapping with `text`, that a value of an app means; other values as they are.

    Raises:
        AnswerError: Its kind is known, and there is no answer in it.
    """
    if _is_response(answer):
        answer = _read_response(answer)
    if isinstance(answer, Mapping) and "text" in answer:
        return answer
    plain = _plain(answer)
    if isinstance(plain, str):
        return plain
    if not isinstance(plain, Mapping):
        return answer
    if isinstance(plain.get("choices"), list):
        return _read_choices(plain)
    if plain.get("object") == "response" and isinstance(plain.get("output"), list):
        return _read_items(plain)
    if isinstance(messages := plain.get("messages"), list) and "text" not in plain:
        return _read_messages(messages)
    if _role(plain) is not None and "content" in plain:
        return _read_messages([plain])
    return answer if isinstance(answer, Mapping) else _read_record(answer, plain)


_EVENTS = ("response.", "content_block_", "message_", "content-", "message-", "tool-", "citation-")
_OF_EVENTS = ("choices", "candidates", "done", "event_type")
"""How providers name the events of their streams, and fields by which one is known."""


class Streamed(str):
    """
    An answer that came in pieces.

    Attributes:
        began_at: When the first of them that has a text came, by `time.perf_counter`; None where none has.
    """

    __slots__ = ("began_at",)
    began_at: float | None

    @classmethod
    def of(cls, pieces: Sequence[tuple[float, str]]) -> Streamed:
        """Join pieces, each with the moment at which it came."""
        streamed = cls("".join(text for _, text in pieces))
        streamed.began_at = next((at for at, text in pieces if text), None)
        return streamed


def join_pieces(pieces: Iterator[Any]) -> Streamed:
    """Join the pieces of a streamed answer."""
    return Streamed.of([(time.perf_counter(), _piece(piece)) for piece in pieces])


async def join_async_pieces(pieces: AsyncIterator[Any]) -> Streamed:
    """Join the pieces of a streamed answer, on the loop of the app."""
    return Streamed.of([(time.perf_counter(), _piece(piece)) async for piece in pieces])


def _piece(piece: Any) -> str:
    """Return the text of a piece: a string, a message, or an event of a provider's stream."""
    if isinstance(piece, str):
        return piece
    event = _plain(piece)
    if isinstance(event, Mapping):
        if _role(event) in _OF_MODELS and "content" in event:
            return _text_of(event)
        if (text := piece_of(event)) is not None:
            return text
        if _is_event(event.get("type")) or any(name in event for name in _OF_EVENTS):
            return ""
    raise AnswerError(
        f"the app's generator yielded {type_of(piece)}; its pieces must be strings, messages or events of a "
        "model's stream: yield their texts, or return the last value"
    )


def _is_event(kind: Any) -> bool:
    return isinstance(kind, str) and kind.startswith(_EVENTS)


def _plain(value: Any) -> Any:
    """Return records of any library as mappings, and sequences as lists, at every depth."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    record = None if isinstance(value, (*_OURS, type)) else _dump(value)
    if record is not None:
        return _plain(record)
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _dump(value: Any) -> str | Mapping[str, Any] | None:
    """Return the fields of a dataclass, a named tuple or a pydantic model; None for any other value."""
    if is_dataclass(value):
        return {own.name: getattr(value, own.name, None) for own in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    dump = getattr(value, "model_dump", None)
    if not callable(dump):
        return None
    try:
        dumped = dump(mode="json", warnings=False)
    except Exception as error:  # noqa: BLE001 - of the library, or of the app's own serializers
        why = describe_error(error)
        raise AnswerError(f"the app returned {type_of(value)} that cannot be read: {why}") from None
    return dumped if isinstance(dumped, str | Mapping) else None


def _role(message: Mapping[str, Any]) -> str | None:
    """Return who wrote a message, as OpenAI's, Anthropic's and LangChain's name it; None for no message."""
    for name in ("role", "type"):
        role = message.get(name)
        if isinstance(role, str) and role in _OF_MODELS | _OF_USERS | _OF_TOOLS | _OF_APPS:
            return role
    return None


def _read_messages(messages: Sequence[Any]) -> Mapping[str, Any]:
    """Read the last message, and the tools that were called since the user wrote."""
    known = [message for message in messages if isinstance(message, Mapping)]
    role = _role(known[-1]) if known and len(known) == len(messages) else None
    if role not in _OF_MODELS:
        last = f"a message of the role {role!r}" if role else "no message of a known role"
        raise AnswerError(
            f"the app returned {counted(len(messages), 'message')}, of which the last is {last}, and not the "
            "model's answer: return the text of the answer"
        )
    users = [number for number, message in enumerate(known) if _role(message) in _OF_USERS]
    since = known[users[-1] + 1 if users else 0 :]
    written = [message for message in since if _role(message) in _OF_MODELS]
    results = {
        message.get("tool_call_id"): _text_of(message) for message in since if _role(message) in _OF_TOOLS
    }
    calls = [{**call, "result": results.get(id_)} for message in written for id_, call in _calls_of(message)]
    return {"text": _text_of(known[-1]), "tool_calls": calls, **_spending_of(written)}


def _read_choices(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read the first choice of a chat completion, or of a completion."""
    choice = next((choice for choice in reply["choices"] if isinstance(choice, Mapping)), {})
    origin = {"usage": reply.get("usage"), "model": reply.get("model")}
    if isinstance(message := choice.get("message"), Mapping):
        return _read_messages([{**message, "role": "assistant", **origin}])
    if isinstance(text := choice.get("text"), str):
        return {"text": text, **_spending_of([origin])}
    raise AnswerError("the app returned a reply of a provider in which no choice holds a message")


def _read_items(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read a reply of OpenAI's Responses."""
    items = [item for item in reply["output"] if isinstance(item, Mapping)]
    text = "".join(_text_of(item) for item in items if item.get("type") == "message")
    calls = [{**call, "result": None} for _, call in _calls_of({"tool_calls": items})]
    return {"text": text, "tool_calls": calls, **_spending_of([reply])}


def _text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message; what the model thought, and the tools that it calls, are none."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if content is None:
        return str(message.get("refusal") or "")
    if not isinstance(content, list):
        raise AnswerError(
            f"the app returned a message whose content is {type_of(content)}, not text or parts"
        )
    texts = [
        part if isinstance(part, str) else str(part.get("text") or part.get("refusal") or "")
        for part in content
        if isinstance(part, str) or (isinstance(part, Mapping) and part.get("type") in _TEXT_PARTS)
    ]
    return "".join(texts)


def _calls_of(message: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Yield the id of each tool call of a message, and its name and arguments."""
    listed = message.get("tool_calls") or message.get("content")
    for call in listed if isinstance(listed, list) else ():
        if not isinstance(call, Mapping) or call.get("type") not in _CALLS:
            continue
        function = call.get("function")
        named = function if isinstance(function, Mapping) else call
        if isinstance(named.get("name"), str):
            written: Any = next((named[key] for key in ("args", "arguments", "input") if named.get(key)), {})
            yield (
                call.get("call_id") or call.get("id"),
                {"name": named["name"], "arguments": _arguments(written)},
            )


def _arguments(written: Any) -> Mapping[str, Any]:
    """Return arguments as a mapping; what a model wrote that is none is kept under one name."""
    if isinstance(written, str):
        try:
            written = json.loads(written)
        except (ValueError, RecursionError):
            return {"arguments": written}
    return written if isinstance(written, Mapping) else {"arguments": written}


def _spending_of(messages: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the last named model, and the sum of the tokens that messages or replies state."""
    spending: dict[str, Any] = {}
    for message in messages:
        metadata = message.get("response_metadata")
        named = metadata.get("model_name") if isinstance(metadata, Mapping) else None
        if isinstance(model := message.get("model") or named, str):
            spending["model"] = model
    stated = [
        usage for message in messages if (usage := message.get("usage_metadata") or message.get("usage"))
    ]
    counts = [_count_tokens(usage) for usage in stated]
    if counts and None not in counts:
        prompt, completion = (sum(numbers) for numbers in zip(*filter(None, counts), strict=True))
        spending["usage"] = {
            "calls": len(counts), "prompt_tokens": prompt, "completion_tokens": completion,
        }  # fmt: skip
    return spending


def _count_tokens(usage: Any) -> tuple[int, int] | None:
    if not isinstance(usage, Mapping):
        return None
    read = usage.get("input_tokens", usage.get("prompt_tokens"))
    wrote = usage.get("output_tokens", usage.get("completion_tokens"))
    return (read, wrote) if isinstance(read, int) and isinstance(wrote, int) else None


def _read_record(answer: Any, plain: Mapping[str, Any]) -> Any:
    """Read a record of the app's own: its text, or its one field with a name of a text; else its JSON."""
    texts = {name: plain[name] for name in _TEXT_FIELDS if isinstance(plain.get(name), str)}
    if isinstance(own := getattr(answer, "text", plain.get("text")), str) or "text" in plain:
        texts = {"text": own}  # which may be computed
    if len(texts) == 1:
        others = {name: plain[name] for name in _OTHER_FIELDS if plain.get(name) is not None}
        return {"text": next(iter(texts.values())), **others}
    empty = [name for name in _TEXT_FIELDS if name in plain and plain[name] is None]
    try:
        if texts or not empty:
            return json.dumps(plain, ensure_ascii=False, allow_nan=False)
        wrong = f"whose {empty[0]!r} is None"
    except (TypeError, ValueError, RecursionError):
        wrong = "without a text, which JSON cannot hold"
    names = name_some([printable(str(name), 60) for name in plain], _NAMED)
    raise AnswerError(
        f"the app returned {type_of(answer)} {wrong}; it has: {names}. Give it a field `text`, or return "
        f"{UNDERSTOOD}"
    )


def _is_response(answer: Any) -> bool:
    """Return whether a value is an HTTP response, as clients have them."""
    kind = type(answer)
    methods = callable(getattr(kind, "json", None)) and hasattr(kind, "content")
    return methods and isinstance(getattr(answer, "status_code", None), int)


def _read_response(response: Any) -> Any:
    """Return the JSON or the text of an HTTP response."""
    status = response.status_code
    if status >= _NOT_FOUND:
        raise AnswerError(f"the app returned an HTTP response of status {status}")
    kind = str(response.headers.get("content-type") or "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json" or kind.endswith("+json"):
            return response.json()
        if kind == "text/plain":
            return response.text
    except Exception as error:  # noqa: BLE001 - any error of the client's
        why = describe_error(error)
        raise AnswerError(f"the app returned an HTTP response that cannot be read: {why}") from None
    raise AnswerError(
        f"the app returned an HTTP response of the type {kind or 'none'}; JSON and text/plain are understood"
    )
