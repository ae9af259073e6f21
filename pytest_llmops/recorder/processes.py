"""
Connections of child processes and of native code, as the system lists them (Linux).

What such a process sends cannot be read. Its connections are compared before and after a case: of a new one
that Python did not open itself, the destination is known.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

from pytest_llmops.recorder.native import may_connect, note_loaded
from pytest_llmops.recorder.threads import start_outside

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_COUNTS = Path("/proc/self/net/snmp")
_SHORTEST_PAUSE_S = 0.01
_MOMENT_S = 0.05
_NEW_S, _UNNEEDED_S = 0.5, 0.05
_SHARE = 4  # pauses are so many times as long as a look
_CALLS = frozenset({"connect", "sendto", "sendmsg", "system", "posix_spawn", "fork", "execve"})
"""Functions of the system that `ctypes` may be asked for."""
_STARTS = frozenset({
    "subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn", "os.exec",
    "pty.spawn",
})  # fmt: skip
_LISTENED = re.compile(r"^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A ", re.MULTILINE)
# Lines whose other end is this machine are most of a busy table, and are skipped without a look at the rest.
_TO_OTHERS = re.compile(
    r" *\d+: (?P<local>[0-9A-F]+:[0-9A-F]{4}) (?!0100007F:|0{24}|0{16}FFFF00000100007F:|0{8}:)"
    r"(?P<remote>[0-9A-F]+):(?P<port>[0-9A-F]{4}) \S+ \S+ \S+ \S+ +\d+ +\d+ (?P<inode>\d+)"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """A line of the system's table; `inode` is 0 of one that its owner has closed."""

    local: str
    remote: str
    port: int
    inode: int = field(compare=False)


@dataclass(slots=True, eq=False)
class Watch:
    """
    Finds the connections that others than Python open during a case: child processes and native code.

    While there may be any, the system's table of connections is looked at again and again, for nothing is
    left of one that is closed.

    Attributes:
        children: How many processes were started while it was open.
        asked: Host and port of requests that were looked at; another event loop may have opened these.
        opens: Connections that this machine had opened when it began.
    """

    children: int = 0
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    opens: int = 0
    _before: frozenset[Connection] | None = None
    _own: set[Connection] = field(default_factory=set)
    _of_children: set[Connection] = field(default_factory=set)
    _opened: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def looks(self) -> bool:
        return self._before is not None and (self.children > 0 or may_connect())

    def begin(self) -> None:
        _open.append(self)
        if may_connect():
            self.note_other(is_child=False)

    def note_other(self, *, is_child: bool) -> None:
        """Note a process that is about to start, or native code that is about to be loaded."""
        self.children += is_child
        if self._before is None:
            self.opens, self._before = _count_opens(), _list_lately()
        _begin_to_look()

    def note_opened(self, address: str, port: int) -> None:
        """Note a connection that Python opened, which was looked at or named where it was."""
        self._opened[_plain(address), port] += 1

    def take(self, own: Iterable[Connection], of_children: Iterable[Connection]) -> None:
        """Take the connections that this process and its children have now."""
        before = self._before or frozenset()
        self._own.update(one for one in own if one not in before)
        self._of_children.update(one for one in of_children if one not in before)

    def end(self) -> Counter[str]:
        """Count the connections that nobody looked at, by destination."""
        if self.looks:
            _look([self])
        if self in _open:
            _open.remove(self)
        own: Counter[tuple[str, int]] = Counter()
        if self._own and may_connect():
            own = Counter((one.remote, one.port) for one in tuple(self._own)) - self._opened
            own -= self._count_asked() if own else Counter()
        unseen = own + Counter((one.remote, one.port) for one in tuple(self._of_children))
        return Counter({f"{host}:{port}": count for (host, port), count in unseen.items()})

    def _count_asked(self) -> Counter[tuple[str, int]]:
        """Count the requests that were looked at, by address: another event loop may have opened these."""
        counts: Counter[tuple[str, int]] = Counter()
        for (host, port), count in self.asked.items():
            with suppress(OSError):
                entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                counts.update({(_plain(str(entry[4][0])), port): count for entry in entries})
        return counts


