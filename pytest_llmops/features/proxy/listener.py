"""The proxy from its opening to its end: its folder, its server, and the environment of child processes."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from threading import Lock
from typing import ClassVar

from pytest_llmops.errors import SettingsError
from pytest_llmops.features.proxy.certificates import Authority
from pytest_llmops.features.proxy.children import Children
from pytest_llmops.features.proxy.server import Notes, Server
from pytest_llmops.features.proxy.way_out import WayOut, read_proxies
from pytest_llmops.recorder.children import preparing
from pytest_llmops.records import ScoredOutput


@dataclass(slots=True, eq=False)
class Proxy:
    """The one of this process; open until each run that opened it has closed it."""

    notes: Notes
    server: Server
    _stack: ExitStack
    _runs: int = 1
    setting: ClassVar[str] = "proxy"

    @classmethod
    def open(cls) -> Proxy:
        """
        Listen on a free port, and lead the processes that are started from now on there.

        A process outlives the run that another one of this process makes, so all runs share one proxy.

        Raises:
            LLMOpsError: As `_start`.
        """
        with _lock:
            if not _open:
                _open.append(cls._start())
            else:
                _open[0]._runs += 1  # noqa: SLF001 - of this class
            return _open[0]

    @classmethod
    def _start(cls) -> Proxy:
        """
        Start the proxy.

        Raises:
            MissingExtraError: A library that makes certificates is not installed.
            SettingsError: No port can be opened, or a file of certificates or a proxy that the environment
                names is of no use.
        """
        with ExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory(prefix="llmops-proxy-"))
            proxies = read_proxies()
            authority = Authority(folder, os.environ)
            notes = Notes()
            try:
                server = Server(authority, WayOut(authority.upstream, proxies), notes)
            except OSError as error:
                raise SettingsError(f"proxy: no port of 127.0.0.1 can be opened ({error.strerror})") from None
            stack.callback(server.close)
            children = Children(port=server.server_port, certificates=authority.bundle)
            server.context_of = children.context_of
            stack.enter_context(preparing(children.prepare))
            return cls(notes, server, stack.pop_all())

    def take(self, output: ScoredOutput) -> None:
        """Ignore outputs: what passed belongs to its case already."""

    def finish(self) -> list[str]:
        """Return a sentence for each kind of connection that could not be looked at."""
        return list(self.notes.errors())

    def warnings(self) -> tuple[str, ...]:
        """Return nothing: whatever could not be looked at is an error."""
        return ()

    def close(self) -> None:
        with _lock:
            self._runs -= 1
            if self._runs:
                return
            _open.remove(self)
        self._stack.close()


_open: list[Proxy] = []
_lock = Lock()
