"""The server of a receiver: one thread per connection, none of which can keep a session from ending."""

from __future__ import annotations

import json
import re
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from io import BytesIO
from socket import SHUT_RDWR, socket
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from weakref import WeakSet

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.recorder.threads import start_outside
from pytest_llmops.records import Span
from pytest_llmops.traces.capture import deliver
from pytest_llmops.traces.decoding.langsmith import RunPart, Runs, read_batch, read_multipart
from pytest_llmops.traces.decoding.otlp import read_otlp, read_protobuf
from pytest_llmops.traces.decoding.values import DecodingError, parse_body

MOST_BYTES = 64 * 2**20
_PIECE = 64 * 2**10
_MOST_TRAILERS = 100
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_MOST_REASONS = 100  # of a kind, since a sender may choose them
_NAMED = 3
_SILENCE_S = 10.0  # after which a connection without data is closed
_LAST_S = 2.0  # that a request which has begun may still take at the end
_POLL_S = 0.02

_JSON = "application/json"
_PROTOBUF = "application/x-protobuf"
_OTLP = re.compile(r".*/v1/(?P<signal>traces|logs|metrics)/?")
_SMITH = re.compile(r"(?:/api)?(?:/v1)?(?P<path>/(?:info|runs|feedback|sessions)\b.*)")


class TooLargeError(Exception):
    """A body is larger than the limit, as it is sent or once it is decompressed."""


def read_body(stream: BinaryIO, headers: Mapping[str, str]) -> bytes:
    """
    Read the body of a request and undo its content encodings.

    Raises:
        TooLargeError: It is larger than the limit.
        DecodingError: It is cut off, or contradicts its headers.
    """
    if "chunked" in (headers.get("transfer-encoding") or "").lower():
        body = b"".join(_read_chunks(stream))
    else:
        body = _read_exactly(stream, _read_size(headers.get("content-length") or "0", 10), MOST_BYTES)
    encodings = (headers.get("content-encoding") or "").split(",")
    for encoding in reversed([name.strip().lower() for name in encodings]):
        if encoding not in {"", "identity"}:
            body = _decompress(encoding, body)
    return body


def _read_size(text: str, base: int) -> int:
    try:
        size = int(text.strip(), base)
    except ValueError:
        size = -1
    if size < 0:
        raise DecodingError("the size of its body is no number")
    return size


def _read_exactly(stream: BinaryIO, size: int, most: int) -> bytes:
    if size > most:
        raise TooLargeError
    body = stream.read(size)
    if len(body) < size:
        raise DecodingError("its body is cut off")
    return body


def _read_chunks(stream: BinaryIO) -> Iterator[bytes]:
    most = MOST_BYTES
    while size := _read_size(stream.readline(_PIECE).partition(b";")[0].decode("latin-1"), 16):
        yield _read_exactly(stream, size, most)
        most -= size
        stream.readline(_PIECE)
    for _ in range(_MOST_TRAILERS):
        if not stream.readline(_PIECE).strip():  # the empty line behind the trailers
            return
    raise DecodingError("it has too many trailers")


def _decompress(encoding: str, body: bytes) -> bytes:
    decoders = {"gzip": _gunzip, "x-gzip": _gunzip, "deflate": _gunzip, "zstd": _unzstd}
    if encoding not in decoders:
        raise DecodingError("its content encoding is not known")
    parts, size = [], 0
    for part in decoders[encoding](body):
        size += len(part)
        if size > MOST_BYTES:
            raise TooLargeError
        parts.append(part)
    return b"".join(parts)


def _gunzip(body: bytes) -> Iterator[bytes]:
    """Decompress every member of a gzip body, as RFC 1952 has it, or a zlib body."""
    while body:
        member = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            while body and not member.eof:
                yield member.decompress(body, _PIECE)
                body = member.unconsumed_tail or member.unused_data
        except zlib.error:
            raise DecodingError("it cannot be decompressed") from None
        if not member.eof:
            raise DecodingError("its compressed body is cut off")


