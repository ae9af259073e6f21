"""The two tables that AutoRAG reads: the sections to be found, and questions with the sections they need."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from reference_app.errors import KnowledgeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from reference_app.documents.knowledge import Section

Rows = dict[str, list[Any]]
"""A table's columns."""


def list_texts(sections: Sequence[Section]) -> Rows:
    """
    `corpus.parquet`: each section under its id, with its headings, as the app encodes it.

    Raises:
        KnowledgeError: No section, one without text, or two with the same id.
    """
    if not sections:
        raise KnowledgeError("There is no section for AutoRAG to search.")
    ids = [one.id for one in sections]
    for one in sections:
        if ids.count(one.id) > 1:
            raise KnowledgeError(f"The section {one.id!r} is there twice; AutoRAG needs ids that differ.")
        if not one.text.strip():  # AutoRAG leaves such a row out
            raise KnowledgeError(f"The section {one.id!r} has no text.")
    return {
        "doc_id": ids,
        "contents": [f"{one.title}: {one.heading}. {one.text}" for one in sections],
        "metadata": [{"last_modified_datetime": dt.datetime.fromisoformat(one.updated)} for one in sections],
    }


def list_questions(cases: Sequence[Mapping[str, Any]], texts: Rows) -> Rows:
    """
    `qa.parquet`: each case under its id. A section that is relevant is a need of its own.

    Raises:
        KnowledgeError: No case, or one that needs a section that is not there.
    """
    if not cases:
        raise KnowledgeError("There is no question for AutoRAG to choose by.")
    known = set(texts["doc_id"])
    for case in cases:
        if missing := [each for each in case["relevant"] if each not in known]:
            raise KnowledgeError(
                f"The question {case['id']!r} needs {', '.join(missing)}, which no document has."
            )
    return {
        "qid": [case["id"] for case in cases],
        "query": [case["input"] for case in cases],
        "retrieval_gt": [[[each] for each in case["relevant"]] for case in cases],
        "generation_gt": [[case["reference"]] for case in cases],
    }


def load_cases(golden: Path) -> list[dict[str, Any]]:
    """The cases of a golden file."""
    import yaml

    cases: list[dict[str, Any]] = yaml.safe_load(golden.read_text(encoding="utf-8"))["cases"]
    return cases
