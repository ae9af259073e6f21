"""The system's list of connections to other machines, asked of the kernel or read from its tables."""

from __future__ import annotations

import errno
import os
import socket
import sys
from contextlib import suppress
from dataclasses import replace

import pytest

from pytest_llmops.recorder import processes, sockets
from pytest_llmops.recorder.sockets import list_connections, own_sockets, sent_on
from tests.plugin.test_elsewhere import own_address
from tests.unit.recorder.asking import CASE, ask

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no list of connections is read elsewhere")


@pytest.fixture
def listener():
    with socket.create_server((own_address(), 0)) as listening:
        yield listening


def inode_of(opened: socket.socket) -> int:
    return os.fstat(opened.fileno()).st_ino


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_connection_is_listed_with_what_was_sent_on_it(listener: socket.socket, family: int):
    address, port = listener.getsockname()
    place = (address, port) if family == socket.AF_INET else (f"::ffff:{address}", port)
    with socket.socket(family) as opened:
        opened.connect(place)
        assert list_connections()[inode_of(opened)].sent == 0
        opened.sendall(b"x" * 700)
        listed = list_connections()[inode_of(opened)]

    assert (listed.remote, listed.port, listed.sent, listed.was_accepted) == (address, port, 700, False)
    assert listed.inode not in list_connections()


@pytest.mark.parametrize("is_read", [True, False])
def test_the_end_of_a_connection_is_nothing_sent(listener: socket.socket, *, is_read: bool):
    with socket.create_connection(listener.getsockname()) as opened, listener.accept()[0] as served:
        opened.sendall(b"x" * 700)
        opened.shutdown(socket.SHUT_WR)
        while is_read and served.recv(4096):
            pass
        assert list_connections()[inode_of(opened)].sent == sent_on(opened) == 700


def test_without_the_kernels_answer_the_tables_list_the_same(listener: socket.socket, monkeypatch):
    with socket.create_connection(listener.getsockname()) as opened:
        opened.sendall(b"x")
        asked = list_connections()[inode_of(opened)]
        monkeypatch.setattr(sockets, "_kernel", {"answers": False})
        read = list_connections()[inode_of(opened)]

    assert (read.inode, read.remote, read.port) == (asked.inode, asked.remote, asked.port)
    assert (asked.sent, read.sent) == (1, 0)


def test_a_kernel_that_does_not_answer_is_asked_once(monkeypatch):
    asked = []

    def refuse(*arguments: object) -> object:
        asked.append(arguments)
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(sockets, "_kernel", {"answers": True})
    monkeypatch.setattr(sockets, "_Socket", refuse)
    list_connections()
    list_connections()
    assert len(asked) == 1


def test_the_end_of_this_machines_own_server_is_not_listed(listener: socket.socket):
    with socket.create_connection(listener.getsockname()):
        served, _ = listener.accept()
        with served:
            served.sendall(b"hello")
            assert inode_of(served) not in list_connections()


def test_what_goes_to_this_machine_is_not_listed():
    with (
        socket.create_server(("127.0.0.1", 0)) as near,
        socket.create_connection(near.getsockname()) as opened,
    ):
        assert inode_of(opened) not in list_connections()
        assert {inode_of(near), inode_of(opened)} <= own_sockets()


def test_what_waits_in_a_queue_was_sent(listener: socket.socket):
    """The other end reads nothing, so that most of it stays here."""
    with socket.create_connection(listener.getsockname()) as opened:
        opened.settimeout(0)
        total = 0
        with suppress(BlockingIOError):
            while True:
                total += opened.send(b"x" * 100_000)
        assert list_connections()[inode_of(opened)].sent == sent_on(opened) == total


def test_what_was_accepted_is_listed_with_what_was_answered():
    row = sockets._Row(b"\xc0\x00\x02\x02", 80, b"\xc0\x00\x02\x07", 40_000, 1, 9, sent=3)
    assert sockets._is_elsewhere(row, {80})
    assert not sockets._is_elsewhere(replace(row, there=row.here), {80})


@pytest.mark.parametrize("step", ["begin", "end"])
def test_a_watch_that_breaks_loses_no_recording(recorder, client, server, monkeypatch, step: str):
    def break_down(_: processes.Watch) -> None:
        raise RuntimeError("no sockets here")

    monkeypatch.setattr(processes.Watch, step, break_down)
    new = recorder()
    with new.recording(CASE, 0):
        answer = ask(client)
    with recorder("none").recording(CASE, 0):
        assert ask(client) == answer

    assert len(server.requests) == 1
    assert new.unwatched == {"RuntimeError: no sockets here"}
