"""Customer support of Fellwind Outfitters, a web shop for outdoor gear: an agent over its documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["answer"]


def answer(question: str | Sequence[str | Mapping[str, str]] | Mapping[str, Any]) -> dict[str, Any]:
    """
    Answer one question of a customer; may be called from many threads at once.

    Args:
        question: At most 2,000 characters; or a mapping of `question` with `file`, an uploaded file's name,
            `history`, earlier turns such as `{"role": "user", "content": "…"}`, or `customer`, the number of
            who is signed in; or turns, of which the last is answered: a text is one of the customer's.

    Returns:
        `text`, which cites sections like `[returns#window]`; `passages`, each with `id`, `text` and
        `score`, best first; `tool_calls`, each with `name`, `arguments`, `decision` and `result`; `model`.

    Raises:
        reference_app.errors.AppError: The app lacks something, such as weights or a document.
        openai.OpenAIError: The endpoint refused or failed, after the client's own retries.
    """
    from reference_app.app import open_app

    return open_app().answer(question)
