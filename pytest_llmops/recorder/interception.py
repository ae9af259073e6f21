"""
Puts the seams into this process' clients while a recorder listens.

Libraries are patched where they are loaded already, and as they load later; none is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import Lock
from types import ModuleType

from pytest_llmops.recorder import egress, processes
from pytest_llmops.recorder.exchange import Recording
from pytest_llmops.recorder.patches import Change, Patches
from pytest_llmops.recorder.seams import aiohttp_clients, connections, http_connections, httpx_clients

_SEAMS = (httpx_clients, http_connections, aiohttp_clients, connections)
_LIBRARIES = frozenset(library for seam in _SEAMS for library in seam.LIBRARIES)


@contextmanager
def attribute_calls(recording: Recording, *, shared: bool) -> Iterator[None]:
    """
    Give what leaves this context to a recording.

    Args:
        shared: And what leaves threads that know of no case, where it is the only one open.
    """
    _patches.refresh()  # `install` may have met a library half imported, by another thread
    with egress.attributing(recording, shared=shared):
        yield


def _find_clients() -> Iterator[Change]:
    for seam in _SEAMS:
        yield from seam.find_clients()


class _LateImports(MetaPathFinder):
    """Patches a library's clients as soon as the app imports it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _LIBRARIES:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if finder is self or find is None else find(name, path, target)
            if spec is not None and spec.loader is not None:
                execute = spec.loader.exec_module

                def exec_module(module: ModuleType, execute: Callable[[ModuleType], None] = execute) -> None:
                    execute(module)
                    _patches.refresh()

                spec.loader.exec_module = exec_module  # type: ignore[method-assign]
                return spec
        return None


_patches = Patches(_find_clients)
_finder = _LateImports()
_lock = Lock()


def install() -> None:
    """Patch the clients; counted, so that several recorders of one process share it."""
    with _lock:
        if not _patches.has_users:
            sys.meta_path.insert(0, _finder)
            processes.begin_to_watch()
        _patches.install()
        connections.listen()


def uninstall() -> None:
    """Restore the clients, once no recorder listens any more."""
    with _lock:
        _patches.uninstall()
        if not _patches.has_users:
            sys.meta_path.remove(_finder)
            processes.stop_watching()
