"""The environment variables that lead exporters and clients to a receiver, for as long as it is open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_llmops.traces.langsmith_environment import NAMESPACES, langsmith_key

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
