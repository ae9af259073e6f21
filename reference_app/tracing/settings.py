"""Where steps are sent, and what a paid model costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from reference_app.errors import SettingsError

TARGETS = ("opentelemetry", "langsmith", "both", "none")
PER_MILLION = 1_000_000
_PRICE = re.compile(r"(?P<model>\S+)=(?P<input>\d+(?:\.\d+)?)/(?P<output>\d+(?:\.\d+)?)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Of one model, in US dollars a million tokens."""

    model: str
    input_usd: float
    output_usd: float

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * self.input_usd + output_tokens * self.output_usd) / PER_MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """
    Attributes:
        endpoint: Of LangSmith; None leaves it to its client.
        api_key: The same.
        project: Under which LangSmith shows the runs.
        prices: Of the models of an endpoint; one without a price has no cost in its span.
    """

    opentelemetry: bool = True
    langsmith: bool = False
    endpoint: str | None = None
    api_key: str | None = field(default=None, repr=False)
    project: str = "default"
    prices: tuple[Price, ...] = ()

    def find_price(self, model: str) -> Price | None:
        return next((price for price in self.prices if price.model == model), None)


def read_tracing_settings(environ: Mapping[str, str]) -> TracingSettings:
    """Raises SettingsError where a variable contains what cannot be used."""
    target = environ.get("REFERENCE_APP_TRACING") or TARGETS[0]
    if target not in TARGETS:
        raise SettingsError(f"REFERENCE_APP_TRACING is {target!r}; it must be one of {', '.join(TARGETS)}.")
    return TracingSettings(
        opentelemetry=target in ("opentelemetry", "both"),
        langsmith=target in ("langsmith", "both"),
        endpoint=environ.get("LANGSMITH_ENDPOINT") or None,
        api_key=environ.get("LANGSMITH_API_KEY") or None,
        project=environ.get("LANGSMITH_PROJECT") or "default",
        prices=_read_prices(environ.get("REFERENCE_APP_PRICES") or ""),
    )


def _read_prices(text: str) -> tuple[Price, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    found = [_PRICE.fullmatch(part) for part in parts]
    if None in found:
        wrong = parts[found.index(None)]
        raise SettingsError(
            f"REFERENCE_APP_PRICES has {wrong!r}; write MODEL=INPUT/OUTPUT, in dollars a million tokens, "
            "like gpt-4o-mini=0.15/0.60."
        )
    return tuple(
        Price(model=one["model"], input_usd=float(one["input"]), output_usd=float(one["output"]))
        for one in found
        if one is not None
    )
