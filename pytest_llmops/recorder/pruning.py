"""Recorded calls that no run uses any more: found by the logs that the runs of this machine left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmops.documents.yaml_document import read_yaml
from pytest_llmops.recorder.cassettes import cassette_path, hold_cassettes, load_calls, write_calls
from pytest_llmops.recorder.explanation import last_entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """
    What was done to a cassette.

    Attributes:
        unused: Calls that were taken out, of all that it held.
        left: Why nothing is known of it; empty where its last run tells.
    """

    path: Path
    unused: int
    held: int
    left: str = ""


def prune(
    folders: Sequence[Path], logs: Path, is_gone: Callable[[str], bool], *, locks: Path, write: bool
) -> Iterator[Pruned]:
    """
    Take out of cassettes the calls that the last run of their case did not use, and yield each cassette.

    A request that was used keeps the answers of all its repeats: how many a run asks for depends on them.
    What no log knows is left, and so is a case whose last run broke, since it may have ended early.

    Args:
        logs: Folder of the recorders' logs.
        is_gone: Tells of a case's id whether no golden file has it any more; its cassette goes with it.
        locks: Folder of the file that processes take turns by.
        write: False only tells.

    Raises:
        CassetteError: A cassette is broken.
        OSError: One cannot be written.
    """
    last = last_entries(logs)
    for folder in folders:
        by_path = {cassette_path(folder, case): (case, entries) for case, entries in last.items()}
        for path in sorted(folder.rglob("*.yaml")):
            with hold_cassettes(locks):
                calls = load_calls(path)
                case, entries = by_path.get(path, (_case_of(path), []))
                gone = is_gone(case)
                if not gone and (left := _why_unknown(entries)):
                    yield Pruned(path=path, unused=0, held=len(calls), left=left)
                    continue
                used = {call["key"] for entry in entries for call in entry["calls"] if not gone}
                kept = [call for call in calls.values() if call.key in used]
                if write and not kept:
                    path.unlink()
                elif write and len(kept) < len(calls):
                    write_calls(path, case, kept)
                yield Pruned(path=path, unused=len(calls) - len(kept), held=len(calls))


def _why_unknown(entries: Sequence[Mapping[str, Any]]) -> str:
    calls = [call for entry in entries for call in entry["calls"]]
    if not entries:
        return "did not run"
    if any("key" not in call for call in calls):
        return "ran by an earlier version"
    broke = any(entry.get("error") or "broke" in entry for entry in entries)
    return "broke" if broke or any(call["outcome"] in {"failed", "refused"} for call in calls) else ""


def _case_of(path: Path) -> str:
    document, _ = read_yaml(path.read_text(encoding="utf-8"), file="cassette", cassette=True)
    case = document.get("case") if isinstance(document, Mapping) else None
    return case if isinstance(case, str) else ""
