"""A server on this machine that speaks the protocols of six providers, complete and streamed."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pytest_llmops.recorder.bodies import encode_body
from tests.loopback import LoopbackServer

PIECES = ("Sixty ", "days, ", "post-paid.")
TEXT = "".join(PIECES)
PROMPT, COMPLETION = 11, 7
_AMAZON = "application/vnd.amazon.eventstream"
_SSE = "text/event-stream"


class _Server(ThreadingHTTPServer):
    """Sends nothing more once it is closed: another test, of this process too, may look at connections."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self.accepted: list[socket.socket] = []
        self.is_closed = False
        super().__init__(*arguments)

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted, address = super().get_request()
        self.accepted.append(accepted)
        return accepted, address

    def server_close(self) -> None:
        super().server_close()
        self.is_closed = True
        for accepted in self.accepted:
            with suppress(OSError):
                accepted.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not self.is_closed:
            super().handle_error(request, client_address)


@dataclass(slots=True)
class ProviderServer(LoopbackServer):
    """
    Use as a context manager.

    Attributes:
        asked: The paths, in the order they were asked for.
        bodies: The bodies of the requests.
        text: What every model says.
        status: Of all answers.
        pause_s: Before an answer.
        coding: That the answers claim to be in, and are not.
        refusals: Status and headers of those in place of the first answers.
    """

    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    pieces: tuple[str, ...] = PIECES
    status: int = 200
    pause_s: float = 0.0
    coding: str = ""
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def open_server(self) -> _Server:
        return _Server(("", 0), type("Handler", (_Handler,), {"provider": self}))

    def answer(self, path: str, body: Any) -> tuple[str, Iterator[bytes] | bytes]:
        """Content type and body of an answer; an iterator is sent piece by piece."""
        name = next((name for pattern, name in _ROUTES.items() if re.search(pattern, path)), "_plain")
        return getattr(self, name)(path, body if isinstance(body, Mapping) else {})

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def _chat(self, _: str, body: Mapping[str, Any]) -> tuple[str, Any]:
        usage = {
            "prompt_tokens": PROMPT,
            "completion_tokens": COMPLETION,
            "total_tokens": PROMPT + COMPLETION,
        }
        base = {"id": "c-1", "created": 1, "model": body.get("model", "m")}
        if not body.get("stream"):
            message = {"role": "assistant", "content": self.text}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            return _json({**base, "object": "chat.completion", "choices": [choice], "usage": usage})
        base["object"] = "chat.completion.chunk"
        events = [
            {**base, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            for piece in self.pieces
        ]
        last = {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
        return _SSE, iter([*map(_event, [*events, last]), b"data: [DONE]\n\n"])

    def _messages(self, _: str, body: Mapping[str, Any]) -> tuple[str, Any]:
        base = {"id": "m-1", "type": "message", "role": "assistant", "model": body.get("model", "m")}
        base |= {"stop_sequence": None}
        usage = {"input_tokens": PROMPT, "output_tokens": COMPLETION}
        if not body.get("stream"):
            content = [{"type": "text", "text": self.text}]
            return _json({**base, "content": content, "stop_reason": "end_turn", "usage": usage})
        start = {
            **base,
            "content": [],
            "stop_reason": None,
            "usage": {"input_tokens": PROMPT, "output_tokens": 1},
        }
        events = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
                for piece in self.pieces
            ),
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": COMPLETION},
            },
            {"type": "message_stop"},
        ]
        named = (f"event: {event['type']}\n".encode() + _event(event) for event in events)
        return _SSE, named

    def _gemini(self, path: str, _: Mapping[str, Any]) -> tuple[str, Any]:
        usage = {"promptTokenCount": PROMPT, "candidatesTokenCount": COMPLETION}

        def part(text: str, **more: Any) -> dict[str, Any]:
            content = {"role": "model", "parts": [{"text": text}]}
            return {
                "candidates": [{"content": content, "index": 0, **more}],
                "modelVersion": "gemini-x",
                "responseId": "g-1",
                "usageMetadata": usage,
            }

        if "stream" not in path:
            return _json(part(self.text, finishReason="STOP"))
        *most, last = self.pieces
        return _SSE, iter([*(_event(part(piece)) for piece in most), _event(part(last, finishReason="STOP"))])

    def _ollama(self, _: str, body: Mapping[str, Any]) -> tuple[str, Any]:
        base = {"model": body.get("model", "m"), "created_at": "2026-01-01T00:00:00Z"}
        done = {
            **base,
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": PROMPT,
            "eval_count": COMPLETION,
        }

        def said(text: str) -> dict[str, Any]:
            return (
                {"message": {"role": "assistant", "content": text}}
                if "messages" in body
                else {"response": text}
            )

        if body.get("stream") is False:
            return _json({**done, **said(self.text)})
        lines = [{**base, **said(piece), "done": False} for piece in self.pieces]
        return "application/x-ndjson", (
            json.dumps(line).encode() + b"\n" for line in [*lines, {**done, **said("")}]
        )

    def _cohere(self, _: str, body: Mapping[str, Any]) -> tuple[str, Any]:
        usage = {
            "billed_units": {"input_tokens": PROMPT, "output_tokens": COMPLETION},
            "tokens": {"input_tokens": PROMPT, "output_tokens": COMPLETION},
        }
        if not body.get("stream"):
            message = {"role": "assistant", "content": [{"type": "text", "text": self.text}]}
            return _json({"id": "co-1", "finish_reason": "COMPLETE", "message": message, "usage": usage})
        start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        events = [
            {"type": "message-start", "id": "co-1", "delta": {"message": start}},
            {
                "type": "content-start",
                "index": 0,
                "delta": {"message": {"content": {"type": "text", "text": ""}}},
            },
            *(
                {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}}
                for piece in self.pieces
            ),
            {"type": "content-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
        ]
        return _SSE, map(_event, events)

    def _converse(self, path: str, _: Mapping[str, Any]) -> tuple[str, Any]:
        usage = {"inputTokens": PROMPT, "outputTokens": COMPLETION, "totalTokens": PROMPT + COMPLETION}
        if "stream" not in path:
            message = {"role": "assistant", "content": [{"text": self.text}]}
            body = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}
            return _json({**body, "metrics": {"latencyMs": 5}})
        events = [
            {"messageStart": {"role": "assistant"}},
            *(
                {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": piece}}}
                for piece in self.pieces
            ),
            {"contentBlockStop": {"contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": usage, "metrics": {"latencyMs": 5}}},
        ]
        return _AMAZON, encode_body("".join(map(_frame_line, events)), _AMAZON)

    def _invoke(self, path: str, _: Mapping[str, Any]) -> tuple[str, Any]:
        usage = {"input_tokens": PROMPT, "output_tokens": COMPLETION}
        if "stream" not in path:
            content = [{"type": "text", "text": self.text}]
            return _json({"id": "m", "type": "message", "content": content, "usage": usage})
        metrics = {"inputTokenCount": PROMPT, "outputTokenCount": COMPLETION}
        inner = [
            *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
                for piece in self.pieces
            ),
            {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics},
        ]
        lines = (_frame_line({"chunk": {"bytes": event}}) for event in inner)
        return _AMAZON, encode_body("".join(lines), _AMAZON)

    def _plain(self, _: str, __: Mapping[str, Any]) -> tuple[str, Any]:
        return _json({"ok": True})


