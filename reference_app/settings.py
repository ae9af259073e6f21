"""What the environment says about one run of the app."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reference_app.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
MAX_TOP_K = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    Hashable, so that one app is built per distinct environment.

    Attributes:
        top_k: How many passages the retriever returns, 1 to 20.
        model: The chat model at the endpoint of the environment; None where the embedded one answers.
        embedding_model: The same for embeddings; None means the embedded encoder.
        base_url: Of the environment's endpoint; None leaves it to the `openai` client.
        api_key: The same; an endpoint without keys accepts any.
        cache: Where what is derived (index, orders database) is kept.
    """

    top_k: int
    knowledge: Path
    prompts: Path
    orders: Path
    weights: Path
    cache: Path
    model: str | None
    embedding_model: str | None
    base_url: str | None
    api_key: str | None


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """
    Read every variable anew; costs microseconds, so it may be done at each question.

    Raises:
        SettingsError: REFERENCE_APP_TOP_K is no whole number from 1 to 20.
    """
    import platformdirs

    def path(name: str, default: Path) -> Path:
        value = environ.get(name)
        return Path(value).expanduser().resolve() if value else default

    base_url, api_key = environ.get("OPENAI_BASE_URL") or None, environ.get("OPENAI_API_KEY") or None
    remote = base_url is not None or api_key is not None
    return Settings(
        top_k=_top_k(environ.get("REFERENCE_APP_TOP_K") or "5"),
        knowledge=path("REFERENCE_APP_KNOWLEDGE", HERE / "knowledge"),
        prompts=path("REFERENCE_APP_PROMPTS", HERE / "prompts"),
        orders=path("REFERENCE_APP_ORDERS", HERE / "data" / "orders.yaml"),
        weights=path("REFERENCE_APP_WEIGHTS", platformdirs.user_cache_path("pytest-llmops") / "weights"),
        cache=path("REFERENCE_APP_INDEX", platformdirs.user_cache_path("reference-app")),
        model=(environ.get("REFERENCE_APP_MODEL") or "gpt-4o-mini") if remote else None,
        embedding_model=(environ.get("REFERENCE_APP_EMBEDDING_MODEL") or None) if remote else None,
        base_url=base_url,
        api_key=api_key,
    )


def _top_k(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= MAX_TOP_K:
        raise SettingsError(f"REFERENCE_APP_TOP_K is {value!r}; it must be a whole number, 1 to {MAX_TOP_K}.")
    return int(value)