def _unzstd(body: bytes) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise DecodingError("it is compressed by zstd; install zstandard to read it") from None
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(BytesIO(body), read_across_frames=True)
        yield from iter(partial(reader.read, _PIECE), b"")
    except zstandard.ZstdError:
        raise DecodingError("it cannot be decompressed") from None


@dataclass(slots=True)
class Notes:
    """
    Counts of a receiver, filled by the threads that answer.

    Attributes:
        unread: Why requests could not be read, by reason.
        elsewhere: Addresses that runs of this process were sent to, in place of the receiver.
        unforwarded: Why requests could not be sent on, by reason.
        unknown: Requests that are no traces, by method and path.
        received: Spans and records that were delivered.
    """

    unread: Counter[str] = field(default_factory=Counter)
    elsewhere: Counter[str] = field(default_factory=Counter)
    unforwarded: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: Counter[str], reason: str) -> None:
        with self._lock:
            kind[reason if len(kind) < _MOST_REASONS or reason in kind else "other reasons"] += 1

    def count_received(self, spans: int) -> None:
        with self._lock:
            self.received += spans

    def errors(self) -> Iterator[str]:
        """Yield a sentence for each kind of trace that no check saw."""
        if count := self.unread.total():
            yield (
                f"error: {counted(count, 'trace request')} could not be read, so no check saw what "
                f"{'it holds' if count == 1 else 'they hold'}: {_name_reasons(self.unread)}"
            )
        if count := self.elsewhere.total():
            yield (
                f"error: {counted(count, 'LangSmith run')} sent to {_name_reasons(self.elsewhere)} by a "
                "client with an address of its own, so no check saw them; let the client take "
                "LANGSMITH_ENDPOINT"
            )

    def warnings(self) -> Iterator[str]:
        if count := self.unforwarded.total():
            reasons = _name_reasons(self.unforwarded)
            yield f"{counted(count, 'LangSmith request')} could not be forwarded: {reasons}"
        if count := self.unknown.total():
            yield (
                f"{counted(count, 'request')} to the trace receiver {'was' if count == 1 else 'were'} for "
                f"something else, and got 404: {_name_reasons(self.unknown)}"
            )


