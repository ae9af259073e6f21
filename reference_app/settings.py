"""What the environment says about one run of the app."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from reference_app.errors import SettingsError
from reference_app.guardrails.calls.request import CALL_GUARDS
from reference_app.safety.urls import PORTS, Allowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_app.guardrails.redaction import Redact
    from reference_app.tracing.settings import TracingSettings
    from reference_app.vault.access import VaultSettings

HERE = Path(__file__).parent
SHOP_HOST = "fellwind.example"
LOOPBACK = {"localhost", "127.0.0.1"}
_HOST = re.compile(r"\.?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?", re.ASCII)
MAX_TOP_K = 20
Role = Literal["customer", "staff"]
PROFILES = ("large", "small", "adapter", "base")
GUARDS = ("input", "redaction", "grounding", "output", "manifest", "owner", *CALL_GUARDS)
REDACTIONS = ("mask", "token")
MASKED = "personal data was masked before a model saw it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    Hashable, so that one app is built per distinct environment.

    Attributes:
        top_k: How many passages the retriever returns, 1 to 20.
        openapi: The document of the shop's service, which its tools are made from.
        shop_url: Of a running shop service; None starts one when a tool first needs it.
        shop_token: What that service asks for as a bearer token.
        mcp: A URL or command of an MCP server that has the tools in place of the app; None where none has.
        role: Whose rights the tools' policy grants: `customer` or `staff`.
        pages: Hosts of the shop, whose pages are read where a question names their URL.
        uploads: The folder of the files that customers upload; None where none are read.
        guards: Of `GUARDS`, those that are on.
        tracing: Where the steps of an answer are sent.
        vault: Keeps what tokens stand for; None where personal data is masked and kept nowhere.
        model: The chat model at the endpoint of the environment; None where the embedded one answers.
        embedding_model: The same for embeddings; None means the embedded encoder.
        base_url: Of the environment's endpoint; None leaves it to the `openai` client.
        api_key: The same; an endpoint without keys accepts any.
        profile: Of the embedded chat model, one of `PROFILES`: 1.5B, 0.5B, SmolLM2-135M with the adapter or
            without; of no account where the environment's endpoint answers.
        cache: Where what is derived (index, shop database) is kept.
        adapter: LoRA weights beside the embedded chat model; None where there are none.
        tuned: Whether the chat model has learnt the shop's plans and answers, by the adapter or under the
            name of a fine-tuned model, so that it is asked with the short prompts it was trained on.
    """

    top_k: int
    knowledge: Path
    prompts: Path
    orders: Path
    policy: Path
    openapi: Path
    weights: Path
    cache: Path
    profile: str
    adapter: Path | None
    tuned: bool
    shop_url: str | None
    shop_token: str | None = field(repr=False)
    mcp: str | None = field(repr=False)
    role: Role
    pages: Allowed
    uploads: Path | None
    guards: frozenset[str]
    vault: VaultSettings | None
    tracing: TracingSettings
    model: str | None
    embedding_model: str | None
    base_url: str | None
    api_key: str | None = field(repr=False)


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """
    Read every variable anew; costs microseconds, so it may be done at each question.

    Raises:
        SettingsError: A variable holds what the app cannot use.
    """
    import platformdirs

    from reference_app.tracing.settings import read_tracing_settings

    def path(name: str, default: Path) -> Path:
        value = environ.get(name)
        return Path(value).expanduser().resolve() if value else default

    base_url, api_key = environ.get("OPENAI_BASE_URL") or None, environ.get("OPENAI_API_KEY") or None
    remote = base_url is not None or api_key is not None
    uploads = environ.get("REFERENCE_APP_UPLOADS")
    adapter, tuned_model = _read_adapter(environ.get("REFERENCE_APP_ADAPTER") or None, remote=remote)
    profile = _read_profile(environ)
    adapter = adapter if profile == "adapter" else None
    return Settings(
        top_k=_top_k(environ.get("REFERENCE_APP_TOP_K") or "3"),
        knowledge=path("REFERENCE_APP_KNOWLEDGE", HERE / "knowledge"),
        prompts=path("REFERENCE_APP_PROMPTS", HERE / "prompts"),
        orders=path("REFERENCE_APP_ORDERS", HERE / "data" / "orders.yaml"),
        policy=path("REFERENCE_APP_POLICY", HERE / "tools" / "policy.yaml"),
        openapi=path("REFERENCE_APP_OPENAPI", HERE / "shop" / "openapi.json"),
        weights=path("REFERENCE_APP_WEIGHTS", platformdirs.user_cache_path("pytest-llmops") / "weights"),
        cache=path("REFERENCE_APP_INDEX", platformdirs.user_cache_path("reference-app")),
        profile=profile,
        adapter=adapter,
        tuned=adapter is not None or tuned_model is not None,
        shop_url=environ.get("REFERENCE_APP_SHOP_URL") or None,
        shop_token=environ.get("REFERENCE_APP_SHOP_TOKEN") or None,
        mcp=_read_mcp(environ.get("REFERENCE_APP_MCP") or None),
        pages=_read_pages(environ.get("REFERENCE_APP_PAGE_HOSTS") or SHOP_HOST),
        uploads=Path(uploads).expanduser().resolve() if uploads else None,
        role=_read_role(environ.get("REFERENCE_APP_ROLE") or "customer"),
        guards=read_guards(environ),
        vault=_read_vault(environ),
        tracing=read_tracing_settings(environ),
        model=(tuned_model or environ.get("REFERENCE_APP_MODEL") or "gpt-4o-mini") if remote else None,
        embedding_model=(environ.get("REFERENCE_APP_EMBEDDING_MODEL") or None) if remote else None,
        base_url=base_url,
        api_key=api_key,
    )


