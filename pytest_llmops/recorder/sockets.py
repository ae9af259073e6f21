"""
Connections of this machine to others, and how much was sent on each, as the system lists them (Linux).

The kernel answers any process by `sock_diag` (man 7 sock_diag); where it may not be asked, the table in
`/proc` has the connections without what was sent.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

_Socket = socket.socket  # before somebody replaces it to keep tests from the network
_COUNTS = Path("/proc/self/net/snmp")
_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_LINE = re.compile(
    r" *\d+: (?P<here>[0-9A-F]+):(?P<at>[0-9A-F]{4}) (?P<there>[0-9A-F]+):(?P<port>[0-9A-F]{4}) "
    r"(?P<state>[0-9A-F]{2}) \S+ \S+ \S+ +\d+ +\d+ (?P<inode>\d+)"
)
_SOCK_DIAG = 4  # the protocol of AF_NETLINK; names and numbers are those of linux/inet_diag.h from here on
_BOTH_FAMILIES, _DONE, _ERROR = 18, 3, 2  # the first interface, which walks the kernel's table once for both
_REQUEST, _DUMP = 0x1, 0x300
_INFO = 2  # the attribute that is asked for, `struct tcp_info`
_ACKNOWLEDGED_AT = 120  # in `struct tcp_info`, of Linux 4.2 and later
_QUEUED_AT, _INODE_AT, _FACTS_AT = 60, 68, 72  # in `struct inet_diag_msg`
_NOBODY_ANSWERS = frozenset({
    errno.ENOENT, errno.EPERM, errno.EACCES, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP,
    errno.EINVAL,
})  # fmt: skip
_OVER, _LISTENS = 6, 10  # the first is TIME_WAIT, which has no inode, and servers under test leave thousands
_ENDED = (4, 5, 9, 11)  # FIN_WAIT1, FIN_WAIT2, LAST_ACK, CLOSING: this side sends nothing more
_STATES = 0xFFFFFFFF & ~(1 << _OVER)
_MOST_AT_ONCE = 1 << 18
_MAPPED = bytes(10) + b"\xff\xff"  # in front of an IPv4 address in an IPv6 one
_IPV4, _IPV6 = 4, 16  # bytes of an address
_kernel = {"answers": True}
_none_at: list[tuple[int, int]] = []  # what `count_opens` was when no connection to another machine was there


@dataclass(frozen=True, slots=True)
class Connection:
    """
    A connection to another machine.

    Attributes:
        inode: Of its socket, by which the processes that have it are found.
        sent: Bytes that were handed to the system so far; 0 where it does not say so.
        was_accepted: The other machine opened it.
    """

    inode: int
    remote: str
    port: int
    sent: int
    was_accepted: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the system's table, of any state and to any machine; addresses have four bytes or sixteen."""

    here: bytes
    at: int
    there: bytes
    port: int
    state: int
    inode: int
    sent: int = 0


def list_connections() -> dict[int, Connection]:
    """
    Return the connections to other machines by their inodes; none where the system lists none.

    For a list the kernel walks all of its table. So where there were none, it is asked again only after a
    connection was opened, to whatever machine, or accepted.
    """
    counted = count_opens()
    if [counted] == _none_at:
        return {}
    rows = list(_list_rows())
    served = {row.at for row in rows if row.state == _LISTENS}
    remote = [row for row in rows if _is_elsewhere(row, served)]
    _none_at[:] = [] if remote else [counted]
    return {
        row.inode: Connection(row.inode, str(ip_address(row.there)), row.port, row.sent, row.at in served)
        for row in remote
        if row.inode  # else it waits for the program that accepts it, or has ended
    }


def count_opens() -> tuple[int, int]:
    """
    Count the connections that this machine ever opened, and those that it accepted, to itself too.

    Where nobody counts, each call has more.
    """
    with suppress(OSError, ValueError, KeyError):
        titles, values = (
            line.split() for line in _COUNTS.read_text("ascii").splitlines() if line.startswith("Tcp:")
        )
        counts = dict(zip(titles, values, strict=False))
        return int(counts["ActiveOpens"]), int(counts["PassiveOpens"])
    return time.monotonic_ns(), 0


