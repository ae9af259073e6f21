"""Logs of what runs did with each model call, and what `llmops explain` prints of them."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_llmops.errors import LLMOpsError, hint
from pytest_llmops.printable import counted, printable

_KEPT = 20


class RunLog:
    """
    One file of JSON lines for a run of this process, one line for each repeat of a case.

    The newest files are kept, for a run may have left out the case that is asked for later. The file stays
    open from the first line on: hundreds of threads take turns here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / f"{time.time_ns()}-{os.getpid()}.jsonl"
        self._file: int | None = None
        self._closed = False
        self._lock = threading.Lock()

    def add(self, entry: Mapping[str, Any]) -> None:
        """
        Append a line: `case`, `repeat`, `mode`, `error` and `calls`.

        Raises:
            OSError: The folder cannot be written.
        """
        line = json.dumps({**entry, "at": time.time()}) + "\n"
        with self._lock:
            if self._file is not None and not os.fstat(self._file).st_nlink:
                self._release()  # newer runs made room
            if self._file is None:
                self._file = self._begin()
            os.write(self._file, line.encode("ascii"))
            if self._closed:
                self._release()

    def close(self) -> None:
        """Let go of the file; a line that a thread of the app adds afterwards opens it for itself alone."""
        with self._lock:
            self._closed = True
            self._release()

    def _release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _begin(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            for old in _logs(self.folder)[: 1 - _KEPT]:
                old.unlink(missing_ok=True)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)


def explain(folder: Path, case: str) -> str:
    """
    What the last run did with each model call of a case, as text.

    Args:
        folder: Where recorders left their logs.
        case: An item id, or a case's id alone.

    Raises:
        LLMOpsError: No kept run knows such a case; names the nearest.
    """
    last: dict[str, list[dict[str, Any]]] = {}
    for path in _logs(folder):
        by_case: dict[str, list[dict[str, Any]]] = {}
        for entry in _entries(path):
            by_case.setdefault(entry["case"], []).append(entry)
        for name, entries in by_case.items():
            if name not in last or entries[-1]["at"] > last[name][-1]["at"]:
                last[name] = entries
    bare = {name: name.partition("::")[2] for name in last}
    matching = [name for name in last if case in {name, bare[name]}]
    if not matching:
        near = hint(case, {*last, *bare.values()})
        raise LLMOpsError(f"no run has left a log of the model calls of {case!r} in {folder}.{near}")
    return "\n".join(_render(name, last[name]) for name in sorted(matching))


def _logs(folder: Path) -> list[Path]:
    """Oldest first: the names begin with the time."""
    return sorted(folder.glob("*.jsonl"))


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log; what a run that was killed left half written is passed over."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("case"), str) and "at" in entry:
            yield entry


def _render(case: str, entries: Sequence[Mapping[str, Any]]) -> str:
    outcomes = [call["outcome"] for entry in entries for call in entry["calls"]]
    counts = [f"{outcomes.count(name)} {name}" for name in ("replayed", "made", "failed", "refused")]
    counts = [*counts[:-1], *(counts[-1:] if "refused" in outcomes else ())]  # of a run that may make none
    lines = [f"{case}: {counted(len(outcomes), 'model call')}, {', '.join(counts)}"]
    for entry in sorted(entries, key=lambda entry: entry["repeat"]):
        lines.append(f"  repeat {entry['repeat']}, --llm-record {entry['mode']}")
        if entry.get("error"):
            lines.append(f"    {entry['error']}")
        for number, call in enumerate(entry["calls"], start=1):
            model = call["model"] or "(no model named)"
            request = printable(f"{call['kind']} {model} at {call['provider']}{call['path']}")
            lines.append(f"    {number}. {request}: {_outcome(call)}")
            lines += [f"         {difference}" for difference in call["differences"]]
    return "\n".join(lines) + "\n"


def _outcome(call: Mapping[str, Any]) -> str:
    took = f"{call['duration_s']:.3f} s"
    if call["outcome"] == "replayed":
        return f"replayed from {call['file']} (took {took} when it was made)"
    return f"{call['outcome']} ({took}) because {call['reason']}"
