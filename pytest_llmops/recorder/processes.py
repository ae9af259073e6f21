"""
Connections of child processes and of native code, as the system lists them (Linux).

What such a process sends cannot be read. Its connections are compared before and after a case: of a new one
that Python did not open itself, the destination is known.
"""

from __future__ import annotations

import os
import re
import resource
import socket
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, NamedTuple

from pytest_llmops.recorder.native import may_connect

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_COUNTS = Path("/proc/self/net/snmp")
UNKNOWN = "unknown (a child process, or native code)"
_CALLS = (
    "connect",
    "sendto",
    "sendmsg",
    "system",
    "posix_spawn",
    "fork",
    "execve",
)  # of the system, by ctypes
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


class Connection(NamedTuple):
    """A line of the system's table; `inode` is 0 of one that its owner has closed."""

    local: str
    remote: str
    port: int
    inode: int


@dataclass(slots=True, eq=False)
class Watch:
    """
    Finds the connections that others than Python open during a case: child processes and native code.

    The system counts connections. Where it counted more than Python opened, its table of them is compared
    with the one before; that takes milliseconds to read, so that it is read for no other case.

    Attributes:
        children: How many processes were started while it was open.
        requests: How many requests were looked at; another event loop may have opened their connections.
        asked: Host and port of these.
    """

    children: int = 0
    requests: int = 0
    asked: set[tuple[str, int]] = field(default_factory=set)
    _opens: int = 0
    _faults: int = 0
    _before: frozenset[tuple[str, str, int]] = frozenset()
    _opened: Counter[tuple[str, int]] = field(default_factory=Counter)

    def begin(self) -> None:
        self._opens, self._faults = _count_foreign(), _count_faults()
        if may_connect():
            self._look()
        _open.append(self)

    def note_other(self, *, is_child: bool) -> None:
        """Note a process that is about to start, or native code that is about to be loaded."""
        if not self._before:
            self._look()
        self.children += is_child

    def note_opened(self, address: str, port: int) -> None:
        """Note a connection that Python opened, which was looked at or named where it was."""
        self._opened[_plain(address), port] += 1

    def end(self) -> Counter[str]:
        """Count the connections that nobody looked at, by destination."""
        _open.remove(self)
        if not self.children and self._faults == _count_faults() and not may_connect():
            return Counter()
        more = _count_foreign() - self._opens
        if more <= 0:
            return Counter()
        new = [one for one in _list_connections() if (one.local, one.remote, one.port) not in self._before]
        owned = set(_list_sockets()) if any(one.inode for one in new) else set()
        # One that is over belongs to nobody any more.
        unseen = Counter((one.remote, one.port) for one in new if not one.inode or one.inode in owned)
        unseen -= self._opened
        for address in self._addresses_asked() if unseen else ():
            unseen.pop(address, None)
        if not unseen and more > self.requests:
            return Counter({UNKNOWN: more - self.requests})  # closed by the other side, so nothing is left
        return Counter({f"{host}:{port}": count for (host, port), count in unseen.items()})

    def _look(self) -> None:
        self._before = frozenset((one.local, one.remote, one.port) for one in _list_connections())

    def _addresses_asked(self) -> Iterator[tuple[str, int]]:
        for host, port in self.asked:
            with suppress(OSError):
                for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                    yield _plain(str(entry[4][0])), port


_open: list[Watch] = []
_python = {"opens": 0}


def note_opened(address: str, port: int) -> None:
    """Note a connection that Python opens."""
    _python["opens"] += 1
    for watch in _open:
        watch.note_opened(address, port)


def note_asked(host: str, ports: Iterable[int]) -> None:
    """Note a request that was looked at, and the ports that it may go to."""
    for watch in _open:
        watch.requests += 1
        watch.asked.update((host, port) for port in ports)


def note_event(event: str, arguments: tuple[Any, ...]) -> None:
    """Note an audit event by which a process is started, or native code is loaded or called."""
    is_child = event in _STARTS or (event == "ctypes.dlsym" and arguments[1] in _CALLS)
    if is_child or (event == "import" and str(arguments[1] or "").endswith(".so")):
        for watch in _open:
            watch.note_other(is_child=is_child)


def _plain(address: str) -> str:
    with suppress(ValueError):
        return str(_unmapped(ip_address(address.partition("%")[0])))
    return address


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


def _count_foreign() -> int:
    """Count the connections that this machine ever opened, to itself too, without those of this Python."""
    with suppress(OSError, ValueError, StopIteration):
        names, values = (
            line.split() for line in _COUNTS.read_text("ascii").splitlines() if line.startswith("Tcp:")
        )
        return int(values[names.index("ActiveOpens")]) - _python["opens"]
    return -_python["opens"]  # nobody counts


def _count_faults() -> int:
    """A number that grows with every child process that has ended, however it was started."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt


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


def _list_sockets() -> Iterator[int]:
    """Yield the inodes of the sockets of this process and of its descendants."""
    for process in _list_processes(os.getpid()):
        folder = f"/proc/{process}/fd"
        with suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208 - thousands of Path objects are slow
                with suppress(OSError):
                    target = os.readlink(f"{folder}/{name}")  # noqa: PTH115
                    if target.startswith("socket:["):
                        yield int(target[8:-1])


def _list_processes(root: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        with suppress(OSError, ValueError, IndexError):
            status = Path(f"/proc/{name}/stat").read_bytes()
            children[int(status.rpartition(b")")[2].split()[1])].append(int(name))
    waiting = [root]
    while waiting:
        yield (process := waiting.pop())
        waiting += children.get(process, ())
