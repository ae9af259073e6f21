"""What a request carries beside its body, as far as it may tell of a person."""

from __future__ import annotations

from typing import Any

_CREDENTIALS = frozenset({
    "authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "key", "api_key",
    "ocp-apim-subscription-key",
})  # fmt: skip
"""Headers and query parameters whose very purpose is a secret that the provider gave."""
_OF_THE_CLIENT = frozenset({
    "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "host",
    "traceparent", "transfer-encoding", "user-agent",
})  # fmt: skip
_CLIENTS_OWN = "x-stainless-"


def describe_sent(request: Any) -> dict[str, Any]:
    """Path, query and headers of an httpx request, without credentials and what every client sends."""
    headers = {
        name: value
        for name, value in request.headers.multi_items()
        if name not in _CREDENTIALS | _OF_THE_CLIENT and not name.startswith(_CLIENTS_OWN)
    }
    query = [
        f"{name}={value}"
        for name, value in request.url.params.multi_items()
        if name.lower() not in _CREDENTIALS
    ]
    return {"path": request.url.path, "query": query, "headers": headers}