def own_sockets() -> set[int]:
    """Return the inodes of this process' sockets, of every kind."""
    inodes = set()
    with suppress(OSError):
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - read for each case
            with suppress(OSError):
                status = os.fstat(int(name))
                if stat.S_ISSOCK(status.st_mode):
                    inodes.add(status.st_ino)
    return inodes


def sent_on(opened: Any) -> int:
    """Return the bytes that were handed to a socket of Python; 0 where the system does not say so."""
    try:
        import fcntl
        import termios

        facts = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        queued = fcntl.ioctl(opened.fileno(), termios.TIOCOUTQ, bytes(4))
        return sent_of(facts, struct.unpack("=i", queued)[0])
    except (ImportError, AttributeError, OSError, ValueError):
        return 0


def sent_of(facts: bytes, queued: int) -> int:
    """
    Return the bytes that were handed to a connection.

    Args:
        facts: A `struct tcp_info`.
        queued: Bytes of its queue, which are not acknowledged yet.
    """
    if len(facts) < _ACKNOWLEDGED_AT + 8:
        return 0
    acknowledged: int = struct.unpack_from("=Q", facts, _ACKNOWLEDGED_AT)[0]
    return acknowledged + queued - 1 - (facts[0] in _ENDED)  # its start counts as one, and so does its end


def _is_elsewhere(row: _Row, served: set[int]) -> bool:
    if row.state == _LISTENS or _is_loopback(row.there):
        return False
    return row.at not in served or row.there != row.here  # else the near end of a connection to itself


def _list_rows() -> list[_Row]:
    if _kernel["answers"]:
        try:
            return list(_ask())
        except OSError as error:
            # A sandbox that has no such socket, or an old kernel.
            _kernel["answers"] = error.errno not in _NOBODY_ANSWERS
    return list(_read_tables())


def _ask() -> Iterator[_Row]:
    """
    Yield the rows of both families of addresses.

    Raises:
        OSError: The kernel does not answer.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no sock_diag")
    wanted = struct.pack("=xxxB48xII", 1 << (_INFO - 1), _STATES, 0)
    with _Socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        kernel.settimeout(1)
        kernel.send(struct.pack("=IHHII", 16 + len(wanted), _BOTH_FAMILIES, _REQUEST | _DUMP, 1, 0) + wanted)
        while True:
            answer, at = kernel.recv(_MOST_AT_ONCE), 0
            while at < len(answer):
                length, kind = struct.unpack_from("=IH", answer, at)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(-struct.unpack_from("=i", answer, at + 16)[0], "sock_diag")
                yield _read_row(answer[at + 16 : at + length])
                at += (length + 3) & ~3


def _read_row(message: bytes) -> _Row:
    size = _IPV4 if message[0] == socket.AF_INET else _IPV6
    at, port = struct.unpack_from(">HH", message, 4)
    here, there = (_unmapped(message[start : start + size]) for start in (8, 24))
    queued, inode = (struct.unpack_from("=I", message, place)[0] for place in (_QUEUED_AT, _INODE_AT))
    sent, place = 0, _FACTS_AT
    while place + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, place)
        if kind == _INFO:
            sent = sent_of(message[place + 4 : place + length], queued)
        place += max(4, (length + 3) & ~3)
    return _Row(here, at, there, port, message[1], inode, sent)


def _read_tables() -> Iterator[_Row]:
    for table in _TABLES:
        with suppress(OSError):
            for line in filter(None, map(_LINE.match, table.read_text("ascii").splitlines())):
                here, there = (_unmapped(_in_order(line[name])) for name in ("here", "there"))
                at, port, state = (int(line[name], 16) for name in ("at", "port", "state"))
                yield _Row(here, at, there, port, state, int(line["inode"]), sent=0)


def _in_order(digits: str) -> bytes:
    """The bytes of an address, which the kernel writes as words of 32 bits in the machine's order."""
    words = [bytes.fromhex(digits[at : at + 8]) for at in range(0, len(digits), 8)]
    return b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)


def _unmapped(address: bytes) -> bytes:
    """An IPv4 address as such, also where the socket is one of IPv6."""
    return address.removeprefix(_MAPPED) if len(address) > len(_MAPPED) else address


def _is_loopback(address: bytes) -> bool:
    """Return whether it is this machine, or none at all."""
    return address[:1] == b"\x7f" if len(address) == _IPV4 and any(address) else not any(address[:-1])
