"""What is answered to which request, once its spans are delivered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

from pytest_llmops.records import Span
from pytest_llmops.traces.capture import deliver
from pytest_llmops.traces.decoding.langsmith import RunPart, Runs, read_batch
from pytest_llmops.traces.decoding.multipart import read_multipart
from pytest_llmops.traces.decoding.otlp import read_otlp, read_protobuf
from pytest_llmops.traces.decoding.values import parse_body
from pytest_llmops.traces.receiving.notes import Notes

_JSON = "application/json"
_PROTOBUF = "application/x-protobuf"
_OTLP = re.compile(r".*/v1/(?P<signal>traces|logs|metrics)/?")
_SMITH = re.compile(r"(?:/api)?(?:/v1)?(?P<path>/(?:info|runs|feedback|sessions)\b.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A request with its whole body.

    Attributes:
        path: Without the query.
    """

    method: str
    path: str
    content_type: str = _JSON
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """
    Attributes:
        then: What is left to do once it is sent.
    """

    status: int
    body: bytes = b"{}"
    content_type: str = _JSON
    then: Callable[[], None] | None = None

    @classmethod
    def of(cls, value: Any, status: int = 200) -> Reply:
        return cls(status, json.dumps(value).encode())


@dataclass(slots=True)
class Routes:
    """
    Answers requests of OTLP exporters and of LangSmith's clients.

    Attributes:
        forward: Sends what a LangSmith client posted on to where it would have gone.
    """

    notes: Notes
    forward: Callable[[Request, list[RunPart]], None] | None = None
    _runs: Runs = field(default_factory=Runs)

    def answer(self, request: Request) -> Reply:
        """
        Raises:
            DecodingError: The body is not what it should be; nothing of it was delivered.
        """
        if request.method == "POST" and (otlp := _OTLP.fullmatch(request.path)):
            return self._take_otlp(request, otlp["signal"])
        smith = _SMITH.fullmatch(request.path)
        reply = self._answer_smith(request, smith["path"].rstrip("/")) if smith else None
        if reply is None:
            self.notes.count(self.notes.unknown, f"{request.method} {request.path}")
            return Reply.of({"detail": "not found"}, 404)
        return reply

    def _take_otlp(self, request: Request, signal: str) -> Reply:
        is_json = _JSON in request.content_type
        if signal != "metrics":
            body = parse_body(request.body) if is_json else read_protobuf(request.body, signal)
            self._deliver(list(read_otlp(body)))
        return Reply(200) if is_json else Reply(200, b"", _PROTOBUF)

    def _answer_smith(self, request: Request, path: str) -> Reply | None:
        if request.method == "GET":
            return _answer_get(path)
        if request.method == "POST" and path == "/sessions":
            return Reply.of({"id": "00000000-0000-0000-0000-000000000000", "name": "received"})
        parts = list(_read_parts(request, path))
        if not parts:
            return None
        self._deliver([self._runs.add(part) for part in parts])
        return Reply(202, then=partial(self.forward, request, parts) if self.forward else None)

    def _deliver(self, spans: list[Span]) -> None:
        deliver(spans)
        self.notes.count_received(len(spans))


def _read_parts(request: Request, path: str) -> Iterator[RunPart]:
    """The runs and feedback of a request; none where it is for something else."""
    kind, _, name = path.strip("/").partition("/")
    if request.method == "POST" and path == "/runs/multipart":
        yield from read_multipart(request.content_type, request.body)
    elif request.method == "POST" and path == "/runs/batch":
        yield from read_batch(parse_body(request.body))
    elif (request.method == "POST" and not name) or request.method == "PATCH":
        value = parse_body(request.body)
        fields = value if isinstance(value, Mapping) else {"body": value}
        if kind == "feedback":
            yield RunPart("feedback", {"id": name, **fields})
        elif kind == "runs":
            yield RunPart("patch", {"id": name, **fields}) if name else RunPart("post", fields)


def _answer_get(path: str) -> Reply | None:
    if path == "/info":
        flags = {"zstd_compression_enabled": find_spec("zstandard") is not None}
        batch = {
            "use_multipart_endpoint": True,
            "size_limit": 100,
            "size_limit_bytes": 20_971_520,
            "scale_up_nthreads_limit": 16,
            "scale_up_qsize_trigger": 1000,
            "scale_down_nempty_trigger": 4,
        }
        return Reply.of({"version": "0.0.0", "instance_flags": flags, "batch_ingest_config": batch})
    return Reply.of([]) if path == "/sessions" else None
