"""One embedded engine with the adapter loaded, for answers that repeat exactly."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_app.errors import WeightsError
from reference_app.models.adapter import check_adapter
from reference_app.models.engines import set_up
from reference_app.models.weights import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from openai import OpenAI

OFF, ON = 0.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Answers greedily, one question at a time on one thread; nothing of an earlier prompt is kept."""

    client: OpenAI
    base: str
    adapter: str = ""

    def answer(self, messages: Sequence[dict[str, str]], *, scale: float, max_tokens: int) -> str:
        """The model's words; `scale` is the adapter's, 0 for the base."""
        lora = {"lora": [{"id": 0, "scale": scale}]} if self.adapter else {}
        # A recorded answer is that of these weights alone, and of the base whatever adapter is beside it.
        name = f"{self.base}+{self.adapter}@{scale:g}" if self.adapter and scale else self.base
        asked: Any = list(messages)
        reply = self.client.chat.completions.create(
            model=name,
            messages=asked,
            max_tokens=max_tokens,
            temperature=0,
            seed=0,
            extra_body={"cache_prompt": False, **lora},
        )
        return reply.choices[0].message.content or ""


@contextmanager
def open_engine(weights: Path, adapter: Path | None) -> Iterator[Engine]:
    """
    An engine within the block, of the base as packaged and, if there is one, its adapter.

    Raises:
        WeightsError: The adapter is none of these weights, or cannot be loaded.
    """
    import xllamacpp
    from openai import OpenAI

    if adapter is not None:
        check_adapter(adapter, base=fingerprint(weights))
    try:
        server = xllamacpp.Server(set_up(weights, adapter))
    except RuntimeError as error:
        raise WeightsError(f"{adapter or weights} cannot be loaded: {error}.") from error
    try:
        with OpenAI(base_url=f"{server.listening_address}/v1", api_key="embedded", max_retries=0) as client:
            yield Engine(
                client=client,
                base=fingerprint(weights),
                adapter="" if adapter is None else fingerprint(adapter),
            )
    finally:
        del server
