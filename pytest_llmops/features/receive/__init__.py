"""
A receiver on loopback for traces of other processes, and of clients without spans: OTLP and LangSmith.

Only the setting `receive` opens it. A request is answered once its spans are with their cases; a request that
could not be read is an error of the suite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmops.hookspecs import hookimpl

if TYPE_CHECKING:
    from pytest_llmops.protocols import RunListener
    from pytest_llmops.settings import Settings


@hookimpl(trylast=True)  # it changes the environment that an export is sent by
def llmops_open_listener(settings: Settings) -> RunListener | None:
    if not settings.receive:
        return None
    from pytest_llmops.features.receive.receiver import Receiver

    return Receiver.open(settings.receive, settings.langsmith_forward)
