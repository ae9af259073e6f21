"""Processes that an app starts by `subprocess`, as asyncio does too: what they are given is changed here."""

from __future__ import annotations

import inspect
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from pytest_llmops.recorder.patches import Change, Patches

Prepare = Callable[[subprocess.Popen[Any], dict[str, Any]], None]
"""Changes the arguments of a process that is about to be started, by their names."""

_preparing: list[Prepare] = []


@contextmanager
def preparing(prepare: Prepare) -> Iterator[None]:
    """Have each process prepared that this one starts; once, however many blocks ask for it."""
    _preparing.append(prepare)
    _patches.install()
    try:
        yield
    finally:
        _preparing.remove(prepare)
        _patches.uninstall()


def _find_starters() -> Iterator[Change]:
    yield subprocess.Popen, "__init__", _prepared


def _prepared(init: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(init)

    @wraps(init)
    def start(self: subprocess.Popen[Any], *arguments: Any, **named: Any) -> None:
        bound = signature.bind(self, *arguments, **named)
        for prepare in dict.fromkeys(_preparing):
            prepare(self, bound.arguments)
        init(*bound.args, **bound.kwargs)

    return start


_patches = Patches(_find_starters)
