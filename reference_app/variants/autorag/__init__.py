"""The shop's documents in the pipeline that AutoRAG chose, gated by the document cases of the golden set."""

from __future__ import annotations

from typing import Any


def answer(question: str) -> dict[str, Any]:
    """As `reference_app.answer`, from documents alone; may be called from many threads at once."""
    from reference_app.variants.autorag.app import open_variant

    return open_variant().answer(question)
