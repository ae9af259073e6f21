"""Keeps the outputs of a process until its run is over, and sends them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pytest_llmops.detect.recognizers.numbers import check_installed
from pytest_llmops.errors import describe_error
from pytest_llmops.features.export.langsmith import LangSmithEndpoint
from pytest_llmops.features.export.otlp import OtlpEndpoint
from pytest_llmops.features.export.scored import mask_output
from pytest_llmops.printable import counted, printable
from pytest_llmops.runner.cases.listeners import ScoredOutput

_BATCH = 50  # outputs


class Endpoint(Protocol):
    def send(self, outputs: Sequence[ScoredOutput]) -> None:
        """Send masked outputs; raises OSError."""


@dataclass(slots=True)
class Exporter:
    """Made before a receiver changes the environment: it sends to what that named before."""

    _endpoints: dict[str, Endpoint]
    setting: ClassVar[str] = "export"
    _outputs: list[ScoredOutput] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, formats: Collection[str]) -> Exporter:
        """
        Raises:
            MissingExtraError: A library is missing that masks, or sends.
            SettingsError: The environment does not say where to.
        """
        check_installed("export")
        kinds: Mapping[str, Callable[[], Endpoint]] = {
            "otlp": OtlpEndpoint.of_environment,
            "langsmith": LangSmithEndpoint.of_environment,
        }
        return cls({name: kinds[name]() for name in formats})

    def take(self, output: ScoredOutput) -> None:
        self._outputs.append(output)

    def finish(self) -> list[str]:
        """Send what there is, and return a sentence for each endpoint that did not take it."""
        outputs, self._outputs = self._outputs, []
        if outputs:
            masked = [mask_output(each) for each in outputs]
            for name, endpoint in self._endpoints.items():
                self._errors += _send(name, endpoint, masked)
        return self._errors

    def warnings(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        """Close nothing: the clients end with the process."""


def _send(name: str, endpoint: Endpoint, outputs: Sequence[ScoredOutput]) -> list[str]:
    """In batches, so that no request is too large; what one of them meets, the next would meet too."""
    for start in range(0, len(outputs), _BATCH):
        try:
            endpoint.send(outputs[start : start + _BATCH])
        except Exception as error:  # noqa: BLE001 - a client may raise what it likes, and the run is judged
            left = counted(len(outputs) - start, "output")
            return [f"error: export to {name}: {left} not sent: {printable(describe_error(error), 200)}"]
    return []
