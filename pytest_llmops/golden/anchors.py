"""
Anchors: stored outputs that the judged metrics score anew in each run, so that a judge that moved is seen.

A JSONL file that a golden file names under `anchors:`, with `id, input, output, reference, contexts` a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

from pytest_llmops.documents.document import read_document
from pytest_llmops.documents.reading import (
    BrokenValueError,
    checked,
    list_of,
    read_fields,
    record_reader,
    refuse_twice,
)
from pytest_llmops.documents.values import Place, line_of, plain
from pytest_llmops.errors import GoldenError, Problem
from pytest_llmops.records import Anchor, Golden, Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of the file."""

    id: str
    input: Annotated[Any, checked(plain, "what the app was asked", lambda asked: asked is not None)]
    output: str
    reference: str | None = None
    contexts: tuple[str, ...] | None = None


def _make_anchor(*, contexts: tuple[str, ...] | None = None, **fields: Any) -> Anchor:
    passages = [Passage(id=str(at), text=text) for at, text in enumerate(contexts or ())]
    return Anchor(**fields, passages=None if contexts is None else tuple(passages))


_ROWS = {"cases": list_of(record_reader(_make_anchor, _Row))}


def load_anchors(golden: Golden, root: Path) -> tuple[Anchor, ...]:
    """
    Read the anchors of a golden file; none where it names no file.

    Raises:
        GoldenError: A row cannot be read; with `file:line`, all at once.
    """
    if not golden.anchors:
        return ()
    return read_anchors(root / golden.anchors, golden.anchors)


def read_anchors(path: Path, shown: str) -> tuple[Anchor, ...]:
    """Read a file of anchors; `shown` names it in messages."""
    try:
        document, mistakes = read_document(path.read_bytes(), ".jsonl")
    except OSError as error:
        raise GoldenError([Problem(path=shown, line=1, message=f"cannot be read: {error}")]) from None
    problems = [Problem(path=shown, line=mistake.line, message=mistake.message) for mistake in mistakes]
    if document is None and not problems:
        problems.append(Problem(path=shown, line=0, message="holds no row; write one stored output a line"))
    broken: list[tuple[Place, str]] = []
    anchors: tuple[Anchor, ...] = ()
    if document is not None:
        try:
            anchors = read_fields(document, _ROWS)["cases"]
        except BrokenValueError as error:
            broken += error.problems
        try:
            refuse_twice((_id_of(row) for row in document["cases"]), "cases", "id")
        except BrokenValueError as error:
            broken += error.problems
    for place, problem in broken:
        message = str(BrokenValueError((place[2:], problem)))
        problems.append(Problem(path=shown, line=line_of(document, place), message=message))
    if problems:
        raise GoldenError(sorted(problems, key=attrgetter("line")))
    return anchors


def _id_of(row: Any) -> str | None:
    written = row.get("id") if isinstance(row, dict) else None
    return written if isinstance(written, str) else None
