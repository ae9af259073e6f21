"""
An endpoint that judges, or fails to in every way that one can: the protocol is real, the faults are set.

What it says by default is filled in from the schema that the request carries.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.openai_server import OpenAIServer, _completion, _send

BODIES = {
    "malformed body": '{"choices": [',
    "web page": "<html>Bad gateway</html>",
    "no choices": '{"choices": []}',
    "null": "null",
}
"""Of answers with status 200 that are no completion."""

TEXTS = {
    "malformed JSON": '{"accuracy": {"reason": "fine", "evidence": "", "score": 4}',
    "NaN": '{"accuracy": {"reason": "fine", "evidence": "", "score": NaN}}',
    "infinity": '{"accuracy": {"reason": "fine", "evidence": "", "score": 1e999}}',
    "out of range": '{"accuracy": {"reason": "fine", "evidence": "", "score": 11}}',
    "zero": '{"accuracy": {"reason": "fine", "evidence": "", "score": 0}}',
    "between two steps": '{"accuracy": {"reason": "fine", "evidence": "", "score": 4.5}}',
    "score as text": '{"accuracy": {"reason": "fine", "evidence": "", "score": "5"}}',
    "score as truth": '{"accuracy": {"reason": "fine", "evidence": "", "score": true}}',
    "no score": '{"accuracy": {"reason": "fine", "evidence": ""}}',
    "key twice": '{"accuracy": {"reason": "", "evidence": "", "score": 1, "score": 5}}',
    "prose": "I would give this a 5/5.",
    "wrong language": "Die Antwort ist vollständig und richtig, volle Punktzahl.",
    "two verdicts": '{"accuracy": {"reason": "", "evidence": "", "score": 1}} '
    'or {"accuracy": {"reason": "", "evidence": "", "score": 5}}',
    "a list": "[5]",
    "a number": "5",
    "empty": "",
    "blank": " \n",
}
"""Contents of a completion that are no verdict of a rubric with `accuracy`."""

OWED = ("429", "429 until a date", "500", "503", "cut", "slow", *BODIES)
"""Faults of the endpoint: the same request may be answered next time."""

FINAL = ("refusal", "content filter")


@dataclass(slots=True)
class JudgeServer(OpenAIServer):
    """
    Use as a context manager.

    Attributes:
        meet: The fault that a request meets, one of those above, `truncated` or none; given the body and
            its number, from 0.
        verdict: The content of a good answer as JSON values, or as text.
        refused: Parameters of a request that it answers with status 400.
        words: What it says of a refused parameter; `{}` stands for its name.
        ignores: Parameters that it does not heed, `response_format` or `tools`.
        tokens: The tokens of a content with their probabilities, where they are asked for.
        slow_s: How long a slow answer takes.
        served: The model that it says it is; the one asked for by default.
    """

    meet: Callable[[Mapping[str, Any], int], str | None] = field(default=lambda _request, _number: None)
    verdict: Callable[[Mapping[str, Any]], Mapping[str, Any] | str] = field(
        default=lambda request: fill(schema_of(request) or {})
    )
    refused: frozenset[str] = frozenset()
    words: str = "Unsupported parameter: '{}' is not supported with this model."
    ignores: frozenset[str] = frozenset()
    tokens: Callable[[str], list[dict[str, Any]]] | None = None
    slow_s: float = 30.0
    served: str = ""

    async def _respond(self, _path: str, content: bytes, writer: asyncio.StreamWriter) -> bool:
        request: dict[str, Any] = json.loads(content)
        number = len(self.requests)
        self.requests.append(request)
        fault = self.meet(request, number)
        await asyncio.sleep(self.slow_s if fault == "slow" else self.latency_s)
        if fault == "cut":
            writer.transport.abort()
            return False
        status, body, extra = self._answer(request, fault)
        _send(writer, status, body, extra)
        await writer.drain()
        return True

    def _answer(self, request: dict[str, Any], fault: str | None) -> tuple[int, Any, str]:
        if named := next((name for name in sorted(self.refused) if name in request), None):
            message = self.words.format(named)
            error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
            return 400, {"error": error}, ""
        if fault in BODIES:
            return 200, BODIES[fault], ""
        if fault is not None and fault[:3].isdecimal():
            return int(fault[:3]), {"error": {"message": "Not now.", "type": "test"}}, self._pause(fault)
        return 200, self._completion(request, fault), ""

    def _pause(self, fault: str) -> str:
        if fault == "429":
            return f"Retry-After: {self.retry_after_s}\r\n"
        if fault == "429 until a date":
            when = datetime.now(UTC) + timedelta(seconds=self.retry_after_s)
            return f"Retry-After: {format_datetime(when, usegmt=True)}\r\n"
        if fault == "307":
            return f"Location: {self.url}/elsewhere/chat/completions\r\n"
        return ""

    def _completion(self, request: dict[str, Any], fault: str | None) -> dict[str, Any]:
        said = self.verdict(request)
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        if fault in TEXTS:
            text = TEXTS[fault]
        elif fault == "truncated":
            text = text[: len(text) // 2]
        message: dict[str, Any] = {"content": text}
        if fault == "refusal":
            message = {"content": None, "refusal": "I cannot help with that."}
        elif "tools" in request and "tools" not in self.ignores:
            function = {"name": request["tools"][0]["function"]["name"], "arguments": text}
            message = {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}
        body = _completion(request, message)
        body["model"] = self.served or request["model"]
        choice = body["choices"][0]
        choice["finish_reason"] = {"truncated": "length", "content filter": "content_filter"}.get(
            str(fault), choice["finish_reason"]
        )
        if self.tokens is not None and request.get("logprobs"):
            choice["logprobs"] = {"content": self.tokens(text)}
        return body


def schema_of(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema that a request asks its answer to follow, in whichever form."""
    if "response_format" in request:
        return request["response_format"]["json_schema"]["schema"]
    return request["tools"][0]["function"]["parameters"] if "tools" in request else None


def fill(schema: Mapping[str, Any]) -> Any:
    """A value that follows a schema: the first of what is allowed, one item in a list."""
    if "enum" in schema:
        return schema["enum"][-1] if schema.get("type") == "integer" else schema["enum"][0]
    if schema.get("type") == "object":
        return {name: fill(part) for name, part in schema["properties"].items()}
    return [] if schema.get("type") == "array" else "as it says"


def graded(score: int = 4, reason: str = "It says so.", *, name: str = "accuracy") -> dict[str, Any]:
    """A verdict of a rubric with one criterion."""
    return {name: {"reason": reason, "evidence": "60 days", "score": score}}
