"""One embedded engine with the adapter loaded, for an evaluation that repeats exactly."""

from __future__ import annotations

from contextlib import contextmanager
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


class Engine:
    """Answers greedily, one question at a time on one thread; nothing of an earlier prompt is kept."""

    def __init__(self, client: OpenAI, *, adapted: bool) -> None:
        self._client, self._adapted = client, adapted

    def answer(
        self, messages: Sequence[dict[str, str]], *, scale: float, max_tokens: int
    ) -> tuple[str, int, int]:
        """
        The text, and the tokens of prompt and text.

        Args:
            scale: Of the adapter, 0 for the base.
        """
        extra: dict[str, Any] = {"cache_prompt": False}
        if self._adapted:
            extra["lora"] = [{"id": 0, "scale": scale}]
        reply = self._client.chat.completions.create(
            model="embedded",
            messages=list(messages),  # type: ignore[arg-type]
            max_tokens=max_tokens,
            temperature=0,
            seed=0,
            extra_body=extra,
        )
        usage = reply.usage
        return (
            reply.choices[0].message.content or "",
            usage.prompt_tokens if usage else 0,
            usage.completion_tokens if usage else 0,
        )


@contextmanager
def open_engine(weights: Path, adapter: Path | None) -> Iterator[Engine]:
    """
    An engine within the block.

    Args:
        weights: GGUF file of the base, as packaged.
        adapter: GGUF file, None for the base alone.

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
            yield Engine(client, adapted=adapter is not None)
    finally:
        del server
