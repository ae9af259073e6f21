"""
Processes that begin with everything imported, since they are forked from one that has imported it.

A process of pytest spends about a second on imports, and the tests start hundreds. What they test is what
comes after: workers that die, signals, exit codes. With `COLD` in the environment, each begins as a user's.
"""

from __future__ import annotations

import atexit
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
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from _pytest import assertion
from _pytest.config import get_config

_IMPORTED = (
    "httpcore2",
    "jsonschema",
    "msgspec",
    "openai.resources.chat",
    "opentelemetry.sdk._logs",
    "opentelemetry.sdk.trace",
    "pytest_llmops.metrics.lexical.overlap",
    "pytest_llmops.plugin.assertions.fixtures",
    "pytest_llmops.plugin.assertions.markers",
    "pytest_llmops.plugin.golden.golden_plugin",
    "pytest_llmops.reports.files.run_file",
    "phonenumbers",
    "presidio_analyzer.predefined_recognizers",
    "pytest_timeout",
    "scipy.stats",
    "spacy",  # Presidio's; half forgotten it cannot be loaded again
    "tldextract",
    "xdist.dsession",
    "xdist.plugin",
    "xdist.remote",
    "yaml",
)
_IF_INSTALLED = ("anyio._backends._asyncio", "mcp.server.lowlevel", "mcp.server.stdio")
_leave = os._exit  # which the plugin puts another in place of
_MESSAGE = 2**17  # bytes: a command and its environment


def import_all() -> None:
    for name in _IMPORTED:
        importlib.import_module(name)
    with suppress(ModuleNotFoundError):
        for name in _IF_INSTALLED:
            importlib.import_module(name)


class WarmPopen(subprocess.Popen[Any]):
    """`subprocess.Popen` whose processes of this Python are forked by the server at an address."""

    address = ""
    _server: socket.socket | None = None

    def _execute_child(self, args: Sequence[str], *more: Any) -> None:  # the places are those of `subprocess`
        folder, environment, pipes = more[4], more[5], more[9:15]
        preexec_fn, pass_fds, shell, new_session = more[1], more[3], more[8], more[20]
        if not _is_ours(args) or preexec_fn or pass_fds or shell or new_session:
            super()._execute_child(args, *more)
            return
        request = {
            "command": [os.fspath(each) for each in args],
            "folder": os.fspath(folder or Path.cwd()),
            "environment": dict(os.environ if environment is None else environment),
        }
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.connect(self.address)
        theirs = (pipes[0], pipes[3], pipes[5])
        streams = [number if each == -1 else each for number, each in enumerate(theirs)]
        socket.send_fds(self._server, [json.dumps(request).encode()], streams)
        self.pid = int(self._server.recv(_MESSAGE))
        self._child_created = True
        self._close_pipe_fds(*pipes)

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if self._server is None:
            return super()._try_wait(flags)
        self._server.setblocking(not flags)
        try:
            status = self._server.recv(_MESSAGE)
        except BlockingIOError:
            return 0, 0
        self._server.close()
        return self.pid, int(status or signal.SIGKILL)

    def _internal_poll(self, *more: Any, **named: Any) -> int | None:
        if self._server is None:
            return super()._internal_poll(*more, **named)
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):
            try:
                if self.returncode is None and (ended := self._try_wait(os.WNOHANG))[0]:
                    self._handle_exitstatus(ended[1])
            finally:
                self._waitpid_lock.release()
        return self.returncode


def _is_ours(command: Any) -> bool:
    """`python -c TEXT`, `python -m MODULE`, `python FILE`, and scripts beside this Python."""
    if not isinstance(command, list | tuple) or "COLD" in os.environ:
        return False
    program, *arguments = map(os.fspath, command)
    if program != sys.executable:
        return Path(program) == Path(sys.executable).with_name("llmops")
    options = [each for each in arguments[:2] if each != "-u"]
    return bool(options) and (options[0][:2] in {"-c", "-m"} or options[0].endswith(".py"))


@contextmanager
def warmed() -> Iterator[type[subprocess.Popen[Any]]]:
    """A class for `subprocess.Popen`, with a server that ends with the context."""
    if "COLD" in os.environ:
        yield subprocess.Popen
        return
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "server")
        command = [sys.executable, "-P", __file__, address]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
            process.stdout.readline()
            yield type("WarmPopen", (WarmPopen,), {"address": address})
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
            selected = [key for key, _ in self._selector.select()]
            ready = {key.fileobj for key in selected}
            if sys.stdin in ready:  # whoever started this has ended
                os._exit(0)
            for key in selected:
                if key.data in self._started:  # whoever started this one has ended
                    os.kill(key.data, signal.SIGKILL)
                    self._selector.unregister(key.fileobj)
            if self._ended in ready:
                self._ended.recv(_MESSAGE)
                self._tell_ends()
            if self._listener in ready and (request := self._fork()):
                return request

    def _fork(self) -> dict[str, Any] | None:
        client, _ = self._listener.accept()
        message, streams, _, _ = socket.recv_fds(client, _MESSAGE, 3)
        if not message:  # whoever asked has ended
            client.close()
            return None
        pid = os.fork()
        if not pid:
            self._forget()
            client.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for each in streams:
            os.close(each)
        request = json.loads(message)
        if not pid:
            return request
        self._started[pid] = client
        if request.get("linked"):
            self._selector.register(client, selectors.EVENT_READ, pid)
        with suppress(OSError):
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
                with suppress(KeyError):
                    self._selector.unregister(client)
                with suppress(OSError):
                    client.send(str(status).encode())


def _become(command: list[str]) -> None:
    """Run what a command of Python says: `-c TEXT`, `-m MODULE` or a file, and perhaps `-u` before it."""
    if command[0] == sys.executable:
        command = [each for each in command[1:3] if each != "-u"] + command[3:]
    kind, joined = command[0][:2], command[0][2:]
    if kind not in {"-c", "-m"}:
        sys.argv = command
        sys.path.insert(0, str(Path(command[0]).absolute().parent))
        runpy.run_path(command[0], run_name="__main__")
        return
    named, *arguments = [joined, *command[1:]] if joined else command[1:]
    sys.argv = [kind, *arguments]
    if kind == "-m":
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(named, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, "")
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(named, main.__dict__)  # noqa: S102 - what the command says


def _end(command: list[str]) -> None:
    """Run it and end as Python does, but for freeing what was imported, which copies all of it first."""
    code: Any = None
    try:
        _become(command)
    except SystemExit as end:
        code = end.code
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends the process
        sys.excepthook(*sys.exc_info())
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    if not isinstance(code, int | None):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = 120  # as Python says it
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    _leave(code or 0)


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
    WarmPopen.address = sys.argv[1]
    server = _Server(WarmPopen.address)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    request = server.serve()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in os.environ
    sys.path[:0] = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    subprocess.Popen = WarmPopen  # type: ignore[misc]
    _end(request["command"])
