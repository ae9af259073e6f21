"""A receiver from its opening to its end: server, environment variables, and clients of this process."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pytest_llmops.errors import MissingExtraError, SettingsError, describe_error
from pytest_llmops.features.receive import langsmith_client
from pytest_llmops.features.receive.forwarding import Forwarder
from pytest_llmops.features.receive.server import Notes, Routes, Server
from pytest_llmops.printable import printable
from pytest_llmops.records import ScoredOutput
from pytest_llmops.traces.environment import (
    NAMESPACES,
    can_read_protobuf,
    langsmith_endpoint,
    langsmith_key,
)

_DUMMY_KEY = "pytest-llmops"
_SOON_MS = "50"  # a batch of spans waits so long in its process, and not five seconds

# Unset, since they would go before our variables, or leave out some of the traces.
_OTLP_HIDDEN = (
    *(
        f"OTEL_EXPORTER_OTLP_{signal}_{part}"
        for signal in ("TRACES", "LOGS", "METRICS")
        for part in ("ENDPOINT", "PROTOCOL", "COMPRESSION", "CERTIFICATE")
    ),
    *("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"),
)
_SMITH_HIDDEN = tuple(
    f"{namespace}_{name}" for namespace in NAMESPACES for name in ("RUNS_ENDPOINTS", "TRACING_SAMPLING_RATE")
)


@dataclass(slots=True)
class Receiver:
    """Open until `close`; the environment leads to it meanwhile."""

    notes: Notes
    server: Server
    setting: ClassVar[str] = "receive"
    _variables_before: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def open(cls, formats: Collection[str], forward: str = "refuse") -> Receiver:
        """
        Listen on a free port, and set the environment variables that lead to it.

        Args:
            formats: `otlp`, `langsmith` or both: whose environment variables are set.
            forward: `refuse` keeps LangSmith runs here, `forward` also sends them on to the endpoint that was
                set before, `masked` too, without personal data and secrets.

        Raises:
            MissingExtraError: A library for OTLP, or for masking, is not installed.
            SettingsError: No port can be opened.
        """
        if "otlp" in formats and not can_read_protobuf():
            raise MissingExtraError("receive = otlp", "otlp")
        notes = Notes()
        forwarder = None
        if "langsmith" in formats and forward != "refuse":
            endpoint, key = langsmith_endpoint(), langsmith_key()
            forwarder = Forwarder(endpoint=endpoint, key=key, masked=forward == "masked", notes=notes)
        try:
            server = Server(Routes(notes, forwarder))
        except OSError as error:
            raise SettingsError(f"receive: no port of 127.0.0.1 can be opened ({error.strerror})") from None
        receiver = cls(notes, server)
        if "otlp" in formats:
            receiver._set(_otlp_variables(server.url))
        if "langsmith" in formats:
            receiver._set(_langsmith_variables(server.url))
            try:
                langsmith_client.install(server.url, notes)
            except Exception as error:  # noqa: BLE001 - importing a library can raise anything
                receiver.close()
                reason = printable(describe_error(error))
                raise SettingsError(f"receive: langsmith cannot be imported: {reason}") from None
        return receiver

    def take(self, output: ScoredOutput) -> None:
        """Ignore outputs: received spans belong to those of their cases."""

    def finish(self) -> list[str]:
        """Wait shortly for requests under way, and return a sentence for each kind that was not read."""
        self.server.wait()
        return list(self.notes.errors())

    def warnings(self) -> Iterator[str]:
        return self.notes.warnings()

    def close(self) -> None:
        _put(self._variables_before)
        self._variables_before.clear()
        langsmith_client.uninstall(self.server.url)
        self.server.close()

    def _set(self, variables: Mapping[str, str | None]) -> None:
        for name in variables:
            self._variables_before.setdefault(name, os.environ.get(name))
        _put(variables)


def _put(variables: Mapping[str, str | None]) -> None:
    """Set environment variables; None removes one."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _otlp_variables(url: str) -> Mapping[str, str | None]:
    return {
        **dict.fromkeys(_OTLP_HIDDEN),
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": _SOON_MS,
        "OTEL_BLRP_SCHEDULE_DELAY": _SOON_MS,
    }


def _langsmith_variables(url: str) -> Mapping[str, str | None]:
    key = langsmith_key() or _DUMMY_KEY
    values = {"TRACING": "true", "TRACING_V2": "true", "ENDPOINT": url, "API_KEY": key}
    ours = {f"{namespace}_{name}": values[name] for namespace in NAMESPACES for name in values}
    return {**dict.fromkeys(_SMITH_HIDDEN), **ours}
