"""Files that a project keeps, written and changed as their formats say and not by the code that is tested."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import platformdirs
import yaml

WEIGHTS = os.environ.get("LLMOPS_WEIGHTS") or str(platformdirs.user_cache_path("pytest-llmops") / "weights")
"""Where the weights of this machine are, found before a test has a home of its own."""


def add_review(log: Path, case: str, input_hash: str, answer: str, verdict: str, **fields: str) -> None:
    """Append Ada's verdict on an answer to a log of reviews: `review.schema.json`."""
    before = log.read_bytes().splitlines() if log.exists() else []
    line = {
        "version": 1,
        "case": case,
        "input_hash": input_hash,
        "answer": sha256(answer.encode()).hexdigest()[:16],
        "verdict": verdict,
        "who": "ada",
        "when": "2026-01-31T09:15:00Z",
        "note": "",
        **fields,
        "previous": json.loads(before[-1])["hash"] if before else "0" * 64,
    }
    line["hash"] = sha256(_canonical(line)).hexdigest()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        file.write(_canonical(line) + b"\n")


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")


def edit_calls(path: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Put other calls into a cassette, without the digests that show an accidental edit."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    calls = change(document["calls"])
    for call in calls:
        call["response"].pop("sha256", None)
    path.write_text(yaml.safe_dump({**document, "calls": calls}), encoding="utf-8")
