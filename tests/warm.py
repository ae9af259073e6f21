"""
Processes of Python that begin with everything imported, since they are forked from one that has imported it.

A process of pytest spends about a second on imports, and the tests start hundreds. What they test is what
comes after: workers that die, signals, exit codes. With `COLD` in the environment, each begins as a user's.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import marshal
import multiprocessing
import os
import pkgutil
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops import features

_IMPORTED = (
    "jsonschema",
    "msgspec",
    "pytest_llmops.evaluation.journal",
    "pytest_llmops.metrics.lexical.overlap",
    "pytest_llmops.plugin.assertions.fixtures",
    "pytest_llmops.plugin.assertions.markers",
    "pytest_llmops.plugin.golden.golden_plugin",
    "pytest_llmops.reports.files.run_file",
    "pytest_llmops.runner.app.remote.command",
    "pytest_llmops.runner.app.remote.http_client",
    "pytest_llmops.runner.app.remote.opening",
    "pytest_timeout",
    "scipy.stats",
    "xdist.dsession",
    "xdist.plugin",
    "xdist.remote",
    "yaml",
)
_IF_INSTALLED = (
    "anyio._backends._asyncio",
    "httpcore2",
    "hypothesis",
    "jsonpath_ng.ext",
    "mcp.server.lowlevel",
    "mcp.server.stdio",
    "openai.resources.chat",
    "opentelemetry.sdk._logs",
    "opentelemetry.sdk.trace",
    # Written in C for the most part, these crash if a run forgets them and the next one loads them again.
    "orjson",
    "phonenumbers",
    "presidio_analyzer.predefined_recognizers",
    "requests",
    "spacy",
    "tldextract",
    "trustme",
    "uuid_utils",
    "xxhash",
    "zstandard",
)
# Of the server alone. A run within the process of a test forgets a feature's modules, and not its package.
_OF_WHOLE_PROCESSES = (
    "anyio.pytest_plugin",
    "faulthandler",
    "langsmith.pytest_plugin",
    "pdb",
    "platformdirs.unix",
    "pytest_llmops.cli.compare",
    "pytest_llmops.cli.isolation",
    "pytest_llmops.cli.run",
    "pytest_llmops.features.mutate.stored",
    *(f"pytest_llmops.features.{module.name}" for module in pkgutil.iter_modules(features.__path__)),
    "tomllib",
    "xdist.newhooks",
)
_REQUEST = 2**17  # bytes: a command and its environment
_leave = os._exit  # which the plugin puts another in place of

multiprocessing.set_executable(sys.executable)  # its processes inherit file descriptors, as a warm one cannot


def import_all() -> None:
    for name in _IMPORTED:
        importlib.import_module(name)
    for name in _IF_INSTALLED:
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)


@contextmanager
def warmed() -> Iterator[str]:
    """The path of a Python whose processes are forked by a server, which ends with the context."""
    if "COLD" in os.environ or sys.platform != "linux":  # libraries of macOS do not outlive a fork
        yield sys.executable
        return
    with tempfile.TemporaryDirectory() as folder:
        address = Path(folder) / "server"
        start = [sys.executable, "-I", "-S", str(Path(__file__).with_name("warm_start.py")), str(address)]
        scripts = {name: [str(Path(sys.executable).with_name(name))] for name in ("llmops", "pytest")}
        for name, script in {"python": [], **scripts}.items():
            path = Path(folder) / name
            path.write_text(f'#!/bin/sh\nexec {shlex.join([*start, *script])} "$@"\n', encoding="utf-8")
            path.chmod(0o700)
        # In a session of its own, since the processes that stand for its forks pass Ctrl-C on.
        command = [sys.executable, "-P", __file__, str(address)]
        with subprocess.Popen(  # noqa: S603 - this file
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as server:
            if not server.stdout.readline():
                raise RuntimeError("the server of warm processes did not start")
            yield str(path.with_name("python"))
            server.stdin.close()


def _serve(address: Path) -> dict[str, Any]:
    """Return each request in a process that is forked for it, until whoever started the server ends."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(address))
    listener.listen()
    ended, wakes = socket.socketpair()
    os.set_blocking(wakes.fileno(), False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    clients: dict[int, socket.socket] = {}  # by the process that is theirs
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while sys.stdin not in (
        ready := select.select([listener, sys.stdin, ended, *clients.values()], [], [])[0]
    ):
        if ended in ready:
            ended.recv(4_096)
            _tell_exit_statuses(clients)
        for pid, client in clients.items():
            if client in ready:
                _pass_signal(client, pid)
        if listener in ready and (request := _fork(clients, (listener, ended, wakes))):
            return request
    os._exit(0)


def _fork(clients: dict[int, socket.socket], own: tuple[socket.socket, ...]) -> dict[str, Any] | None:
    """Return the next request, with its streams in place, in a new process, and in the server None."""
    client, _ = own[0].accept()
    message, streams, _, _ = socket.recv_fds(client, _REQUEST, 3)
    if not message:  # the client was killed
        return None
    if pid := os.fork():
        clients[pid] = client
        for stream in streams:
            os.close(stream)
        return None
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for inherited in (*own, client, *clients.values()):
        inherited.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    request: dict[str, Any] = marshal.loads(message)  # noqa: S302 - of our own script; json takes long to import there
    if request["leads"]:
        os.setsid()
    return request


def _tell_exit_statuses(clients: dict[int, socket.socket]) -> None:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            with clients.pop(found[0]) as client, suppress(OSError):
                client.send(str(os.waitstatus_to_exitcode(found[1])).encode())


def _pass_signal(client: socket.socket, pid: int) -> None:
    try:
        number = client.recv(1)
    except OSError:
        number = b""
    signal_number = number[0] if number else signal.SIGKILL  # as the client was
    try:
        os.killpg(pid, signal_number)
    except ProcessLookupError:  # it leads no group, as the client does not, or not yet
        os.kill(pid, signal_number)


def _become(arguments: list[str]) -> None:
    """Do as Python does with `-c TEXT`, `-m MODULE` or a file, and perhaps `-u` before it."""
    kind, *arguments = arguments[1:] if arguments[0] == "-u" else arguments
    if not kind.startswith("-"):
        sys.argv = [kind, *arguments]
        sys.path.insert(0, str(Path(kind).absolute().parent))
        runpy.run_path(kind, run_name="__main__")
        return
    name, *arguments = [kind[2:], *arguments] if kind[2:] else arguments
    sys.argv = [kind[:2], *arguments]
    if kind.startswith("-m"):
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, "")
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(name, main.__dict__)  # noqa: S102 - what the command says