def _name_reasons(reasons: Counter[str]) -> str:
    return name_some([printable(reason, 100) for reason in sorted(reasons)], _NAMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A request with its complete body.

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
    An answer to a request.

    Attributes:
        then: To be called once it is sent.
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
        forward: Sends a request of a LangSmith client on to the endpoint of the environment before.
    """

    notes: Notes
    forward: Callable[[Request, list[RunPart]], None] | None = None
    _runs: Runs = field(default_factory=Runs)

    def answer(self, request: Request) -> Reply:
        """
        Deliver the spans of a request, and return its answer.

        Raises:
            DecodingError: The body is not in the format of its path; nothing of it was delivered.
        """
        if request.method == "POST" and (otlp := _OTLP.fullmatch(request.path)):
            is_json = _JSON in request.content_type
            if otlp["signal"] != "metrics":
                body = parse_body(request.body) if is_json else read_protobuf(request.body, otlp["signal"])
                self._deliver(list(read_otlp(body)))
            return Reply(200) if is_json else Reply(200, b"", _PROTOBUF)
        smith = _SMITH.fullmatch(request.path)
        reply = self._answer_smith(request, smith["path"].rstrip("/")) if smith else None
        if reply is None:
            self.notes.count(self.notes.unknown, f"{request.method} {request.path}")
            return Reply.of({"detail": "not found"}, 404)
        return reply

    def _answer_smith(self, request: Request, path: str) -> Reply | None:
        match request.method, path:
            case "GET", "/info":
                return Reply.of(_describe_smith())
            case "GET", "/sessions":
                return Reply.of([])
            case "POST", "/sessions":
                return Reply.of({"id": "00000000-0000-0000-0000-000000000000", "name": "received"})
        parts = list(_read_parts(request, path))
        if not parts:
            return None
        self._deliver([self._runs.add(part) for part in parts])
        return Reply(202, then=partial(self.forward, request, parts) if self.forward else None)

    def _deliver(self, spans: list[Span]) -> None:
        deliver(spans)
        self.notes.count_received(len(spans))


def _describe_smith() -> dict[str, Any]:
    """Return the abilities by which a LangSmith client chooses how to send."""
    batch = {
        "use_multipart_endpoint": True,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
        "scale_up_nthreads_limit": 16,
        "scale_up_qsize_trigger": 1000,
        "scale_down_nempty_trigger": 4,
    }
    flags = {"zstd_compression_enabled": find_spec("zstandard") is not None}
    return {"version": "0.0.0", "instance_flags": flags, "batch_ingest_config": batch}


def _read_parts(request: Request, path: str) -> Iterator[RunPart]:
    """Yield the runs and feedback of a request; none of a request for something else."""
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


class Server(ThreadingHTTPServer):
    """
    Listens on a free port of 127.0.0.1 until it is closed.

    Attributes:
        active: Requests that have begun and are not answered.
        forwarding: Requests that are answered and being sent on.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, routes: Routes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.routes = routes
        self.active = self.forwarding = 0
        self._connections: WeakSet[socket] = WeakSet()
        self._noted = (0, 0)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_S,), daemon=True)
        start_outside(self._thread)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def change(self, *, active: int = 0, forwarding: int = 0) -> None:
        with self._lock:
            self.active += active
            self.forwarding += forwarding

    def get_request(self) -> tuple[socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def wait(self) -> None:
        """Wait two seconds for the requests that have begun, and note once those that are not done."""
        deadline = time.monotonic() + _LAST_S
        while self.active + self.forwarding > 0 and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        notes = self.routes.notes
        (unanswered, unforwarded), self._noted = self._noted, (self.active, self.forwarding)
        for _ in range(unanswered, self._noted[0]):
            notes.count(notes.unread, "it was not complete at the end of the run")
        for _ in range(unforwarded, self._noted[1]):
            notes.count(notes.unforwarded, "not done at the end of the run")

    def close(self) -> None:
        self.shutdown()
        self._thread.join(_LAST_S)
        self.server_close()
        for connection in list(self._connections):  # kept alive for requests that would come too late
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        """Ignore clients that go away; missing parts of a request were counted where it was read."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SILENCE_S
    server: Server

    def log_message(self, *_: Any) -> None:
        """Print nothing: the terminal is the report's."""

    def _do(self) -> None:
        self.server.change(active=1)
        then = None
        try:
            reply = self._answer()
            then = reply.then
            self._send(reply)
        finally:
            self.server.change(active=-1, forwarding=int(then is not None))
            if then is not None:
                try:
                    then()
                finally:
                    self.server.change(forwarding=-1)

    def _answer(self) -> Reply:
        try:
            body = read_body(self.rfile, self.headers)  # type: ignore[arg-type] # headers are read as a mapping
            path = urlsplit(self.path).path
            kind = (self.headers.get("content-type") or "").strip()
            return self.server.routes.answer(
                Request(method=self.command, path=path, content_type=kind, body=body)
            )
        except TooLargeError:
            return self._refuse(413, "larger than 64 MiB", "it is larger than 64 MiB")
        except TimeoutError:
            return self._refuse(408, "nothing came", f"its sender was silent for {_SILENCE_S:g} s")
        except LLMOpsError as error:  # a decoding error, or a library that is missing
            return self._refuse(400, str(error), str(error))
        except Exception as error:  # noqa: BLE001 - faults that a sender can cause must not be lost in a thread
            return self._refuse(400, "not readable", f"it broke the reader ({type(error).__name__})")

    def _refuse(self, status: int, message: str, reason: str) -> Reply:
        notes = self.server.routes.notes
        notes.count(notes.unread, reason)
        self.close_connection = True  # the rest of the body would be taken for a request
        return Reply.of({"message": message}, status)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _do  # noqa: N815 - the names that `http.server` looks for
