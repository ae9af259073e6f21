"""Where steps are sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reference_app.errors import SettingsError

TARGETS = ("opentelemetry", "langsmith", "both", "none")
LANGSMITH = "https://api.smith.langchain.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """Outputs that are on; `endpoint`, `api_key` and `project` are LangSmith's."""

    opentelemetry: bool = True
    langsmith: bool = False
    endpoint: str = LANGSMITH
    api_key: str = field(default="", repr=False)
    project: str = "default"


def read_tracing_settings(environ: Mapping[str, str]) -> TracingSettings:
    """Raise SettingsError where REFERENCE_APP_TRACING is none of `TARGETS`."""
    target = environ.get("REFERENCE_APP_TRACING") or TARGETS[0]
    if target not in TARGETS:
        raise SettingsError(f"REFERENCE_APP_TRACING is {target!r}; it must be one of {', '.join(TARGETS)}.")
    return TracingSettings(
        opentelemetry=target in ("opentelemetry", "both"),
        langsmith=target in ("langsmith", "both"),
        endpoint=environ.get("LANGSMITH_ENDPOINT") or LANGSMITH,
        api_key=environ.get("LANGSMITH_API_KEY") or "",
        project=environ.get("LANGSMITH_PROJECT") or "default",
    )
