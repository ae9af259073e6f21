"""
A proxy on loopback for model calls of other processes: `--llm-proxy`.

Processes that the app starts get its address in their environment. What passes it is recorded, replayed,
budgeted, counted and read by the leak check as calls of this process are, by the same code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmops.hookspecs import hookimpl

if TYPE_CHECKING:
    from pytest_llmops.protocols import RunListener
    from pytest_llmops.settings import Settings


@hookimpl
def llmops_open_listener(settings: Settings) -> RunListener | None:
    if not settings.proxy:
        return None
    from pytest_llmops.features.proxy.listener import Proxy

    return Proxy.open()
