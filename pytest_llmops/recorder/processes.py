"""
Connections that no seam sees: of child processes, of native code, and those that were open before the case.

What is sent on them cannot be read. The system's list of connections is compared before and after a case: of
each on which something was sent by then, the destination is known.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pytest_llmops.recorder.native import may_connect, note_loaded, note_looked_up
from pytest_llmops.recorder.sockets import Connection, count_opens, list_connections, own_sockets, sent_on
from pytest_llmops.recorder.threads import start_outside

_SHORTEST_PAUSE_S = 0.01
_NEW_S, _UNNEEDED_S = 0.5, 0.05
_SHARE, _SHARE_OF_OLD = 4, 16  # pauses are so many times as long as a look, at children of earlier cases too
_MOST_NAMES = _MOST_CLOSED = 10_000
_MOST_FACTS = 2_048  # bytes of a process' line
_CONNECTS = frozenset({"connect", "sendto", "sendmsg", "syscall"})
_BEGINS = frozenset({"system", "posix_spawn", "fork", "execve"})
"""Functions of the system that `ctypes` may be asked for."""
_STARTS = frozenset({
    "subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn", "os.exec",
    "pty.spawn",
})  # fmt: skip
_MARK = "PYTEST_LLMOPS_PROCESS"  # an environment variable, by which a process that lost its parent is found

Place = tuple[str, int]

_names: dict[str, str] = {}
"""Address to the name that it was found by; the threads of an app write here."""


@dataclass(slots=True, eq=False)
class Watch:
    """
    Finds the connections on which others than the seams send something during a case.

    While a child process or native code may open any, the system's list is looked at again and again, for
    nothing is left of one that is closed.

    Attributes:
        children: How many processes were started while it was open.
        opens: Connections that this machine had opened when it began.
    """

    children: int = 0
    opens: int = 0
    _before: dict[int, Connection] = field(default_factory=dict)
    _charged: set[int] = field(default_factory=set)
    _unseen: dict[int, Connection] = field(default_factory=dict)

    @property
    def looks(self) -> bool:
        return self.children > 0 or _state.has_children or may_connect()

    def begin(self) -> None:
        _open.append(self)
        if self.looks or own_sockets() - _state.harmless:
            self._before = list_connections()
        if self.looks:
            self.note_other(is_child=False)

    def note_other(self, *, is_child: bool) -> None:
        """Note a process that is about to start, or native code that is about to be loaded."""
        self.children += is_child
        self.opens = self.opens or count_opens()[0]
        _begin_to_look()

    def note_opened(self, opened: Any) -> None:
        """Note a connection that the case is charged with already."""
        if (inode := inode_of(opened)) is not None:
            self._charged.add(inode)

    def note_closed(self, inode: int, opened: Any) -> None:
        """Note a connection that is about to be closed, of which nothing will be left."""
        known = self._before.get(inode)
        if known is not None and (sent := sent_on(opened)) > known.sent:
            self.take([replace(known, sent=sent)])

    def take(self, connections: Iterable[Connection]) -> None:
        """Take the connections that this process and its children have now."""
        for one in connections:
            if one.inode not in _state.looked and one.inode not in self._charged and self.has_sent(one):
                self._unseen[one.inode] = one

    def has_sent(self, one: Connection) -> bool:
        """Return whether something was sent on a connection, or it was opened, since this began."""
        before = self._before.get(one.inode)
        if before is not None:
            return one.sent > before.sent
        return one.sent > 0 or not (one.was_accepted or one.inode in _state.named)

    def end(self) -> list[Place]:
        """Return address and port of each connection that nobody looked at."""
        try:
            if self.looks or own_sockets() - _state.harmless:
                _take([self])
        finally:
            if self in _open:
                _open.remove(self)
        return [(one.remote, one.port) for one in tuple(self._unseen.values())]


@dataclass(slots=True)
class _Sockets:
    """
    What is known of sockets and processes, over all cases.

    Attributes:
        looked: Inodes of those on which a seam sees what is sent, or whose sender is no app; some are closed.
        named: Inodes of the others that Python opened; some are closed.
        harmless: Inodes of those that go to this machine or nowhere, and of `looked`.
        has_children: This process may have child processes.
    """

    looked: set[int] = field(default_factory=set)
    harmless: set[int] = field(default_factory=set)
    named: set[int] = field(default_factory=set)
    has_children: bool = False


_open: list[Watch] = []
_state = _Sockets()
_looking = threading.Lock()


def begin_to_watch() -> None:
    """Mark the processes that are started from now on, and find those that run."""
    _state.has_children = any(True for _ in _list_processes(os.getpid()))
    os.environ[_MARK] = str(os.getpid())


def stop_watching() -> None:
    os.environ.pop(_MARK, None)


def note_looked(opened: Any) -> None:
    """Note a socket on which a seam sees all that is sent."""
    if (inode := inode_of(opened)) is not None:
        _state.named.discard(inode)
        _add(_state.looked, inode)
        _state.harmless.add(inode)


def note_unread(opened: Any) -> None:
    """Note a socket on which a seam does not see any more what is sent."""
    if (inode := inode_of(opened)) is not None:
        _state.looked.discard(inode)
        _add(_state.named, inode)
        _state.harmless.discard(inode)


def _add(inodes: set[int], inode: int) -> None:
    if len(inodes) > _MOST_CLOSED:
        inodes &= own_sockets()
    inodes.add(inode)


def note_closing(opened: Any) -> None:
    """Note a socket of Python that is about to be closed or shut down, after which it may be in no list."""
    if _open and (inode := inode_of(opened)) is not None and inode not in _state.harmless:
        for watch in tuple(_open):
            watch.note_closed(inode, opened)


def inode_of(opened: Any) -> int | None:
    """Return the inode of a socket; None of one that is closed, or is none."""
    try:
        return os.fstat(opened.fileno()).st_ino
    except (OSError, ValueError, AttributeError):
        return None


def name_of(address: str) -> str:
    """Return the name that an address was found by; the address where there is none."""
    return _names.get(address, address)


def note_name(address: str, name: str) -> None:
    if len(_names) > _MOST_NAMES:
        _names.clear()
    _names[address] = name


def _begin_to_look() -> None:
    """Start the one thread that looks, unless it runs."""
    if _looking.acquire(blocking=False):
        start_outside(threading.Thread(target=_look_on, name="llmops-connections", daemon=True))


def _look_on() -> None:
    pause_s, opens, opened_at = _SHORTEST_PAUSE_S, 0, 0.0
    try:
        while True:
            time.sleep(pause_s)
            if not _open:
                return
            if not (watches := [watch for watch in _open[:] if watch.looks]):
                pause_s = _UNNEEDED_S
                continue
            started, pause_s = time.thread_time(), _SHORTEST_PAUSE_S
            if (counted := count_opens()[0]) != opens:
                opens, opened_at = counted, time.monotonic()
            if time.monotonic() - opened_at < _NEW_S:  # a connection that was there before was seen
                _look(watches)
                share = _SHARE if may_connect() or any(watch.children for watch in watches) else _SHARE_OF_OLD
                pause_s = max(pause_s, share * (time.thread_time() - started))
    finally:
        _looking.release()
        if any(watch.looks for watch in tuple(_open)):  # one that began meanwhile
            _begin_to_look()


def _look(watches: Sequence[Watch]) -> None:
    if count_opens()[0] > min(watch.opens for watch in watches):  # else nobody opened any
        _take(watches)


def _take(watches: Sequence[Watch]) -> None:
    sockets = own_sockets()
    connections = list_connections()
    used = [one for inode, one in connections.items() if inode in sockets]
    others = [one for inode, one in connections.items() if inode not in sockets]  # children inherit ours
    if any(watch.looks and watch.has_sent(one) for watch in watches for one in others):
        inodes = _list_inodes()
        used += [one for one in others if one.inode in inodes]
    for watch in watches:
        watch.take(used)
    unknown = (sockets & connections.keys()) - _state.looked
    _state.harmless = sockets - unknown - _state.named


def _list_inodes() -> set[int]:
    """Return the inodes of the sockets of child processes."""
    children = list(_list_processes(os.getpid()))
    if not children and not any(watch.children for watch in _open):
        _state.has_children = False
    return {inode for process in children for inode in _list_sockets(process)}


def note_child() -> None:
    """Note a process that is about to start."""
    _state.has_children = True
    for watch in tuple(_open):
        watch.note_other(is_child=True)


def note_event(event: str, arguments: tuple[Any, ...]) -> None:
    """Note an audit event by which a process is started, or native code is loaded or called."""
    function = arguments[1] if event == "ctypes.dlsym" else None
    if event in _STARTS or function in _BEGINS:
        note_child()
    elif function in _CONNECTS:
        note_looked_up()
        _look_from_now()
    elif event == "ctypes.dlopen" or (event == "import" and str(arguments[1] or "").endswith(".so")):
        note_loaded()
        _look_from_now()


def _look_from_now() -> None:
    for watch in tuple(_open):
        watch.note_other(is_child=False)


def _list_sockets(process: int) -> Iterator[int]:
    """Yield the inodes of the sockets of a process."""
    folder = f"/proc/{process}/fd"
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - thousands of Path objects are slow
            with suppress(OSError):
                target = os.readlink(f"{folder}/{name}")  # noqa: PTH115
                if target.startswith("socket:["):
                    yield int(target[8:-1])


def _list_processes(root: int) -> Iterator[int]:
    """Yield the descendants of a process, then those that it started and whose parent is over."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    began: dict[int, int] = {}
    numbers: list[str] = []
    with suppress(OSError):  # on another system
        numbers = list(filter(str.isdecimal, os.listdir("/proc")))  # noqa: PTH208
    for name in numbers:
        with suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{name}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - as above
                facts = file.read(_MOST_FACTS).rpartition(b")")[2].split(maxsplit=20)
            children[int(facts[1])].append(int(name))
            began[int(name)] = int(facts[19])
    found, waiting = {root}, [root]
    while waiting:
        further = children.get(waiting.pop(), [])
        yield from further
        found.update(further)
        waiting += further
    mark = b"\0%s=%d\0" % (_MARK.encode(), root)
    for process, at in began.items():
        if process not in found and at >= began.get(root, 0) and _is_marked(process, at, mark):
            yield process


@lru_cache(maxsize=10_000)
def _is_marked(process: int, _began: int, mark: bytes) -> bool:
    """Return whether a process inherited the mark; it is known by its start, since numbers are used again."""
    with suppress(OSError):
        return mark in b"\0" + Path(f"/proc/{process}/environ").read_bytes()
    return False
