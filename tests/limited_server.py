"""A server on this machine that speaks OpenAI's chat protocol and limits its calls as providers do."""

from __future__ import annotations

import asyncio
import json
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Self

Headers = dict[str, str]
RetryAfter = Callable[[float], Headers]
"""Headers of a refusal, of the seconds until a call would be let through."""


def in_seconds(wait_s: float) -> Headers:
    return {"Retry-After": str(math.ceil(wait_s))}


def exactly(wait_s: float) -> Headers:
    return {"Retry-After": f"{wait_s:.3f}"}


def as_date(wait_s: float) -> Headers:
    when = datetime.now(UTC) + timedelta(seconds=math.ceil(wait_s) + 1)
    return {"Retry-After": format_datetime(when, usegmt=True)}


def unsaid(_: float) -> Headers:
    return {}


class Limit:
    """
    Lets everything through.

    Attributes:
        says: How a refusal names the time.
        status: Of refusals.
    """

    def __init__(self, says: RetryAfter = in_seconds, status: int = 429) -> None:
        self.says, self.status = says, status

    def refuse_s(self, _: float) -> float | None:
        """Return the seconds that a refusal names, or None where the call is let through."""
        return None

    def end(self) -> None:
        """A call that was let through is over."""

    def headers(self, _: float) -> Headers:
        """Headers of what is let through."""
        return {}


class AtOnce(Limit):
    """So many calls at once."""

    def __init__(self, most: int, **options: Any) -> None:
        super().__init__(**options)
        self.most, self.out = most, 0

    def refuse_s(self, _: float) -> float | None:
        if self.out >= self.most:
            return 1.0
        self.out += 1
        return None

    def end(self) -> None:
        self.out -= 1


class Apart(Limit):
    """One call each so many seconds, without a burst."""

    def __init__(self, gap_s: float, **options: Any) -> None:
        super().__init__(**options)
        self.gap_s, self.next = gap_s, 0.0

    def refuse_s(self, now: float) -> float | None:
        if now < self.next:
            return self.next - now
        self.next = now + self.gap_s
        return None


class Tokens(Limit):
    """A bucket of tokens that fills up, and headers that tell of it."""

    def __init__(self, bucket: float, per_s: float, cost: float, **options: Any) -> None:
        super().__init__(**options)
        self.bucket, self.per_s, self.cost = bucket, per_s, cost
        self.left, self.at = bucket, time.monotonic()

    def _fill(self, now: float) -> None:
        self.left = min(self.bucket, self.left + (now - self.at) * self.per_s)
        self.at = now

    def refuse_s(self, now: float) -> float | None:
        self._fill(now)
        if self.left < self.cost:
            return (self.cost - self.left) / self.per_s
        self.left -= self.cost
        return None

    def headers(self, now: float) -> Headers:
        self._fill(now)
        return {
            "x-ratelimit-limit-tokens": f"{self.bucket:.0f}",
            "x-ratelimit-remaining-tokens": f"{self.left:.0f}",
            "x-ratelimit-reset-tokens": f"{(self.bucket - self.left) / self.per_s * 1_000:.0f}ms",
        }


class Half(Limit):
    """Refuses half of all calls, by chance."""

    def __init__(self, pause_s: float = 0.1, **options: Any) -> None:
        super().__init__(**options)
        self.pause_s, self.chance = pause_s, random.Random(7)  # noqa: S311 - no secret

    def refuse_s(self, _: float) -> float | None:
        return self.pause_s if self.chance.random() < 0.5 else None


class ThenAtOnce(AtOnce):
    """So many calls at once, and another number after some calls."""

    def __init__(self, most: int, then: int, after: int, **options: Any) -> None:
        super().__init__(most, **options)
        self.then, self.after = then, after

    def end(self) -> None:
        super().end()
        self.after -= 1
        if not self.after:
            self.most = self.then


class First(Limit):
    """Refuses so many calls in a row, then none; `always` never ends."""

    def __init__(self, number: float, pause_s: float = 0.05, **options: Any) -> None:
        super().__init__(**options)
        self.number, self.pause_s = number, pause_s

    def refuse_s(self, _: float) -> float | None:
        self.number -= 1
        return self.pause_s if self.number >= 0 else None


@dataclass(slots=True)
class LimitedServer:
    """
    Use as a context manager; `url` is what a client takes as `base_url`.

    Attributes:
        latency_s: Of an answer that is let through.
        span_s: Seconds from the first call to the last answer.
        answered: How many were let through; so for `refused`.
        bodies: Of all calls.
        body: Of a refusal.
    """

    limit: Limit = field(default_factory=Limit)
    latency_s: float = 0.02
    span_s: float = 0.0
    answered: int = 0
    refused: int = 0
    bodies: list[Any] = field(default_factory=list)
    body: Mapping[str, Any] = field(default_factory=lambda: {"error": {"message": "Slow down.", "type": "t"}})
    port: int = 0
    _began: float = 0.0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _server: asyncio.Server | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.base}/v1"

    def __enter__(self) -> Self:
        started = threading.Event()

        async def serve() -> None:
            self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=512)
            self.port = self._server.sockets[0].getsockname()[1]
            started.set()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(serve())
            self._loop.run_forever()
            self._loop.run_until_complete(self._stop())
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join(30)

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                await self._answer(reader, writer)
        writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if "transfer-encoding: chunked" in head:
            content = b""
            while size := int((await reader.readuntil(b"\r\n")).strip() or b"0", 16):
                content += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        else:
            length = next(
                (line[15:] for line in head.split("\r\n") if line.startswith("content-length:")), "0"
            )
            content = await reader.readexactly(int(length))
        request = json.loads(content) if content[:1] == b"{" else {"raw": content.decode("latin-1")}
        self.bodies.append(request)
        now = time.monotonic()
        self._began = self._began or now
        refuse_s = self.limit.refuse_s(now)
        if refuse_s is not None:
            self.refused += 1
            named = {**self.limit.headers(now), **self.limit.says(refuse_s)}
            _send(writer, self.limit.status, named, json.dumps(self.body).encode())
            return
        named = self.limit.headers(now)
        await asyncio.sleep(self.latency_s)
        self.limit.end()
        self.answered += 1
        self.span_s = time.monotonic() - self._began
        if request.get("stream"):
            _send(writer, 200, {**named, "Content-Type": "text/event-stream"}, _events(request))
        else:
            _send(writer, 200, named, json.dumps(_completion(request)).encode())


def _send(writer: asyncio.StreamWriter, status: int, headers: Headers, body: bytes) -> None:
    headers = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {status} -\r\n{lines}\r\n".encode("latin-1") + body)


def _said(request: Mapping[str, Any]) -> str:
    messages = request.get("messages") or [{"content": "?"}]
    return f"Echo: {messages[-1]['content']}"


def _completion(request: Mapping[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": _said(request)}
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": request.get("model", "m"),
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }  # fmt: skip


def _events(request: Mapping[str, Any]) -> bytes:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": request.get("model", "m")}
    choices = [
        {"index": 0, "delta": {"content": _said(request)}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    events = [f"data: {json.dumps({**base, 'choices': [choice]})}\n\n" for choice in choices]
    return "".join([*events, "data: [DONE]\n\n"]).encode()
