"""The way from the `openai` client to the embedded endpoint, which starts with the first request."""

from __future__ import annotations

import httpx2

from reference_app.models.sharing import Meeting
from reference_app.models.weights import Weights

EMBEDDINGS = "http://reference-app.localhost"
CHAT = "http://chat.reference-app.invalid"
"""
Both are served here, by no name of the network. Calls to this machine cost nothing and are recorded for it
alone; those of the chat model take seconds and a gigabyte of weights, so their recordings are committed.
"""
ATTEMPTS = 5


class EmbeddedTransport(httpx2.BaseTransport):
    """
    Sends what is addressed to `CHAT` or `EMBEDDINGS` to the endpoint that serves the weights.

    A client that replays recorded answers above this transport never starts an endpoint. When the process
    that owns the endpoint ends in the middle of a request, the request is made again at the next one: a
    call to the model changes nothing, so it may be repeated.
    """

    def __init__(self, weights: Weights) -> None:
        self._meeting = Meeting(weights)
        self._inner = httpx2.HTTPTransport(
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raise EndpointError when no endpoint can be had, `httpx2`'s errors when it keeps failing."""
        content = request.read()
        failed: str | None = None
        for attempt in range(1, ATTEMPTS + 1):
            address = httpx2.URL(self._meeting.address(failed=failed))
            url = request.url.copy_with(scheme=address.scheme, host=address.host, port=address.port)
            headers = [(name, value) for name, value in request.headers.multi_items() if name != "host"]
            sent = httpx2.Request(
                request.method, url, headers=headers, content=content, extensions=request.extensions
            )
            try:
                response = self._inner.handle_request(sent)
                body = response.read()
            except (httpx2.NetworkError, httpx2.RemoteProtocolError):
                if attempt == ATTEMPTS:
                    raise
                failed = str(address).rstrip("/")
            else:
                response.close()
                return httpx2.Response(response.status_code, headers=response.headers, content=body)
        raise AssertionError  # the last attempt returns or raises

    def close(self) -> None:
        """Close the connections; the endpoint lives on for the other users of this process."""
        self._inner.close()
