"""
Processes that begin with everything imported, since they are forked from one that has imported it.

A process of pytest spends about a second on imports, and the tests start hundreds. What they test is what
comes after: workers that die, signals, exit codes. With `COLD=1` each begins as a user's does.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from _pytest import assertion
from _pytest.config import get_config
from execnet import gateway_base, gateway_io

_IMPORTED = (
    "httpcore2",
    "jsonschema",
    "openai",
    "opentelemetry.sdk.trace",
    "pytest_llmops.plugin.assertions.fixtures",
    "pytest_llmops.plugin.assertions.markers",
    "pytest_llmops.plugin.golden.golden_plugin",
    "pytest_timeout",
    "scipy.stats",
    "spacy",  # Presidio's; half forgotten it cannot be loaded again
    "xdist.dsession",
    "xdist.looponfail",
    "xdist.plugin",
    "xdist.remote",
    "yaml",
)
_STREAMS = {"stdin": "wb", "stdout": "rb", "stderr": "rb"}
_MESSAGE = 2**17  # bytes: a command and its environment


def import_all() -> None:
    for name in _IMPORTED:
        importlib.import_module(name)


class Process:
    """What execnet and pytester use of a `subprocess.Popen`."""

    def __init__(
        self, server: str, command: Sequence[str], *, env: dict[str, str] | None = None, **streams: Any
    ) -> None:
        theirs: list[int] = []
        ours: list[IO[bytes] | None] = []
        for number, (name, mode) in enumerate(_STREAMS.items()):
            stream = streams.get(name, number)
            if stream == subprocess.PIPE:
                pipe = os.pipe()
                theirs.append(pipe[number > 0])
                ours.append(os.fdopen(pipe[not number], mode))
            else:
                theirs.append(os.dup(stream if isinstance(stream, int) else stream.fileno()))
                ours.append(None)
        self.stdin, self.stdout, self.stderr = ours
        self.returncode: int | None = None
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.connect(server)
        request = {
            "command": list(command),
            "folder": str(Path.cwd()),
            "environment": env or dict(os.environ),
        }
        socket.send_fds(self._server, [json.dumps(request).encode()], theirs)
        for each in theirs:
            os.close(each)
        self.pid = int(self._server.recv(_MESSAGE))

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._server.settimeout(timeout)
            try:
                self.returncode = int(self._server.recv(_MESSAGE) or -signal.SIGKILL)
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._server.close()
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Warm:
    """Starts processes from the server at an address."""

    address: str

    def popen(self, command: Sequence[str], **more: Any) -> Process:
        """Stands in for `subprocess.Popen`."""
        return Process(self.address, command, **more)

    def connect(self, command: list[str], execmodel: gateway_base.ExecModel) -> gateway_base.Popen2IO:
        """Stands in for `execnet.gateway_io.Popen2IOMaster`, with which xdist starts its workers."""
        process = self.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        connection = gateway_base.Popen2IO(process.stdin, process.stdout, execmodel=execmodel)
        connection.wait, connection.kill = process.wait, process.kill
        return connection


@contextmanager
def warmed() -> Iterator[Warm | None]:
    """A server that ends with the context; none where all processes begin cold."""
    if os.environ.get("COLD"):
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "server")
        command = [sys.executable, "-P", __file__, address]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
            process.stdout.readline()
            yield Warm(address)
            process.stdin.close()


class _Server:
    """Forks for each request, tells the pid, and then the exit status."""

    def __init__(self, address: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(address)
        self._listener.listen()
        self._ended, self._notice = socket.socketpair()
        self._ended.settimeout(0)
        self._notice.settimeout(0)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._notice.fileno())
        self._selector = selectors.DefaultSelector()
        for each in (self._listener, self._ended, sys.stdin):
            self._selector.register(each, selectors.EVENT_READ)
        self._started: dict[int, socket.socket] = {}

    def serve(self) -> dict[str, Any]:
        """Return a request in the process that is forked for it, and never in this one."""
        while True:
            ready = {key.fileobj for key, _ in self._selector.select()}
            if sys.stdin in ready:  # whoever started this has ended
                os._exit(0)
            if self._ended in ready:
                self._ended.recv(_MESSAGE)
                self._tell_ends()
            if self._listener in ready and (request := self._fork()):
                return request

    def _fork(self) -> dict[str, Any] | None:
        client, _ = self._listener.accept()
        message, streams, _, _ = socket.recv_fds(client, _MESSAGE, len(_STREAMS))
        pid = os.fork()
        if not pid:
            self._forget()
            client.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for each in streams:
            os.close(each)
        if not pid:
            return json.loads(message)
        self._started[pid] = client
        client.send(str(pid).encode())
        return None

    def _forget(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._selector, self._listener, self._ended, self._notice, *self._started.values()):
            each.close()

    def _tell_ends(self) -> None:
        while self._started:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._started.pop(pid) as client:
                client.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: dict[str, Any]) -> None:
    """Run what a command of Python says: `-c TEXT` or `-m MODULE`, and perhaps `-u`."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    options = [each for each in request["command"][1:] if each != "-u"]
    kind, joined = options[0][:2], options[0][2:]
    named, *arguments = [joined, *options[1:]] if joined else options[1:]
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = ["" if kind == "-c" else request["folder"], *paths]
    sys.argv = [kind, *arguments]
    if kind == "-m":
        runpy.run_module(named, run_name="__main__", alter_sys=True)
    else:
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(named, main.__dict__)  # noqa: S102 - what the command says


def _rewriting_asserts(load: Callable[[], None]) -> None:
    """Import as pytest does, which warns of plugins that were imported without it."""
    hook = assertion.install_importhook(get_config())
    hook.mark_rewrite("anyio", "pytest_llmops", "pytest_timeout", "xdist")
    load()
    sys.meta_path.remove(hook)


if __name__ == "__main__":
    _rewriting_asserts(import_all)
    gc.collect()
    gc.freeze()
    kept = sys.modules["__main__"]  # its names are used until the end
    server = _Server(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    asked = server.serve()
    gateway_io.Popen2IOMaster = Warm(sys.argv[1]).connect
    _become(asked)
