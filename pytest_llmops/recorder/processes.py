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
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

from pytest_llmops.recorder.native import may_connect

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_COUNTS = Path("/proc/self/net/snmp")
UNKNOWN = "unknown (a child process)"
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
    Compares the connections of this machine before and after a case in which others than Python may connect.

    The system's table takes milliseconds to read, so that it is not read for any other case.

    Attributes:
        children: How many processes were started while it was open.
        asked: Host and port of the requests that were looked at.
    """

    children: int = 0
    asked: set[tuple[str, int]] = field(default_factory=set)
    _opens: int = 0
    _before: frozenset[tuple[str, str, int]] | None = None
    _opened: Counter[tuple[str, int]] = field(default_factory=Counter)

    def begin(self) -> None:
        if may_connect():
            self.look()
        _open.append(self)

    def look(self) -> None:
        """Note which connections there are, unless that was done."""
        if self._before is None:
            self._before = frozenset((one.local, one.remote, one.port) for one in _list_connections())
            self._opens = _count_opens() - _python["opens"]

    def end(self) -> Counter[str]:
        """Count the connections that nobody looked at, by destination."""
        _open.remove(self)
        if not self.children and not may_connect():
            return Counter()
        before = self._before or frozenset()
        new = [one for one in _list_connections() if (one.local, one.remote, one.port) not in before]
        owned = set(_list_sockets()) if any(one.inode for one in new) else set()
        # One that is over belongs to nobody any more.
        unseen = Counter((one.remote, one.port) for one in new if not one.inode or one.inode in owned)
        unseen -= self._opened
        for address in self._addresses_asked() if unseen else ():
            unseen.pop(address, None)
        found = Counter({f"{host}:{port}": count for (host, port), count in unseen.items()})
        if self.children and not found and (more := _count_opens() - _python["opens"] - self._opens) > 0:
            found[UNKNOWN] = more  # over, and closed by the other side, so that nothing is left of it
        return found

    def note_opened(self, address: str, port: int) -> None:
        """Note a connection that Python opened, which was looked at or named where it was."""
        self._opened[_plain(address), port] += 1

    def _addresses_asked(self) -> Iterator[tuple[str, int]]:
        """Yield the addresses of requests that were looked at: another event loop may have opened them."""
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


def note_asked(host: str, port: int) -> None:
    """Note a request that was looked at."""
    for watch in _open:
        watch.asked.add((host, port))


def note_event(event: str) -> None:
    """Note an audit event by which a process is started."""
    if event in _STARTS:
        for watch in _open:
            watch.look()
            watch.children += 1


def _plain(address: str) -> str:
    with suppress(ValueError):
        return str(_unmapped(ip_address(address.partition("%")[0])))
    return address


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


def _count_opens() -> int:
    """Count the connections that were ever opened from this machine, to itself too; 0 if nobody counts."""
    with suppress(OSError, ValueError, StopIteration):
        names, values = (
            line.split() for line in _COUNTS.read_text("ascii").splitlines() if line.startswith("Tcp:")
        )
        return int(values[names.index("ActiveOpens")])
    return 0


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
