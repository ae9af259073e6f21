"""
A server on this machine that speaks OpenAI's files and fine-tuning jobs, and minds the protocol.

A request that the API would refuse is answered with 400 and stands in `violations`.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jsonschema import Draft202012Validator

KEY = "sk-invented"
PAGE = 2
"""Fewer than any client asks for, so that every list has pages."""
PROGRESS = ("validating_files", "queued", "running", "succeeded")
_number = {"type": "number", "exclusiveMinimum": 0}
_whole = {"type": "integer", "minimum": 1}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _method(name: str, **hyperparameters: Any) -> dict[str, Any]:
    body = _object(["hyperparameters"], hyperparameters=_object([], **hyperparameters))
    return _object(["type", name], type={"const": name}, **{name: body})


_shared = {"n_epochs": _whole, "batch_size": _whole, "learning_rate_multiplier": _number}
JOB = _object(
    ["model", "training_file", "method", "seed", "suffix", "metadata"],
    model={"type": "string"},
    training_file={"type": "string"},
    seed={"type": "integer", "minimum": 0},
    suffix={"type": "string", "maxLength": 64},
    metadata={
        "type": "object",
        "maxProperties": 16,
        "propertyNames": {"maxLength": 64},
        "additionalProperties": {"type": "string", "maxLength": 512},
    },
    method={"oneOf": [_method("supervised", **_shared), _method("dpo", **_shared, beta=_number)]},
)
_role = {"enum": ["system", "user", "assistant"]}
_turn = _object(["role", "content"], role=_role, content={"type": "string"})
_turns = {"type": "array", "minItems": 1, "items": _turn}
EXAMPLES = {
    "supervised": _object(["messages"], messages=_turns),
    "dpo": _object(
        ["input", "preferred_output", "non_preferred_output"],
        input=_object(
            ["messages"], messages=_turns, tools={"type": "array"}, parallel_tool_calls={"type": "boolean"}
        ),
        preferred_output={**_turns, "maxItems": 1},
        non_preferred_output={**_turns, "maxItems": 1},
    ),
}


@dataclass
class FineTuningServer(ThreadingHTTPServer):
    """
    Use as a context manager.

    Attributes:
        faults: By `METHOD path`, taken from the left, one a request; `lost` does the work and cuts the line.
        ending: The last status of a job by its method; each look at a job moves it one status on.
        stays: A status that no job leaves by itself.
        retry_after: The header of a 429.
    """

    faults: dict[str, deque[int | str]] = field(default_factory=dict)
    ending: dict[str, str] = field(default_factory=dict)
    stays: str = ""
    retry_after: str = "0.01"
    error: dict[str, Any] = field(
        default_factory=lambda: {"code": "invalid_training_file", "message": "Line 3 is \x1b[2Junsafe."}
    )
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    daemon_threads = True

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.uploads: dict[str, bytes] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __hash__(self) -> int:
        return id(self)

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def tell(self, job: str, message: str) -> None:
        """One more event of the job."""
        number = sum(len(events) for events in self.events.values())
        self.events.setdefault(job, []).append(
            {
                "id": f"ftevent-{number}",
                "object": "fine_tuning.job.event",
                "created_at": 1_772_000_000 + number,
                "level": "info",
                "type": "message",
                "message": message,
            }
        )

    def move(self, job: dict[str, Any]) -> None:
        """One status on."""
        if job["status"] not in PROGRESS[:-1] or job["status"] == self.stays:
            return
        method = job["method"]["type"]
        following = PROGRESS[PROGRESS.index(job["status"]) + 1]
        job["status"] = self.ending.get(method, following) if following == "succeeded" else following
        self.tell(job["id"], f"{method} is {job['status']}")
        if job["status"] == "succeeded":
            stem = job["model"].removeprefix("ft:").split(":")[0]
            job["fine_tuned_model"] = f"ft:{stem}:shop:{job['suffix']}:{method}"
            job["trained_tokens"] = 1000
        elif job["status"] == "failed":
            job["error"] = {**self.error, "param": "training_file"}


class RefusedError(Exception):
    """The API would answer this request with 400."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    server: FineTuningServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _serve(self, body: bytes) -> None:
        server, address = self.server, urlsplit(self.path)
        path = address.path.removeprefix("/v1")
        kind = f"{self.command} {re.sub(r'ftjob-[0-9]+', 'ID', path)}"
        with server.lock:
            server.calls[kind] += 1
            waiting = server.faults.get(kind)
            fault = waiting.popleft() if waiting else None
            try:
                if self.headers.get("Authorization") != f"Bearer {KEY}":
                    return self._reply(401, _error("Incorrect key: sk-inv***ted.", "invalid_api_key"))
                if fault == "cut":
                    self.close_connection = True
                    return None
                if isinstance(fault, int) or fault == "insufficient_quota":
                    status = 429 if fault == "insufficient_quota" else int(fault)
                    return self._reply(status, _error("Not now.", fault if isinstance(fault, str) else None))
                reply = self._answer(kind, path, parse_qs(address.query), body)
            except RefusedError as error:
                server.violations.append(f"{kind}: {error}")
                return self._reply(400, _error(str(error), None))
            if fault == "lost":
                self.close_connection = True
                return None
            return self._reply(200, reply)

    def _answer(self, kind: str, path: str, query: dict[str, list[str]], body: bytes) -> dict[str, Any]:
        server = self.server
        if self.command == "POST" and not kind.endswith("cancel"):
            return self._take_file(body) if kind == "POST /files" else self._start_job(body)
        if kind == "GET /files":
            _require(query.get("purpose") == ["fine-tune"], "the purpose is not asked for")
            return self._page(list(server.files.values())[::-1], query)
        if kind == "GET /fine_tuning/jobs":
            wanted = {key[9:-1]: value[0] for key, value in query.items() if key.startswith("metadata[")}
            found = [job for job in server.jobs.values() if wanted.items() <= job["metadata"].items()]
            return self._page(found[::-1], query)
        _, _, _, job_id, *rest = path.split("/")
        _require(job_id in server.jobs, f"there is no job {job_id}")
        job = server.jobs[job_id]
        if kind == "GET /fine_tuning/jobs/ID":
            server.move(job)
            return job
        if kind == "GET /fine_tuning/jobs/ID/events":
            return self._page(server.events.get(job_id, [])[::-1], query)
        _require(kind == "POST /fine_tuning/jobs/ID/cancel", f"there is no {kind}")
        _require(job["status"] in PROGRESS[:-1], "the job has ended")
        job["status"] = "cancelled"
        server.tell(job_id, f"{rest[0]}led")
        return job

    def _take_file(self, body: bytes) -> dict[str, Any]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + body)
        _require(message.get_content_type() == "multipart/form-data", "a file is no multipart form")
        parts = {part.get_param("name", header="Content-Disposition"): part for part in message.iter_parts()}
        _require(set(parts) == {"purpose", "file"}, f"the form has {sorted(parts)}")
        _require(parts["purpose"].get_content().strip() == "fine-tune", "the purpose is another")
        content = parts["file"].get_payload(decode=True)
        name = parts["file"].get_filename()
        _require(name.endswith(".jsonl"), "the file's name does not end with .jsonl")
        for line in content.decode().removesuffix("\n").split("\n"):
            json.loads(line)
        file_id = f"file-{len(self.server.files)}"
        self.server.uploads[file_id] = content
        self.server.files[file_id] = {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": 1_772_000_000,
            "filename": name,
            "purpose": "fine-tune",
            "status": "processed",
        }
        return self.server.files[file_id]

    def _start_job(self, body: bytes) -> dict[str, Any]:
        server = self.server
        _require(self.headers.get_content_type() == "application/json", "the body is said to be no JSON")
        asked = json.loads(body)
        for error in Draft202012Validator(JOB).iter_errors(asked):
            raise RefusedError(f"{error.json_path}: {error.message}")
        _require(asked["training_file"] in server.uploads, "there is no such file")
        method = asked["method"]["type"]
        check = Draft202012Validator(EXAMPLES[method])
        lines = server.uploads[asked["training_file"]].decode().removesuffix("\n").split("\n")
        _require(len(lines) >= 10, "there are fewer than 10 examples")
        for number, line in enumerate(lines, 1):
            for error in check.iter_errors(json.loads(line)):
                raise RefusedError(f"line {number}: {error.message}")
        trained = {job["fine_tuned_model"] for job in server.jobs.values()}
        _require(not asked["model"].startswith("ft:") or asked["model"] in trained, "there is no such model")
        server.bodies.append(asked)
        job = {
            "id": f"ftjob-{len(server.jobs)}",
            "object": "fine_tuning.job",
            "created_at": 1_772_000_000,
            "status": PROGRESS[0],
            "fine_tuned_model": None,
            "finished_at": None,
            "hyperparameters": asked["method"][method]["hyperparameters"],
            "organization_id": "org-shop",
            "result_files": [],
            "error": None,
            **asked,
        }
        server.jobs[job["id"]] = job
        server.tell(job["id"], f"{method} is created")
        return job

    def _page(self, newest_first: list[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
        start = 0
        if after := query.get("after"):
            ids = [one["id"] for one in newest_first]
            _require(after[0] in ids, f"nothing is named {after[0]}")
            start = ids.index(after[0]) + 1
        page = newest_first[start : start + PAGE]
        return {"object": "list", "data": page, "has_more": start + PAGE < len(newest_first)}

    def _reply(self, status: int, content: dict[str, Any]) -> None:
        payload = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        if status == 429:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        self.wfile.write(payload)


def _require(sound: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not sound:
        raise RefusedError(otherwise)


def _error(message: str, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
