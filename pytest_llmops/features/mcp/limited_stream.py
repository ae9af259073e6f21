"""Bodies of HTTP answers up to a size; the SDK's client would read one of any size into memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

MAX_BYTES = 8_000_000


async def limit_body(response: httpx2.Response) -> None:
    """A hook of the HTTP client: reading more of the answer breaks off."""
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Limited(response.stream)


class _Limited(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_BYTES
        async for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise httpx2.ReadError(f"the answer has more than {MAX_BYTES:,} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