_ROUTES = {
    r"/chat/completions": "_chat",
    r"/messages": "_messages",
    r"enerateContent": "_gemini",
    r"/api/(chat|generate)": "_ollama",
    r"/v2/chat": "_cohere",
    r"/converse": "_converse",
    r"/invoke": "_invoke",
}


_MOVED = {"/moved": "/v1/chat/completions", "/moved-upload": "/upload"}


def _json(body: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(body).encode()


def _event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _frame_line(event: Mapping[str, Any]) -> str:
    (kind,) = event
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return json.dumps({"headers": headers, **event}) + "\n"


class _Handler(BaseHTTPRequestHandler):
    provider: ProviderServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.provider.asked.append(self.path)
        self.provider.bodies.append(body)
        try:
            parsed = json.loads(body)
        except ValueError:
            parsed = None
        time.sleep(self.provider.pause_s)
        if self.provider.refusals:
            self._refuse(*self.provider.refusals.pop(0))
            return
        if target := _MOVED.get(self.path):
            self.send_response(307)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        kind, answer = self.provider.answer(self.path, parsed)
        self.send_response(self.provider.status)
        self.send_header("Content-Type", kind)
        if self.provider.coding:
            self.send_header("Content-Encoding", self.provider.coding)
        if isinstance(answer, bytes):
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in answer:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, headers: Mapping[str, str]) -> None:
        body = json.dumps({"error": {"message": "Slow down.", "type": "limit"}}).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 - the names of the base class

    def log_message(self, *_: Any) -> None:
        """Print nothing."""
