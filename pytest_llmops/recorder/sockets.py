"""
Connections of this machine to others, and how much was sent on each, as the system lists them (Linux).

The kernel's `sock_diag` tells it to everybody (man 7 sock_diag); where it may not be asked, the table in
`/proc` has the connections without what was sent.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_LINE = re.compile(
    r" *\d+: (?P<here>[0-9A-F]+):(?P<at>[0-9A-F]{4}) (?P<there>[0-9A-F]+):(?P<port>[0-9A-F]{4}) "
    r"(?P<state>[0-9A-F]{2}) \S+ \S+ \S+ +\d+ +\d+ (?P<inode>\d+)"
)
_SOCK_DIAG = 4  # the protocol of AF_NETLINK; names and numbers are those of linux/inet_diag.h from here on
_BY_FAMILY, _DONE, _ERROR = 20, 3, 2
_REQUEST, _DUMP = 0x1, 0x300
_INFO = 2  # the attribute that is asked for, `struct tcp_info`
_SENT_AT, _SENT_AGAIN_AT = 200, 208  # bytes, of Linux 4.19 and later
_ALL_STATES = 0xFFFFFFFF
_LISTENS = 10
_MOST_AT_ONCE = 1 << 18
_MAPPED = bytes(10) + b"\xff\xff"  # in front of an IPv4 address in an IPv6 one
_IPV4, _IPV6 = 4, 16
_families = {
    socket.AF_INET: _IPV4,
    socket.AF_INET6: _IPV6,
}  # the bytes of an address; emptied where nobody answers


@dataclass(frozen=True, slots=True)
class Connection:
    """
    A connection to another machine.

    Attributes:
        inode: Of its socket, by which the processes that have it are found.
        sent: Bytes, each counted once; 0 where the system does not say so.
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
    """Return the connections to other machines by their inodes; none where the system lists none."""
    rows = list(_list_rows())
    served = {row.at for row in rows if row.state == _LISTENS}
    return {
        row.inode: Connection(row.inode, str(ip_address(row.there)), row.port, row.sent, row.at in served)
        for row in rows
        if row.inode and _is_elsewhere(row, served)
    }


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


def plain(address: str) -> str:
    """Return an address without its scope, and an IPv4 one as such."""
    with suppress(ValueError):
        found = ip_address(address.partition("%")[0])
        return str(getattr(found, "ipv4_mapped", None) or found)
    return address


def _is_elsewhere(row: _Row, served: set[int]) -> bool:
    if row.state == _LISTENS or _is_loopback(row.there):
        return False
    return row.at not in served or (row.there != row.here and row.sent > 0)  # this machine's end of its own


def _list_rows() -> Iterator[_Row]:
    for family, size in _families.copy().items():
        try:
            yield from _ask(family, size)
        except OSError:  # a sandbox that has no such socket, or an old kernel
            _families.clear()
            break
    if not _families:
        yield from _read_tables()


def _ask(family: int, size: int) -> Iterator[_Row]:
    """
    Yield the rows of a family of addresses.

    Raises:
        OSError: The kernel does not answer.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError("this system has no sock_diag")
    wanted = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _ALL_STATES)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        kernel.settimeout(1)
        kernel.send(struct.pack("=IHHII", 16 + len(wanted), _BY_FAMILY, _REQUEST | _DUMP, 1, 0) + wanted)
        while True:
            answer, at = kernel.recv(_MOST_AT_ONCE), 0
            while at < len(answer):
                length, kind = struct.unpack_from("=IH", answer, at)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(-struct.unpack_from("=i", answer, at + 16)[0], "sock_diag")
                yield _read_row(answer[at + 16 : at + length], size)
                at += (length + 3) & ~3


def _read_row(message: bytes, size: int) -> _Row:
    at, port = struct.unpack_from(">HH", message, 4)
    here, there = (_unmapped(message[start : start + size]) for start in (8, 24))
    (inode,) = struct.unpack_from("=I", message, 68)
    sent, place = 0, 72
    while place + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, place)
        if kind == _INFO and length >= 4 + _SENT_AGAIN_AT + 8:
            first, again = struct.unpack_from("=QQ", message, place + 4 + _SENT_AT)
            sent = first - again
        place += max(4, (length + 3) & ~3)
    return _Row(here, at, there, port, message[1], inode, sent)


def _read_tables() -> Iterator[_Row]:
    for table in _TABLES:
        with suppress(OSError):
            for line in filter(None, map(_LINE.match, table.read_text("ascii").splitlines())):
                here, there = (_unmapped(_in_order(line[name])) for name in ("here", "there"))
                at, port, state = (int(line[name], 16) for name in ("at", "port", "state"))
                # Whether anything was sent is not known here, and not seen is never good.
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
