"""Recorded calls that no run uses any more: found by the logs that the runs of this machine left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmops.documents.yaml_document import read_yaml
from pytest_llmops.recorder.cassettes import cassette_path, hold_cassettes, load_calls, write_calls
from pytest_llmops.recorder.explanation import last_entries

Entries = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """
    What was done to a cassette.

    Attributes:
        unused: Calls that were taken out, of all that it held.
        left_because: Why it is left as it is; empty where the last run of its case decided.
    """

    path: Path
    unused: int
    held: int
    left_because: str = ""


def prune(
    folders: Sequence[Path],
    logs: Path,
    is_gone: Callable[[str, float], bool | None],
    *,
    locks: Path,
    write: bool,
) -> Iterator[Pruned]:
    """
    Take out of cassettes the calls that the last command which ran their case did not use.

    A repeat that it did not ask for keeps its calls: how many are asked for depends on the answers. What no
    log knows is left, and so is a case whose run broke, since it may have ended early.

    Args:
        logs: Folder of the recorders' logs.
        is_gone: Takes a case's id, and when it was last run, in seconds since the epoch. True if its golden
            file has lost it since, so that its cassette goes; None if no golden file has such cases.
        locks: Folder of the file that processes take turns by.
        write: Change the files.

    Raises:
        CassetteError: A cassette is broken.
        OSError: One cannot be written.
    """
    began_s = time.time()
    last = last_entries(logs, by_command=True)
    for folder in folders:
        by_path = {cassette_path(folder, case): (case, entries) for case, entries in last.items()}
        for path in sorted(folder.rglob("*.yaml")):
            with hold_cassettes(locks):
                pruned = _prune(path, by_path.get(path), is_gone, began_s=began_s, write=write)
            yield pruned


def _prune(
    path: Path,
    known: tuple[str, Entries] | None,
    is_gone: Callable[[str, float], bool | None],
    *,
    began_s: float,
    write: bool,
) -> Pruned:
    calls = load_calls(path)
    case, entries = known or (_case_of(path), ())
    gone = is_gone(case, max((entry["at"] for entry in entries), default=0.0))
    kept = [] if gone else list(calls.values())
    why = ""
    if path.stat().st_mtime >= began_s:
        why, kept = "is run at the moment", list(calls.values())
    elif gone is None:
        why = "is of no golden file"
    elif not gone and not (why := _why_unknown(entries)):
        used = {call["key"] for entry in entries for call in entry["calls"]}
        repeats = {entry["repeat"] for entry in entries}
        kept = [call for call in kept if call.key in used or call.repeat not in repeats]
    if write and not kept:
        path.unlink()
    elif write and len(kept) < len(calls):
        write_calls(path, case, kept)
    return Pruned(path=path, unused=len(calls) - len(kept), held=len(calls), left_because=why)


def _why_unknown(entries: Entries) -> str:
    calls = [call for entry in entries for call in entry["calls"]]
    if not entries:
        return "did not run"
    if any(entry.get("error") or "broke" in entry for entry in entries):
        return "broke"
    if any(call["outcome"] in {"failed", "refused"} for call in calls):
        return "broke"
    if not calls:
        return "made no call"
    return "" if all("key" in call for call in calls) else "ran by an earlier version"


def _case_of(path: Path) -> str:
    document, _ = read_yaml(path.read_text(encoding="utf-8"), file="cassette", cassette=True)
    case = document.get("case") if isinstance(document, Mapping) else None
    return case if isinstance(case, str) else ""
