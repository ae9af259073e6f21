"""Sends LangSmith runs on to their former endpoint, unchanged or masked."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pytest_llmops.detect.mask import mask
from pytest_llmops.detect.recognizers.numbers import check_installed
from pytest_llmops.detect.texts import rewrite
from pytest_llmops.features.receive.server import Notes, Request
from pytest_llmops.traces.decoding.langsmith import RunPart, is_id
from pytest_llmops.traces.decoding.values import read_time

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarder:
    """
    Sends requests to an endpoint, and notes failures.

    Attributes:
        endpoint: Address from the environment before the receiver changed it.
        masked: No text leaves with personal data or secrets in it.
    """

    endpoint: str
    key: str = field(repr=False)
    masked: bool
    notes: Notes

    def __post_init__(self) -> None:
        if self.masked:
            check_installed("langsmith_forward = masked")

    def __call__(self, request: Request, parts: Sequence[RunPart]) -> None:
        try:
            if self.masked:
                self._send_masked(parts)
            else:
                path = request.path.removeprefix("/api/v1").removeprefix("/api")
                self._send(request.method, path, request.body, request.content_type)
        except urllib.error.HTTPError as error:
            self.notes.count(self.notes.unforwarded, f"HTTP {error.code}")
        except (OSError, ValueError) as error:
            self.notes.count(self.notes.unforwarded, type(error).__name__)

    def _send_masked(self, parts: Sequence[RunPart]) -> None:
        """Send runs as one batch, without bytes of attachments, and each feedback by itself."""
        batch = {
            operation: [mask_run(part.fields) for part in parts if part.operation == operation]
            for operation in ("post", "patch")
        }
        if any(batch.values()):
            self._send("POST", "/runs/batch", json.dumps(batch, default=str).encode())
        for part in parts:
            if part.operation == "feedback":
                self._send("POST", "/feedback", json.dumps(mask_run(part.fields), default=str).encode())

    def _send(self, method: str, path: str, body: bytes, content_type: str = "application/json") -> None:
        headers = {"Content-Type": content_type, "X-API-Key": self.key}
        request = urllib.request.Request(f"{self.endpoint}{path}", body, headers, method=method)  # noqa: S310 - the user named it
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - as above
            response.read()


def mask_run(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Mask every text of a run except ids and times, which no person wrote."""
    return {
        mask(key, strict=True): value
        if is_id(key, value) or (key.endswith("_time") and read_time(value) is not None)
        else rewrite(value, partial(mask, strict=True), key)
        for key, value in fields.items()
        if key != "attachments"
    }
