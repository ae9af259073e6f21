"""The shop's documents, tables, pictures and equations in RAG-Anything, gated by `golden/multimodal.yaml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def answer(question: str | Mapping[str, str]) -> dict[str, Any]:
    """
    As `reference_app.answer`, from what is indexed alone; may be called from many threads at once.

    Args:
        question: A text; or a mapping of `text`, `image` (path of a picture) and `table` (of a CSV file).
    """
    from reference_app.variants.raganything.app import open_variant

    return open_variant().answer(question)