def is_url(server: str) -> bool:
    """Whether an MCP server is reached by HTTP; else it is a command."""
    return server.startswith(("http://", "https://"))


def open_redact(settings: Settings, subject: str = "") -> Redact:
    """What frees a text of personal data before a model sees it; `subject` is whose it is, for the vault."""
    from reference_app.guardrails.redaction import mask

    if "redaction" not in settings.guards or settings.vault is None:
        return mask if "redaction" in settings.guards else str
    from reference_app.vault.vault import Vault

    return partial(Vault(settings.vault).redact, subject=subject)


def _read_vault(environ: Mapping[str, str]) -> VaultSettings | None:
    from reference_app.vault.access import read_vault_settings

    redaction = environ.get("REFERENCE_APP_REDACTION") or REDACTIONS[0]
    if redaction not in REDACTIONS:
        raise SettingsError(f"REFERENCE_APP_REDACTION is {redaction!r}; it must be mask or token.")
    return read_vault_settings(environ) if redaction == "token" else None


def _read_profile(environ: Mapping[str, str]) -> str:
    """The one that is named, else that of REFERENCE_APP_ADAPTER, else the first."""
    adapter = environ.get("REFERENCE_APP_ADAPTER")
    implied = {None: PROFILES[0], "": PROFILES[0], "none": "base"}.get(adapter, "adapter")
    profile = environ.get("REFERENCE_APP_PROFILE") or implied
    if profile not in PROFILES:
        raise SettingsError(f"REFERENCE_APP_PROFILE is {profile!r}; it must be one of {', '.join(PROFILES)}.")
    return "base" if (profile, adapter) == ("adapter", "none") else profile


def _read_adapter(value: str | None, *, remote: bool) -> tuple[Path | None, str | None]:
    """A file for the embedded chat model, or the name of a fine-tuned model at the endpoint."""
    packaged = HERE / "adapter" / "adapter.gguf"
    if value == "none" or (value is None and (remote or not packaged.is_file())):
        return None, None
    if value is None:
        return packaged, None
    if remote:
        return None, value
    path = Path(value).expanduser().resolve()
    missing = "that folder has no adapter.gguf" if path.is_dir() else "there is no such file"
    path = path / "adapter.gguf" if path.is_dir() else path
    if not path.is_file():
        raise SettingsError(
            f"REFERENCE_APP_ADAPTER is {value!r}; {missing}. Write none, a GGUF file, or the "
            "name of a fine-tuned model together with OPENAI_BASE_URL or OPENAI_API_KEY."
        )
    return path, None


def _read_mcp(value: str | None) -> str | None:
    """A URL, or a command in the words of a shell."""
    try:
        sound = value is None or is_url(value) or bool(shlex.split(value))
    except ValueError:
        sound = False
    if not sound:
        raise SettingsError("REFERENCE_APP_MCP must be a command, or a URL of streamable HTTP.")
    return value


def _read_pages(value: str) -> Allowed:
    """Hosts like `shop.example`, `.shop.example` for all below it, or `127.0.0.1:8000`."""
    named = [name for name in (part.strip().lower() for part in value.split(",")) if name not in ("", "none")]
    if wrong := [name for name in named if not _HOST.fullmatch(name)]:
        raise SettingsError(
            f"REFERENCE_APP_PAGE_HOSTS names {wrong[0]!r}; write none, or hosts like "
            "shop.example or shop.example:8000."
        )
    hosts, ports = zip(*(name.partition(":")[::2] for name in named), strict=True) if named else ((), ())
    return Allowed(
        hosts=hosts,
        ports=frozenset((*PORTS.values(), *(int(port) for port in ports if port))),
        loopback=set(hosts) <= LOOPBACK,
    )


def _read_role(value: str) -> Role:
    for role in get_args(Role):
        if value == role:
            return role  # type: ignore[no-any-return]  # one of the literals
    raise SettingsError(f"REFERENCE_APP_ROLE is {value!r}; it must be customer or staff.")


def read_guards(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """
    The guards that are on: those named, or all but those named with a minus, as in `-url,-taint`.

    Raises:
        SettingsError: The variable names a guard that does not exist, or mixes the two ways.
    """
    value = environ.get("REFERENCE_APP_GUARDRAILS") or ""
    words = [name for name in (part.strip() for part in value.split(",")) if name]
    off = {name[1:].strip() for name in words if name.startswith("-")}
    named = {name for name in words if not name.startswith("-")} - {"none"}
    if unknown := (named | off) - set(GUARDS):
        raise SettingsError(
            f"REFERENCE_APP_GUARDRAILS names {min(unknown)!r}; write none, or some of {', '.join(GUARDS)}."
        )
    if off and len(off) < len(set(words)):
        raise SettingsError("REFERENCE_APP_GUARDRAILS names guards both with and without a minus.")
    return frozenset(GUARDS) - off if off or not words else frozenset(named)


def _top_k(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= MAX_TOP_K:
        raise SettingsError(f"REFERENCE_APP_TOP_K is {value!r}; it must be a whole number, 1 to {MAX_TOP_K}.")
    return int(value)