@dataclass(slots=True)
class _Lately:
    """The connections when they were last listed, by the monotonic clock."""

    at: float = -_MOMENT_S
    known: frozenset[Connection] = frozenset()


_open: list[Watch] = []
_lately = _Lately()
_looking = threading.Lock()


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
            if (counted := _count_opens()) != opens:
                opens, opened_at = counted, time.monotonic()
            if time.monotonic() - opened_at < _NEW_S:  # a connection that was there before was seen
                _look(watches)
                pause_s = max(pause_s, _SHARE * (time.thread_time() - started))
    finally:
        _looking.release()


def _look(watches: Sequence[Watch]) -> None:
    if _count_opens() <= min(watch.opens for watch in watches):
        return  # nobody opened any
    connections = [one for one in _list_connections() if one.inode]
    if not connections:
        return
    here, *children = _list_processes(os.getpid())
    sockets = set(_list_sockets(here))
    inodes = {inode for child in children for inode in _list_sockets(child)} - sockets  # they inherit ours
    own = [one for one in connections if one.inode in sockets]
    of_children = [one for one in connections if one.inode in inodes]
    for watch in watches:
        watch.take(own, of_children)


def note_opened(address: str, port: int) -> None:
    """Note a connection that Python opens."""
    for watch in tuple(_open):
        watch.note_opened(address, port)


def note_asked(host: str, ports: Iterable[int]) -> None:
    """Note a request that was looked at, and the ports that it may go to."""
    for watch in tuple(_open):
        watch.asked.update((host, port) for port in ports)


def note_child() -> None:
    """Note a process that is about to start."""
    for watch in tuple(_open):
        watch.note_other(is_child=True)


def note_event(event: str, arguments: tuple[Any, ...]) -> None:
    """Note an audit event by which a process is started, or native code is loaded or called."""
    is_child = event in _STARTS or (event == "ctypes.dlsym" and arguments[1] in _CALLS)
    is_loaded = event == "import" and str(arguments[1] or "").endswith(".so")
    if is_loaded:
        note_loaded()
    if is_child or is_loaded:
        for watch in tuple(_open):
            watch.note_other(is_child=is_child)


def _plain(address: str) -> str:
    with suppress(ValueError):
        return str(_unmapped(ip_address(address.partition("%")[0])))
    return address


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


def _count_opens() -> int:
    """Count the connections that this machine ever opened, to itself too; more each time if nobody counts."""
    with suppress(OSError, ValueError, StopIteration):
        names, values = (
            line.split() for line in _COUNTS.read_text("ascii").splitlines() if line.startswith("Tcp:")
        )
        return int(values[names.index("ActiveOpens")])
    return time.monotonic_ns()


def _list_lately() -> frozenset[Connection]:
    """The connections of now, or of a moment ago: many cases begin at once."""
    if time.monotonic() - _lately.at > _MOMENT_S:
        _lately.known, _lately.at = frozenset(_list_connections()), time.monotonic()
    return _lately.known


def _list_connections() -> Iterator[Connection]:
    """Yield the connections to other machines; none where the system has no such table."""
    text = ""
    for table in _TABLES:
        with suppress(OSError):
            text += table.read_text("ascii")
    served = set(_LISTENED.findall(text))
    for line in filter(None, map(_TO_OTHERS.match, text.splitlines())):
        remote = _unmapped(_read_address(line["remote"]))
        if not (remote.is_loopback or remote.is_unspecified or line["local"].partition(":")[2] in served):
            yield Connection(line["local"], str(remote), int(line["port"], 16), int(line["inode"]))


def _read_address(digits: str) -> IPv4Address | IPv6Address:
    """Read an address, which the kernel writes as words of 32 bits in the machine's order."""
    words = [bytes.fromhex(digits[at : at + 8]) for at in range(0, len(digits), 8)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return ip_address(b"".join(words))


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
    """Yield a process, then its descendants."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        with suppress(OSError, ValueError, IndexError):
            status = Path(f"/proc/{name}/stat").read_bytes()
            children[int(status.rpartition(b")")[2].split()[1])].append(int(name))
    waiting = [root]
    while waiting:
        yield (process := waiting.pop())
        waiting += children.get(process, ())
