"""
Runs of this process' LangSmith clients, by the case that begins them.

A client sends from its own threads, some time later, so the case of a trace is noted where a run is
created, and the case waits for its runs. The class is changed for as long as a receiver is open.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.features.receive.server import Notes
from pytest_llmops.traces.capture import find_owner
from pytest_llmops.traces.decoding.values import read_trace_id
from pytest_llmops.traces.langsmith_environment import own_clients

_METHODS = ("create_run", "update_run", "batch_ingest_runs", "multipart_ingest", "create_feedback")
_MODULES = ("utils", "client", "run_trees", "run_helpers")

_lock = threading.Lock()
_open: list[tuple[str, Notes]] = []
_changed: list[tuple[type, str, Any, Any]] = []
_client_before: list[Any] = []


def install(url: str, notes: Notes) -> None:
    """Listen to the clients from now on; where LangSmith is not installed there are none."""
    if find_spec("langsmith") is None:
        return
    from langsmith import Client, run_trees

    with _lock:
        _open.append((url, notes))
        _client_before.append(run_trees._CLIENT)  # noqa: SLF001 - it keeps the address that it was made with
        run_trees._CLIENT = None  # noqa: SLF001
        forget_environment()
        for name in _METHODS if not _changed else ():
            if original := Client.__dict__.get(name):
                ours = _noting(name, original)
                setattr(Client, name, ours)
                _changed.append((Client, name, original, ours))


def uninstall(url: str) -> None:
    """Put back what was there; to be called once the environment is what it was."""
    with _lock:
        if url not in {each for each, _ in _open}:
            return
        from langsmith import run_trees

        _open[:] = [each for each in _open if each[0] != url]
        run_trees._CLIENT = _client_before.pop()  # noqa: SLF001 - as above
        forget_environment()
        for changed, name, original, ours in _changed if not _open else ():
            if changed.__dict__.get(name) is ours:  # somebody who came later keeps his own
                setattr(changed, name, original)
        if not _open:
            _changed.clear()


def forget_environment() -> None:
    """Have LangSmith read its environment variables anew: it remembers them for ever."""
    for module in filter(None, (sys.modules.get(f"langsmith.{name}") for name in _MODULES)):
        for each in tuple(vars(module).values()):
            if callable(forget := getattr(each, "cache_clear", None)):
                forget()


def _noting(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def method(self: Any, *arguments: Any, **options: Any) -> Any:
        for run in _runs_of(name, arguments, options):
            _note(self, run, created=name != "update_run")
        return original(self, *arguments, **options)

    return method


def _runs_of(
    name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """The runs that a call creates or changes; a feedback is one of which nothing is awaited."""
    if name in {"batch_ingest_runs", "multipart_ingest"}:
        for each in (*arguments[:2], options.get("create"), options.get("update")):
            yield from (run for run in each or () if isinstance(run, Mapping))
    elif name == "create_feedback":
        yield {"trace_id": options.get("trace_id")}
    elif name == "update_run":
        yield {"id": arguments[0] if arguments else options.get("run_id"), **options}
    else:
        yield options


def _note(client: Any, run: Mapping[str, Any], *, created: bool) -> None:
    if client in own_clients:
        return
    trace_id = read_trace_id(_as_text(run.get("trace_id") or run.get("id")))
    owner = find_owner(trace_id) if trace_id else None
    notes = dict(_open)
    address = str(getattr(client, "api_url", ""))
    run_id = read_trace_id(_as_text(run.get("id")))
    if run_id and address not in notes:
        for _, each in _open[-1:] if created else ():
            each.count(each.elsewhere, urlsplit(address).netloc.rpartition("@")[2])
    elif run_id and owner is not None and not getattr(client, "tracing_sample_rate", None):
        owner.expect(run_id, _Flush(client), ended=run.get("end_time") is not None)


@dataclass(frozen=True, slots=True)
class _Flush:
    """Has a client send what it holds back; one that cannot is waited for no longer than another."""

    client: Any

    def __call__(self, timeout_s: float) -> None:
        with suppress(Exception):
            try:
                self.client.flush(timeout=timeout_s)
            except TypeError:  # of a release whose method has no time limit
                self.client.flush()


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)
