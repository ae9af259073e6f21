"""A receiver from its opening to its end: server, environment, and clients of this process."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import ClassVar

from pytest_llmops.errors import MissingExtraError, SettingsError, describe_error
from pytest_llmops.features.receive import langsmith_client
from pytest_llmops.features.receive.forwarding import Forwarder
from pytest_llmops.features.receive.server import Notes, Routes, Server
from pytest_llmops.printable import printable
from pytest_llmops.runner.cases.listeners import ScoredOutput
from pytest_llmops.traces.langsmith_environment import NAMESPACES, langsmith_endpoint, langsmith_key

_DUMMY_KEY = "pytest-llmops"
_SOON_MS = "50"  # a batch of spans waits so long in its process, and not five seconds

# More specific than what is set here, or leaves out some of the traces.
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
class Environment:
    """Variables as they were before they were changed."""

    _before: dict[str, str | None] = field(default_factory=dict)

    def change(self, variables: Mapping[str, str | None]) -> None:
        """Set variables; None removes one."""
        for name, value in variables.items():
            self._before.setdefault(name, os.environ.get(name))
            _put(name, value)

    def restore(self) -> None:
        for name, value in self._before.items():
            _put(name, value)
        self._before.clear()


def _put(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def otlp_variables(url: str) -> Mapping[str, str | None]:
    return {
        **dict.fromkeys(_OTLP_HIDDEN),
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": _SOON_MS,
        "OTEL_BLRP_SCHEDULE_DELAY": _SOON_MS,
    }


def langsmith_variables(url: str) -> Mapping[str, str | None]:
    key = langsmith_key() or _DUMMY_KEY
    said = {"TRACING": "true", "TRACING_V2": "true", "ENDPOINT": url, "API_KEY": key}
    own = {f"{namespace}_{name}": said[name] for namespace in NAMESPACES for name in said}
    return {**dict.fromkeys(_SMITH_HIDDEN), **own}


@dataclass(slots=True)
class Receiver:
    """Open until `close`; the environment leads to it meanwhile."""

    notes: Notes
    server: Server
    setting: ClassVar[str] = "receive"
    _environment: Environment

    @classmethod
    def open(cls, formats: Collection[str], forward: str = "refuse") -> Receiver:
        """
        Listen on a free port, and have the environment say so.

        Args:
            formats: `otlp`, `langsmith` or both: whose environment variables are set.
            forward: What becomes of LangSmith runs: `refuse` keeps them here, `forward` sends them on to the
                endpoint that was set before, `masked` too, without personal data and secrets.

        Raises:
            MissingExtraError: What OTLP, or masking, needs is not installed.
            SettingsError: No port can be opened.
        """
        if "otlp" in formats and not _can_read_protobuf():
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
        receiver = cls(notes, server, Environment())
        try:
            receiver._lead(formats)
        except Exception as error:  # noqa: BLE001 - what importing a library can raise
            receiver.close()
            said = printable(describe_error(error))
            raise SettingsError(f"receive: langsmith cannot be imported: {said}") from None
        return receiver

    def _lead(self, formats: Collection[str]) -> None:
        """Have exporters and clients send here."""
        if "otlp" in formats:
            self._environment.change(otlp_variables(self.server.url))
        if "langsmith" in formats:
            self._environment.change(langsmith_variables(self.server.url))
            langsmith_client.install(self.server.url, self.notes)

    def take(self, output: ScoredOutput) -> None:
        """Leave outputs alone: what is received belongs to the spans of their cases."""

    def finish(self) -> list[str]:
        """Wait shortly for requests under way, and return a sentence for each kind that was not read."""
        self.server.wait()
        return list(self.notes.errors())

    def warnings(self) -> Iterator[str]:
        return self.notes.warnings()

    def close(self) -> None:
        self._environment.restore()
        langsmith_client.uninstall(self.server.url)
        self.server.close()


def _can_read_protobuf() -> bool:
    try:
        return find_spec("opentelemetry.proto") is not None
    except ModuleNotFoundError:  # of what it is part of
        return False
