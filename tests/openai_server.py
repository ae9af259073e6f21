"""
A server on this machine that speaks enough of OpenAI's protocol, with set delays, answers and faults.

One event loop in one thread, so that a hundred waiting calls cost next to nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, Self

BAD_ANSWERS: dict[str | None, Any] = {
    "malformed": '{"choices": [',
    "error_body": {"error": {"message": "Quota exceeded.", "code": "insufficient_quota"}},
    "choice_error": {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "error",
                "error": {"code": 502, "message": "Upstream died."},
                "message": {"role": "assistant", "content": ""},
            }
        ],
    },
    "failed_response": {
        "id": "r",
        "object": "response",
        "status": "failed",
        "error": {"code": "server_error", "message": "It broke in the middle."},
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Boots"}]}],
    },
    "no_choices": {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []},
    "cut_answer": {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "length",
                "message": {"role": "assistant", "content": "The tent is"},
            }
        ],
    },
}
"""Answers of status 200 that are none."""

Fault = Literal[
    "401",
    "404",
    "429",
    "500",
    "cut",
    "cut_body",
    "cut_answer",
    "cut_stream",
    "choice_error",
    "error_body",
    "failed_response",
    "error_stream",
    "malformed",
    "no_choices",
]

_DIMENSIONS = 8
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@dataclass(slots=True)
class OpenAIServer:
    """
    Use as a context manager; `url` is what a client takes as `base_url`.

    Attributes:
        latency_s: Pause before each answer begins.
        pause_s: Pause between the pieces of a streamed answer.
        faults: Taken from the left, one a call, before any answer; None stands for a good answer.
        fault: What every call meets once `faults` is empty.
        answer: The assistant's text for a request; or a whole message, such as one with tool calls, and
            beside it the messages of further choices under `others`.
        requests: The bodies of the model calls, in the order they came.
        calls: How often each path was asked.
        busiest: The most calls that were in work at once.
    """

    latency_s: float = 0.0
    pause_s: float = 0.0
    retry_after_s: float = 0.01
    fault: Fault | None = None
    faults: deque[Fault | None] = field(default_factory=deque)
    answer: Callable[[Mapping[str, Any]], str | Mapping[str, Any]] = field(
        default=lambda request: f"Echo: {last_user_text(request)}"
    )
    requests: list[dict[str, Any]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    busiest: int = 0
    port: int = 0
    _working: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the test server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join(10)
        self._loop.close()

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._talk, "127.0.0.1", self.port, backlog=512)
        )
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._answer_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client left, or the test is over
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1].partition("?")[0]
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        self.calls[path] += 1
        self._working += 1
        self.busiest = max(self.busiest, self._working)
        try:
            return await self._respond(path, content, writer)
        finally:
            self._working -= 1

    async def _respond(self, path: str, content: bytes, writer: asyncio.StreamWriter) -> bool:
        if path == "/v1/models":
            _send(writer, 200, {"object": "list", "data": [{"id": "test-model", "object": "model"}]})
            return True
        request: dict[str, Any] = json.loads(content)
        self.requests.append(request)
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        fault = self.faults.popleft() if self.faults else self.fault
        if fault == "cut":
            writer.transport.abort()
            return False
        if fault == "cut_body":
            writer.write(b'HTTP/1.1 200 -\r\nContent-Length: 100\r\n\r\n{"choices": [')
            await writer.drain()
            return False
        if fault in BAD_ANSWERS:
            _send(writer, 200, BAD_ANSWERS[fault])
        elif fault in {"401", "404", "429", "500"}:
            extra = f"Retry-After: {self.retry_after_s}\r\n" if fault == "429" else ""
            message = {
                "401": "Incorrect API key provided: sk-invalid00000000000000.",
                "404": "The model does not exist.",
                "429": "Slow down.",
                "500": "Something broke.",
            }
            _send(writer, int(fault), {"error": {"message": message[fault], "type": "test"}}, extra)
        elif path.endswith("/embeddings"):
            _send(writer, 200, _embeddings(request))
        elif path.endswith("/chat/completions") and request.get("stream"):
            return await self._stream(request, fault, writer)
        elif path.endswith("/chat/completions"):
            _send(writer, 200, _completion(request, self.answer(request)))
        else:
            _send(writer, 404, {"error": {"message": f"no such path: {path}", "type": "test"}})
        await writer.drain()
        return True

    async def _stream(
        self, request: dict[str, Any], fault: Fault | None, writer: asyncio.StreamWriter
    ) -> bool:
        writer.write(_STREAM_HEAD)
        for number, event in enumerate(_chunks(request, self.answer(request))):
            if number == 2 and fault == "cut_stream":
                await writer.drain()
                writer.transport.abort()
                return False
            if number == 2 and fault == "error_stream":
                event = {"error": {"message": "The model is overloaded.", "type": "test"}}  # noqa: PLW2901
            text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
            data = f"data: {text}\n\n".encode()
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            if self.pause_s:
                await writer.drain()
                await asyncio.sleep(self.pause_s)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def last_user_text(request: Mapping[str, Any]) -> str:
    """What the user said last, as a real model would read it."""
    said = [message for message in request.get("messages", ()) if message.get("role") == "user"]
    return str(said[-1]["content"]) if said else ""


def _send(writer: asyncio.StreamWriter, status: int, body: Any, extra: str = "") -> None:
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    head = (
        f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(data)}\r\n\r\n"
    )
    writer.write(head.encode("latin-1") + data)


def _completion(request: Mapping[str, Any], answer: str | Mapping[str, Any]) -> dict[str, Any]:
    message = {"content": answer} if isinstance(answer, str) else dict(answer)
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    messages = [message, *message.pop("others", ())]
    return {
        **_envelope(request, "chat.completion"),
        "choices": [
            {"index": index, "finish_reason": reason, "message": {"role": "assistant", **each}}
            for index, each in enumerate(messages)
        ],
        "usage": _usage(request, str(message.get("content"))),
    }


def _chunks(request: Mapping[str, Any], answer: str | Mapping[str, Any]) -> Iterator[dict[str, Any] | str]:
    """The answer in pieces of five letters, tool calls in one; usage when it is asked for."""
    message = {"content": answer} if isinstance(answer, str) else dict(answer)
    envelope = _envelope(request, "chat.completion.chunk")
    text = str(message.get("content") or "")
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text[start : start + 5]} for start in range(0, len(text), 5)]
    said = message.get("reasoning_content") or ""
    deltas += [{"reasoning_content": said[start : start + 5]} for start in range(0, len(said), 5)]
    if tools := message.get("tool_calls"):
        deltas.append({"tool_calls": [{"index": number, **tool} for number, tool in enumerate(tools)]})
    for delta in deltas:
        yield {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if (request.get("stream_options") or {}).get("include_usage"):
        yield {**envelope, "choices": [], "usage": _usage(request, text)}
    yield "[DONE]"


def _envelope(request: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-test", "object": kind, "created": 1, "system_fingerprint": "fp_test",
        "model": f"{request.get('model')}-served",
    }  # fmt: skip


def _usage(request: Mapping[str, Any], text: str) -> dict[str, int]:
    prompt = sum(len(str(message.get("content")).split()) for message in request.get("messages", ()))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": len(text.split()),
        "total_tokens": prompt + len(text.split()),
    }


def _embeddings(request: Mapping[str, Any]) -> dict[str, Any]:
    texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
    data = []
    for index, text in enumerate(texts):
        digest = sha256(str(text).encode("utf-8", "replace")).digest()
        vector: Any = [(byte - 128) / 128 for byte in digest[:_DIMENSIONS]]
        if request.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{_DIMENSIONS}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = sum(len(str(text).split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": f"{request.get('model')}-served", "data": data, "usage": usage}
