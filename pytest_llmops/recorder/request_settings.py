"""The settings of a model request: all of its body that is neither content nor somebody's id."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

ENDPOINT, API, SYSTEM = "endpoint", "api", "system"
_CONTENT = frozenset({
    "model", "messages", "input", "prompt", "suffix", "contents", "query", "documents",
    "system", "instructions", "systemInstruction", "system_instruction",
    "tools", "functions", "mcp_servers",
    "stream", "stream_options", "user", "metadata", "safety_identifier", "prompt_cache_key", "conversation",
    "store", "background",
})  # fmt: skip
_SYSTEM_ROLES = frozenset({"system", "developer"})
_WORD = re.compile(r"[A-Za-z][\w.+-]{0,31}", re.ASCII)
_CREDENTIAL = re.compile(
    r"((api|access|secret|private|session|encryption|signing|client|account|subscription|master|licen[cs]e)_?key"
    r"|secrets?|passw(or)?ds?|passphrase|credentials?|cookie|(^|_)(pwd|pw|pat|pin|auth|dsn))$"
)
_PERHAPS = re.compile(r"(key|token)$")
_LONG = 16
_DEEPEST = 3
_DIGITS = 12


def settings_of(provider: str, kind: str, request: Any) -> dict[str, str]:
    """
    Return name to value: sampling and every other setting, endpoint, and the digest of the system prompt.

    Numbers, truth values and single words are readable, everything else is a digest with a `#`. A part of a
    mapping has a dotted name, `reasoning.effort`. Unknown names are settings too, whatever the provider.

    Args:
        provider: The host, as the recorder names it.
        kind: `chat`, `embeddings` …, as the recorder names calls.
        request: The body, as JSON.
    """
    settings = {ENDPOINT: provider, API: kind}
    if not isinstance(request, Mapping):
        return settings
    body = {
        name: value
        for name, value in request.items()
        if name not in _CONTENT and not name.endswith(("_id", "Id"))
    }
    settings |= dict(_flatten(body, "", 0))
    if system := _system_of(request):
        settings[SYSTEM] = _digest(system)
    return settings


def is_credential(name: str, value: str | None = None) -> bool:
    """
    Return whether a setting, variable or file of that name is a credential, which is nobody's cause.

    Only the last word of a name counts: `PASSWORD_RESET=off` is a switch.

    Args:
        value: By which a `SORT_KEY` or `STOP_TOKEN` is told from a credential; None takes it for one.
    """
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().replace("-", "_")
    if _CREDENTIAL.search(words):
        return True
    is_long = value is None or (len(value) >= _LONG and not re.search(r"\s", value))
    return is_long and _PERHAPS.search(words) is not None


def _flatten(body: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    for name, value in sorted(body.items()):
        path = f"{prefix}{name}".replace(":", "_")
        if value is None:
            continue
        if is_credential(name):
            yield path, "set"
            continue
        if isinstance(value, Mapping) and value and depth < _DEEPEST and "schema" not in name.lower():
            yield from _flatten(value, f"{path}.", depth + 1)
        else:
            yield path, _show(value)


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    return f"#{_digest(value)}"


def _system_of(request: Mapping[str, Any]) -> list[Any]:
    """Texts that instruct the model: fields of their own, and messages of those roles."""
    fields = ("system", "instructions", "systemInstruction", "system_instruction")
    texts = [request[name] for name in fields if request.get(name)]
    for name in ("messages", "input"):
        messages = request.get(name)
        texts += [
            message.get("content")
            for message in (messages if isinstance(messages, list) else ())
            if isinstance(message, Mapping) and message.get("role") in _SYSTEM_ROLES
        ]
    return texts


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()[:_DIGITS]
