"""Explains calls: the nearest recorded one to a missing one, a run's log, and `llmops explain`."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any

from pytest_llmops.errors import LLMOpsError, hint
from pytest_llmops.printable import counted, printable
from pytest_llmops.recorder.cassettes import Recorded
from pytest_llmops.recorder.identity import kind_of, place_of
from pytest_llmops.recorder.providers import LISTED, MCP

_KEPT_LOGS = 20
_RUN = "PYTEST_LLMOPS_RUN"  # an environment variable, by which the processes of one command know each other
_MOST_DIFFERENCES = 8
_EXCERPT = 60
# A leaf and its type, for 1, 1.0 and True are not the same setting.
_Leaf = tuple[type, Any]


def explain_miss(wanted: Recorded, calls: Iterable[Recorded], name: str) -> tuple[str, list[str]]:
    """Return why none of a cassette's calls is the wanted one, and how the nearest of them differs."""
    nearest = nearest_call(wanted, calls)
    if nearest is None:
        return f"{name} holds no call of its kind", []
    return f"the nearest call in {name} differs in", differences(nearest, wanted)


def nearest_call(wanted: Recorded, calls: Iterable[Recorded]) -> Recorded | None:
    """Return the recorded call of the same kind that shares most parts with the wanted one."""
    parts = _parts(wanted)
    best, best_score = None, (False, 0.0)
    for call in calls:
        if kind_of(call.path) != kind_of(wanted.path):
            continue
        other = _parts(call)
        shared = sum(_likeness(leaf, other.get(name)) for name, leaf in parts.items())
        score = (call.key == wanted.key, 2 * shared - len(parts) - len(other))
        if best is None or score > best_score:
            best, best_score = call, score
    return best


def differences(recorded: Recorded, wanted: Recorded) -> list[str]:
    """List the parts of the identity that differ, one line each: `temperature: 0.0 -> 0.7`."""
    before, after = _parts(recorded), _parts(wanted)
    names = [name for name in {**after, **before} if before.get(name) != after.get(name)]
    lines = [f"{printable(name)}: {_change(before.get(name), after.get(name))}" for name in names]
    if len(lines) > _MOST_DIFFERENCES:
        lines[_MOST_DIFFERENCES:] = [f"and {len(lines) - _MOST_DIFFERENCES} more"]
    if not lines and recorded.key != wanted.key:
        lines = ["only in text that is redacted"]
    return lines


def _parts(call: Recorded) -> dict[str, _Leaf]:
    parts: dict[str, _Leaf] = {}
    _flatten({"provider": call.provider, "path": call.path}, "", parts)
    _flatten(call.request, "" if isinstance(call.request, Mapping) else "body", parts)
    _flatten({"repeat": call.repeat, "nth": call.nth}, "", parts)
    return parts


def _flatten(value: Any, name: str, parts: dict[str, _Leaf]) -> None:
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            _flatten(value[key], f"{name}.{key}" if name else key, parts)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            _flatten(item, f"{name}[{number}]", parts)
    else:
        parts[name] = (type(value), value)


def _likeness(one: _Leaf, other: _Leaf | None) -> float:
    """From 0 to 1: of texts that differ, the share of letters in their common start and end."""
    if one == other:
        return 1.0
    if other is None or not (one[0] is other[0] is str):
        return 0.0
    start = _common_start(one[1], other[1])
    end = _common_start(one[1][start:][::-1], other[1][start:][::-1])
    return (start + end) / (max(len(one[1]), len(other[1])) + 1)


def _common_start(one: str, other: str) -> int:
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)


def _change(before: _Leaf | None, after: _Leaf | None) -> str:
    start = 0
    if before and after and before[0] is after[0] is str:
        start = _common_start(before[1], after[1])
    return f"{_excerpt(before, start)} -> {_excerpt(after, start)}"