def _end(arguments: list[str]) -> None:
    """Run it and end as Python does, but for freeing what was imported, which copies all of it first."""
    code: Any = None
    try:
        _become(arguments)
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


class _Imports:
    """As a plugin: pytest warns of plugins that were imported before it could rewrite their assertions."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self) -> int:
        pytest.register_assert_rewrite(
            "_hypothesis_globals",
            "anyio",
            "hypothesis",
            "langsmith",
            "pytest_llmops",
            "pytest_timeout",
            "xdist",
        )
        import_all()
        for name in _OF_WHOLE_PROCESSES:
            importlib.import_module(name)
        return 0


if __name__ == "__main__":
    os.environ |= {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": ""}
    if pytest.main(["-s", "--noconftest", "-c", os.devnull], plugins=[_Imports()]):
        sys.exit("pytest did not import what is to be warm")
    from pytest_llmops.recorder.native import may_connect
    from pytest_llmops.runner.app import process_end

    process_end.install()  # looks through all that is imported, which a fork would copy for that
    process_end.uninstall()
    may_connect()  # reads each library that is loaded
    gc.collect()
    gc.freeze()
    kept = sys.modules["__main__"]  # its names are used until the end
    server = Path(sys.argv[1])
    request = _serve(server)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in os.environ
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [str(Path(part).absolute()) for part in parts if part]
    sys.modules["xdist.workermanage"]._sys_path = [*sys.path]  # which it takes as it is when it is imported
    sys.executable = str(server.with_name("python"))
    _end(request["arguments"])
