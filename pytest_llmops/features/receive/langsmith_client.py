"""
Runs of this process' LangSmith clients, by the case that begins them.

A client sends from its own threads, some time later, so the case of a trace is noted where a run is
created, and the case waits for its runs. The class is patched while a receiver is open.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, wraps
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.features.receive.server import Notes
from pytest_llmops.recorder.patches import Change, Patches
from pytest_llmops.traces.capture import find_owner
from pytest_llmops.traces.decoding.values import read_trace_id
from pytest_llmops.traces.environment import own_clients

_METHODS = ("create_run", "update_run", "batch_ingest_runs", "multipart_ingest", "create_feedback")
_MODULES = ("utils", "client", "run_trees", "run_helpers")

_lock = threading.Lock()
_open: list[tuple[str, Notes]] = []
_client_before: list[Any] = []


def install(url: str, notes: Notes) -> None:
    """Listen to the clients from now on; where LangSmith is not installed there are none."""
    if find_spec("langsmith") is None:
        return
    from langsmith import run_trees

    with _lock:
        _open.append((url, notes))
        _client_before.append(run_trees._CLIENT)  # noqa: SLF001 - it keeps the address that it was made with
        run_trees._CLIENT = None  # noqa: SLF001
        forget_environment()
        _patches.install()


def uninstall(url: str) -> None:
    """Put everything back; to be called after the environment was restored."""
    with _lock:
        if url not in dict(_open):
            return
        from langsmith import run_trees

        _open[:] = [(address, notes) for address, notes in _open if address != url]
        run_trees._CLIENT = _client_before.pop()  # noqa: SLF001 - as above
        forget_environment()
        _patches.uninstall()


def forget_environment() -> None:
    """Have LangSmith read its environment variables anew: it caches them."""
    for name in _MODULES:
        if module := sys.modules.get(f"langsmith.{name}"):
            for value in tuple(vars(module).values()):
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()


def _find_methods() -> Iterator[Change]:
    from langsmith import Client

    for name in _METHODS:
        yield Client, name, partial(_note_runs, name)


_patches = Patches(_find_methods)


def _note_runs(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def method(self: Any, *arguments: Any, **options: Any) -> Any:
        if self not in own_clients:
            for run in _runs_of(name, arguments, options):
                _note(self, run, created=name != "update_run")
        return original(self, *arguments, **options)

    return method


def _runs_of(
    name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Yield the runs that a call creates or changes; a feedback has no id, so it is not awaited."""
    if name in {"batch_ingest_runs", "multipart_ingest"}:
        for runs in (*arguments[:2], options.get("create"), options.get("update")):
            yield from (run for run in runs or () if isinstance(run, Mapping))
    elif name == "create_feedback":
        yield {"trace_id": options.get("trace_id")}
    elif name == "update_run":
        yield {"id": arguments[0] if arguments else options.get("run_id"), **options}
    else:
        yield options


def _note(client: Any, run: Mapping[str, Any], *, created: bool) -> None:
    run_id = _read_id(run.get("id"))
    trace_id = _read_id(run.get("trace_id")) or run_id
    owner = find_owner(trace_id) if trace_id else None
    if not run_id:
        return
    address = str(getattr(client, "api_url", ""))
    if address not in dict(_open):
        if created and _open:
            notes = _open[-1][1]
            notes.count(notes.elsewhere, urlsplit(address).netloc.rpartition("@")[2])
    elif owner is not None and not getattr(client, "tracing_sample_rate", None):
        owner.expect(run_id, _Flush(client), ended=run.get("end_time") is not None)


def _read_id(value: Any) -> str:
    return read_trace_id(None if value is None else str(value))


@dataclass(frozen=True, slots=True)
class _Flush:
    """Has a client send its queue; equal for one client, so that it is flushed once."""

    client: Any

    def __call__(self, timeout_s: float) -> None:
        with suppress(Exception):
            try:
                self.client.flush(timeout=timeout_s)
            except TypeError:  # of a release whose method has no time limit
                self.client.flush()