def _excerpt(leaf: _Leaf | None, at: int) -> str:
    """Show a leaf; of a long text the part around the first letter that differs."""
    if leaf is None:
        return "absent"
    if leaf[0] is not str:
        return repr(leaf[1])
    start = max(0, at - _EXCERPT // 3)
    part = leaf[1][start : start + _EXCERPT]
    return f"{'…' if start else ''}{part!r}{'…' if start + _EXCERPT < len(leaf[1]) else ''}"


def name_run() -> str:
    """Return the name of the command that this process is of, and of those that it starts from now on."""
    return os.environ.setdefault(_RUN, token_hex(8))


class RunLog:
    """
    One file of JSON lines for a run of this process, one line for each repeat of a case.

    The newest files are kept, since a run may have left out the case to be explained. The file stays open
    from the first line on: hundreds of threads take turns here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / f"{time.time_ns()}-{os.getpid()}.jsonl"
        self._run = name_run()
        self._file: int | None = None
        self._closed = False
        self._lock = threading.Lock()

    def add(self, entry: Mapping[str, Any]) -> None:
        """
        Append a line: `case`, `repeat`, `mode`, `error` and `calls`.

        Raises:
            OSError: The folder cannot be written.
        """
        line = json.dumps({**entry, "at": time.time(), "run": self._run}) + "\n"
        with self._lock:
            if self._file is not None and not os.fstat(self._file).st_nlink:
                self._release()  # newer runs deleted it
            if self._file is None:
                self._file = self._open()
            os.write(self._file, line.encode("ascii"))
            if self._closed:
                self._release()

    def close(self) -> None:
        """Release the file; a line that a thread of the app adds afterwards opens it for that line only."""
        with self._lock:
            self._closed = True
            self._release()

    def _release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            for old in _logs(self.folder)[: 1 - _KEPT_LOGS]:
                old.unlink(missing_ok=True)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)


def explain(folder: Path, case: str) -> str:
    """
    Describe the last run of a case: each model call, replayed, made or failed, and the reason.

    Args:
        folder: Of the recorders' logs.
        case: An item id, or the part of it behind `::`.

    Raises:
        LLMOpsError: No kept run knows such a case; names the nearest.
    """
    last = last_entries(folder)
    bare = {name: name.partition("::")[2] for name in last}
    matching = [name for name in last if case in {name, bare[name]}]
    if not matching:
        near = hint(case, {*last, *bare.values()})
        raise LLMOpsError(f"no run has left a log of the model calls of {case!r} in {folder}.{near}")
    return "\n".join(_render(name, last[name]) for name in sorted(matching))


def last_entries(folder: Path, *, by_command: bool = False) -> dict[str, list[dict[str, Any]]]:
    """
    Return the lines of each case from the last log that has it.

    Args:
        by_command: And of all other logs of the same command, which may run a case in several processes.
    """
    runs: dict[str, dict[Any, list[dict[str, Any]]]] = {}
    for path in _logs(folder):
        for entry in _entries(path):
            run = entry.get("run", path.name) if by_command else path.name
            runs.setdefault(entry["case"], {}).setdefault(run, []).append(entry)
    return {
        case: max(entries.values(), key=lambda lines: max(line["at"] for line in lines))
        for case, entries in runs.items()
    }


def _logs(folder: Path) -> list[Path]:
    """Oldest first: the names begin with the time."""
    return sorted(folder.glob("[0-9]*-*.jsonl"))


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a log, without those that a killed run left half written."""
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


def _count(what: str, calls: Sequence[Mapping[str, Any]], many: str = "") -> str:
    outcomes = [call["outcome"] for call in calls]
    counts = [f"{outcomes.count(name)} {name}" for name in ("replayed", "made", "failed")]
    if "refused" in outcomes:  # by a run that may make none
        counts.append(f"{outcomes.count('refused')} refused")
    return f"{counted(len(outcomes), what, many)}, {', '.join(counts)}"


def _render(case: str, entries: Sequence[Mapping[str, Any]]) -> str:
    calls = [call for entry in entries for call in entry["calls"]]
    messages = [call for call in calls if call["kind"] == MCP]
    lines = [f"{case}: {_count('model call', [call for call in calls if call['kind'] != MCP])}"]
    if messages:
        lines[0] += f"; {_count('message to tool servers', messages, 'messages to tool servers')}"
    for entry in sorted(entries, key=lambda entry: entry["repeat"]):
        lines.append(f"  repeat {entry['repeat']}, --llm-record {entry['mode']}")
        if entry.get("error"):
            lines.append(f"    {entry['error']}")
        for number, call in enumerate(entry["calls"], start=1):
            request = place_of(call["provider"], call["path"])
            if call["kind"] not in LISTED:
                request = f"{call['kind']} {call['model'] or '(no model named)'} at {request}"
            took = f"{call['duration_s']:.3f} s"
            outcome = f"{call['outcome']} ({took}) because {call['reason']}"
            if call["outcome"] == "replayed":
                outcome = f"replayed from {call['file']} (took {took} when it was made)"
            lines.append(f"    {number}. {printable(request)}: {outcome}")
            lines += [f"         {difference}" for difference in call["differences"]]
    return "\n".join(lines) + "\n"
