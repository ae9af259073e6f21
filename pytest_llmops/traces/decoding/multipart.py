"""
The multipart bodies of LangSmith's client: `post.ID`, `post.ID.inputs`, `attachment.ID.NAME`, `feedback.ID`.

Source: `langsmith/_internal/_operations.py` of the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any

from pytest_llmops.traces.decoding.langsmith import Operation, RunPart
from pytest_llmops.traces.decoding.values import DecodingError, parse_body

_NAME = re.compile(rb'name="((?:[^"\\]|\\.)*)"')
_PART = re.compile(r"(?P<operation>post|patch|feedback)\.(?P<id>[^.]+)(?:\.(?P<field>.+))?", re.DOTALL)
_ATTACHMENT = re.compile(r"attachment\.(?P<id>[^.]+)\.(?P<name>.+)", re.DOTALL)
_OPERATIONS: Mapping[str, Operation] = {"post": "post", "patch": "patch", "feedback": "feedback"}


def read_multipart(content_type: str, body: bytes) -> list[RunPart]:
    """
    The runs and feedback of a body, with attachments as text in their run.

    Raises:
        DecodingError: It is no multipart body, it is cut off, or a part of it is no JSON.
    """
    runs: dict[tuple[Operation, str], dict[str, Any]] = {}
    for name, content in _split(content_type, body):
        if attached := _ATTACHMENT.fullmatch(name):
            run = _run_of(runs, attached["id"])
            attachments = run.setdefault("attachments", {})
            attachments[attached["name"]] = content.decode(errors="replace")
        elif part := _PART.fullmatch(name):
            fields = runs.setdefault((_OPERATIONS[part["operation"]], part["id"]), {"id": part["id"]})
            value = parse_body(content)
            if part["field"]:
                fields[part["field"]] = value
            else:
                fields.update(value if isinstance(value, Mapping) else {"body": value})
        else:
            run = _run_of(runs, "")
            run[name] = content.decode(errors="replace")
    return [RunPart(operation, fields) for (operation, _), fields in runs.items()]


def _run_of(runs: dict[tuple[Operation, str], dict[str, Any]], run_id: str) -> dict[str, Any]:
    """The run that an attachment belongs to; its own part may be in another body."""
    for operation in ("post", "patch"):
        if (operation, run_id) in runs:
            return runs[operation, run_id]
    return runs.setdefault(("patch", run_id), {"id": run_id})


def _split(content_type: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each part."""
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_boundary()
    if not boundary:
        raise DecodingError("its multipart boundary is missing")
    marker = b"--" + boundary.encode(errors="replace")
    first, *parts = (b"\r\n" + body).split(b"\r\n" + marker)
    if not parts or not parts[-1].startswith(b"--") or first.strip():
        raise DecodingError("its multipart body is cut off")
    for part in parts[:-1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        named = _NAME.search(head)
        if not blank or named is None:
            raise DecodingError("a part of its multipart body has no name")
        yield named[1].decode(errors="replace"), content
