"""
A receiver on loopback for traces of other processes, and of clients without spans: OTLP and LangSmith.

The setting `receive` opens it, or an environment that switches on tracing to another machine. A request is
answered once its spans are with their cases; one that could not be read is an error of the suite.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_llmops.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_llmops.protocols import RunListener
    from pytest_llmops.settings import Settings


@hookimpl(trylast=True)  # it changes the environment that an export is sent by
def llmops_open_listener(settings: Settings) -> RunListener | None:
    formats = {*settings.receive, *_list_switched_on()}
    if not formats:
        return None
    from pytest_llmops.features.receive.receiver import Receiver

    return Receiver.open(formats, settings.langsmith_forward)


def _list_switched_on() -> Iterator[str]:
    """Yield the formats that this environment sends to another machine, where no check would see them."""
    from pytest_llmops.recorder.identity import is_loopback
    from pytest_llmops.traces.environment import can_read_protobuf, is_tracing, langsmith_endpoint

    if is_tracing() and not is_loopback(_host_of(langsmith_endpoint())) and find_spec("langsmith"):
        yield "langsmith"
    addresses = (os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "") for name in ("TRACES_ENDPOINT", "ENDPOINT"))
    address = next(filter(None, addresses), "")
    if address and not is_loopback(_host_of(address)) and find_spec("opentelemetry") and can_read_protobuf():
        yield "otlp"


def _host_of(address: str) -> str:
    return urlsplit(address if "//" in address else f"//{address}").hostname or ""
