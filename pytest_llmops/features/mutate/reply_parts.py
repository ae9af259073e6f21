"""Text and tool calls of a model's reply: read from the provider's own shape, and written in it again."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.bodies import event_lines, rewrite_line
from pytest_llmops.recorder.reply import read_reply

STREAM = "text/event-stream"
_JSON = "application/json"
_TEXTS = frozenset({"text", "content", "response", "outputText", "generation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool call that a reply asks for; `arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    text: str = ""
    tools: tuple[Tool, ...] = ()


def read_parts(kind: str, body: Any) -> Parts:
    """
    Read the first choice of a reply.

    Args:
        kind: `chat`, `completions`, `messages` or `responses`, as the recorder names calls.
        body: JSON, or the text of a stream's events.
    """
    tools = _streamed(kind, body) if isinstance(body, str) else _complete(kind, body)
    return Parts(text=read_reply(body).text or "", tools=tuple(tools))


def write_reply(
    kind: str, template: Any, parts: Parts, *, stream: bool, content_type: str = _JSON
) -> tuple[str, Any]:
    """
    Write a reply, as content type and body.

    Args:
        template: A real reply of the same host and path, whose other fields are kept.
        stream: Write it as a stream of events.
        content_type: Of the template. A reply of a protocol that is not written here is the template with
            another text: complete or a stream as that is, and with the tool calls that it has.

    Raises:
        CassetteError: Nobody knows where the template's text stands.
    """
    if kind not in _WRITERS:
        return content_type, _with_text(template, parts.text)
    base = _base(kind, template)
    if not stream:
        return _JSON, _WRITERS[kind](base, parts)
    return STREAM, "".join(_STREAMS[kind](base, parts))


def _with_text(template: Any, text: str) -> Any:
    """The template with another text in place of its own, which may stand there in pieces."""
    if isinstance(template, str):
        lines = [(line, copy.deepcopy(event)) for line, event in event_lines(template)]
        _put_text([event for _, event in lines if event is not None], read_reply(template).text, text)
        return "\n".join(
            line if event is None else rewrite_line(line, json.dumps(event)) for line, event in lines
        )
    body = copy.deepcopy(template)
    _put_text(body, read_reply(template).text, text)
    return body


def _put_text(body: Any, old: str | None, text: str) -> None:
    """Put a text in the place of the first of those strings that are the old text when they are joined."""
    places = list(_text_places(body))
    for start in range(len(places)):
        joined = ""
        for end in range(start, len(places)):
            holder, name = places[end]
            joined += holder[name]
            if joined == old:
                pieces = places[start : end + 1]
                first = next((at for at, (piece, key) in enumerate(pieces) if piece[key]), 0)
                for at, (piece, key) in enumerate(pieces):
                    piece[key] = text if at == first else ""
                return
            if not (old or "").startswith(joined):
                break
    raise CassetteError("the reply of this protocol holds no text that could be changed")


def _text_places(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            if isinstance(part, str):
                if name in _TEXTS:
                    yield value, name
            else:
                yield from _text_places(part)
    elif isinstance(value, list):
        for part in value:
            yield from _text_places(part)


def write_vectors(template: Any, request: Any) -> Any:
    """Write a reply with as many vectors as were asked for, each that of a real reply."""
    asked = request.get("input") if isinstance(request, Mapping) else None
    count = len(asked) if isinstance(asked, list) and not all(isinstance(part, int) for part in asked) else 1
    body = copy.deepcopy(template)
    if isinstance(body, dict) and isinstance(data := body.get("data"), list) and data:
        body["data"] = [{**data[at % len(data)], "index": at} for at in range(count)]
    return body


def _complete(kind: str, body: Any) -> Iterator[Tool]:
    body = body if isinstance(body, Mapping) else {}
    if kind == "messages":
        for part in _mappings(body.get("content")):
            if part.get("type") == "tool_use":
                yield _tool(part.get("id"), part.get("name"), json.dumps(part.get("input")))
    elif kind == "responses":
        for item in _mappings(body.get("output")):
            if item.get("type") == "function_call":
                yield _tool(item.get("call_id"), item.get("name"), item.get("arguments"))
    else:
        choice = next(iter(_mappings(body.get("choices"))), {})
        message = choice.get("message")
        for call in _mappings(message.get("tool_calls")) if isinstance(message, Mapping) else ():
            function = call.get("function")
            if isinstance(function, Mapping):
                yield _tool(call.get("id"), function.get("name"), function.get("arguments"))


def _streamed(kind: str, text: str) -> Iterator[Tool]:
    events = [event for _, event in event_lines(text) if event is not None]
    if kind == "responses":
        for event in events:
            item = event.get("item")
            if event.get("type") == "response.output_item.done" and isinstance(item, Mapping):
                yield from _complete(kind, {"output": [item]})
        return
    tools: dict[Any, dict[str, str]] = {}
    for event in events:
        for place, identifier, name, arguments in _pieces(kind, event):
            tool = tools.setdefault(place, {"id": "", "name": "", "arguments": ""})
            tool["id"] = tool["id"] or identifier
            tool["name"] = tool["name"] or name
            tool["arguments"] += arguments
    for tool in tools.values():
        yield Tool(**tool)


def _pieces(kind: str, event: Mapping[str, Any]) -> Iterator[tuple[Any, str, str, str]]:
    """Yield place, id, name and a piece of the arguments of each tool call in an event."""
    if kind == "messages":
        block, delta = event.get("content_block"), event.get("delta")
        if isinstance(block, Mapping) and block.get("type") == "tool_use":
            yield event.get("index"), _text(block.get("id")), _text(block.get("name")), ""
        if isinstance(delta, Mapping) and delta.get("type") == "input_json_delta":
            yield event.get("index"), "", "", _text(delta.get("partial_json"))
        return
    choice = next(iter(_mappings(event.get("choices"))), {})
    delta = choice.get("delta")
    for call in _mappings(delta.get("tool_calls")) if isinstance(delta, Mapping) else ():
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        yield (
            call.get("index"),
            _text(call.get("id")),
            _text(function.get("name")),
            _text(function.get("arguments")),
        )


def _base(kind: str, template: Any) -> dict[str, Any]:
    """Return the fields of a reply without what the model wrote; of a stream those of its events."""
    if isinstance(template, Mapping):
        return copy.deepcopy(dict(template))
    fields: dict[str, Any] = {}
    for _, event in event_lines(template) if isinstance(template, str) else ():
        for part in (event, (event or {}).get("message"), (event or {}).get("response")):
            if isinstance(part, Mapping):
                fields.update({name: part[name] for name in _KEPT if part.get(name) is not None})
    fields["object"] = _OBJECTS.get(kind, "")
    return {name: value for name, value in fields.items() if value != ""}


_KEPT = ("id", "model", "created", "created_at", "system_fingerprint", "usage")
_OBJECTS = {"chat": "chat.completion", "completions": "text_completion", "responses": "response"}


def _chat(base: dict[str, Any], parts: Parts) -> dict[str, Any]:
    choices = _mappings(base.get("choices")) or [{"index": 0}]
    return {**base, "choices": [_choice(choice, parts) for choice in choices]}


def _choice(choice: Mapping[str, Any], parts: Parts) -> dict[str, Any]:
    message = choice.get("message")
    message = dict(message) if isinstance(message, Mapping) else {"role": "assistant"}
    for name in ("tool_calls", "function_call", "refusal", "reasoning_content"):
        if name in message:
            message[name] = None
    message["content"] = parts.text
    if parts.tools:
        message["tool_calls"] = _tool_calls(parts)
    else:
        message.pop("tool_calls", None)
    reason = "tool_calls" if parts.tools else "stop"
    return {**choice, "message": message, "finish_reason": reason, "logprobs": None}


def _tool_calls(parts: Parts) -> list[dict[str, Any]]:
    return [
        {"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": tool.arguments}}
        for tool in parts.tools
    ]


def _chat_stream(base: dict[str, Any], parts: Parts) -> Iterator[str]:
    head = {name: base[name] for name in _KEPT if name in base and name != "usage"}
    head["object"] = "chat.completion.chunk"

    def chunk(delta: dict[str, Any], reason: str | None = None) -> str:
        return _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    yield chunk({"role": "assistant", "content": ""})
    if parts.text:
        yield chunk({"content": parts.text})
    for index, call in enumerate(_tool_calls(parts)):
        yield chunk({"tool_calls": [{"index": index, **call}]})
    yield chunk({}, "tool_calls" if parts.tools else "stop")
    if base.get("usage"):
        yield _event({**head, "choices": [], "usage": base["usage"]})
    yield "data: [DONE]\n\n"


def _completion(base: dict[str, Any], parts: Parts) -> dict[str, Any]:
    choices = _mappings(base.get("choices")) or [{"index": 0}]
    written = {"text": parts.text, "finish_reason": "stop", "logprobs": None}
    return {**base, "choices": [{**choice, **written} for choice in choices]}


def _completion_stream(base: dict[str, Any], parts: Parts) -> Iterator[str]:
    head = {name: base[name] for name in _KEPT if name in base and name != "usage"}
    head["object"] = "text_completion"
    for text, reason in ((parts.text, None), ("", "stop")):
        yield _event({**head, "choices": [{"index": 0, "text": text, "finish_reason": reason}]})
    yield "data: [DONE]\n\n"


def _message(base: dict[str, Any], parts: Parts) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": parts.text}] if parts.text else []
    content += [
        {"type": "tool_use", "id": tool.id, "name": tool.name, "input": _parsed(tool.arguments)}
        for tool in parts.tools
    ]
    reason = "tool_use" if parts.tools else "end_turn"
    usual = {"type": "message", "role": "assistant"}
    usage = base.get("usage") or {"input_tokens": 0, "output_tokens": 0}
    written = {"content": content, "stop_reason": reason, "stop_sequence": None, "usage": usage}
    return {**base, **usual, **written}


def _message_stream(base: dict[str, Any], parts: Parts) -> Iterator[str]:
    whole = _message(base, parts)
    opening = {**whole, "content": [], "stop_reason": None}
    opening.pop("object", None)
    yield _typed("message_start", message=opening)
    for index, part in enumerate(whole["content"]):
        if part["type"] == "text":
            block, delta = {**part, "text": ""}, {"type": "text_delta", "text": part["text"]}
        else:
            block = {**part, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(part["input"])}
        yield _typed("content_block_start", index=index, content_block=block)
        yield _typed("content_block_delta", index=index, delta=delta)
        yield _typed("content_block_stop", index=index)
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _typed("message_delta", delta=ended, usage=whole["usage"])
    yield _typed("message_stop")


def _response(base: dict[str, Any], parts: Parts) -> dict[str, Any]:
    written = {"type": "output_text", "text": parts.text, "annotations": [], "logprobs": []}
    output: list[dict[str, Any]] = []
    if parts.text or not parts.tools:
        output.append(
            {
                "id": "msg_0",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [written],
            }
        )
    output += [
        {
            "id": f"fc_{at}",
            "type": "function_call",
            "status": "completed",
            "call_id": tool.id,
            "name": tool.name,
            "arguments": tool.arguments,
        }
        for at, tool in enumerate(parts.tools)
    ]
    usual = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {**usual, **base, "object": "response", "status": "completed", "output": output}


def _response_stream(base: dict[str, Any], parts: Parts) -> Iterator[str]:
    number = iter(range(1_000_000))

    def typed(kind: str, **fields: Any) -> str:
        return _typed(kind, sequence_number=next(number), **fields)

    whole = _response(base, parts)
    opening = {**whole, "status": "in_progress", "output": []}
    yield typed("response.created", response=opening)
    for at, item in enumerate(whole["output"]):
        place = {"item_id": item["id"], "output_index": at}
        empty: dict[str, Any] = {"content": []} if item["type"] == "message" else {"arguments": ""}
        yield typed("response.output_item.added", output_index=at, item={**item, **empty})
        if item["type"] == "message":
            (part,) = item["content"]
            inside = {**place, "content_index": 0}
            yield typed("response.content_part.added", **inside, part={**part, "text": ""})
            yield typed("response.output_text.delta", **inside, delta=part["text"], logprobs=[])
            yield typed("response.output_text.done", **inside, text=part["text"], logprobs=[])
            yield typed("response.content_part.done", **inside, part=part)
        else:
            written = item["arguments"]
            yield typed("response.function_call_arguments.delta", **place, delta=written)
            done = {**place, "name": item["name"], "arguments": written}
            yield typed("response.function_call_arguments.done", **done)
        yield typed("response.output_item.done", output_index=at, item=item)
    yield typed("response.completed", response=whole)


_WRITERS = {"chat": _chat, "completions": _completion, "messages": _message, "responses": _response}
_STREAMS = {
    "chat": _chat_stream,
    "completions": _completion_stream,
    "messages": _message_stream,
    "responses": _response_stream,
}


def _event(value: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"


def _typed(kind: str, **fields: Any) -> str:
    return f"event: {kind}\n{_event({'type': kind, **fields})}"


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return {}


def _tool(identifier: Any, name: Any, arguments: Any) -> Tool:
    return Tool(id=_text(identifier), name=_text(name), arguments=_text(arguments))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, Iterable) else []
