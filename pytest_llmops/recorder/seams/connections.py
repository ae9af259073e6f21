"""Connections that no seam saw: their destination alone is known, by the audit events of Python's sockets."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder import processes
from pytest_llmops.recorder.egress import is_listening, is_of_seam, leaves_machine, note_connection
from pytest_llmops.recorder.identity import is_loopback
from pytest_llmops.recorder.patches import Change

LIBRARIES = ()
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_state = {"listens": False}


def find_clients() -> Iterator[Change]:
    """Yield the function that looks names up, so that a connection's address has a name."""
    yield socket, "getaddrinfo", _remember
    for end in ("_real_close", "shutdown"):  # of sockets of `ssl` and of event loops too
        yield socket.socket, end, _note_closing
    if (starting := sys.modules.get("multiprocessing.util")) is not None:
        yield starting, "spawnv_passfds", _note_child  # which no audit event tells of


def _note_child(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def start(*args: Any, **options: Any) -> Any:
        processes.note_child()
        return original(*args, **options)

    return start


def _note_closing(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def end(self: socket.socket, *args: Any, **options: Any) -> Any:
        with suppress(Exception):  # it would come up in the app
            processes.note_closing(self)
        return original(self, *args, **options)

    return end


def _remember(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        found = original(host, *args, **options)
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        for entry in found if name else ():
            processes.note_name(str(entry[4][0]), name)
        return found

    return getaddrinfo


def listen() -> None:
    """Begin to hear of connections; Python offers no way back, so later calls do nothing."""
    if not _state["listens"]:
        _state["listens"] = True
        sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    try:
        _note(event, arguments)
    except CassetteError as error:  # what clients expect of a connection, so that they clean up
        raise ConnectionRefusedError(str(error)) from error
    except Exception:  # noqa: BLE001, S110 - it would come up in the app; what was sent shows at its end
        pass


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    processes.note_event(event, arguments)
    if event not in _EVENTS:
        return
    opened, address = arguments
    if getattr(opened, "family", None) not in _FAMILIES or not isinstance(address, tuple):
        return
    host, port = str(address[0]), int(address[1])
    if getattr(opened, "type", None) == socket.SOCK_STREAM and not is_loopback(host):
        (processes.note_looked if is_of_seam(host) else processes.note_unread)(opened)
    if is_listening() or leaves_machine(host):
        note_connection(host, port, processes.name_of(host), opened)
