"""
Anchors: stored outputs that the judged metrics score anew in each run, so that a judge that moved is seen.

A JSONL file that a golden file names under `anchors:`, with `id, input, output, reference, contexts` a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_llmops.documents.json_document import parse_unique
from pytest_llmops.errors import GoldenError, Problem, hint
from pytest_llmops.printable import printable
from pytest_llmops.records import Anchor, Golden, Passage

_TEXTS = ("id", "output", "reference")
_KEYS = (*_TEXTS, "input", "contexts")


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
    problems: list[Problem] = []
    anchors: dict[str, Anchor] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GoldenError([Problem(path=shown, line=1, message=f"cannot be read: {error}")]) from None
    for line, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        anchor = _read_row(row)
        if isinstance(anchor, str):
            problems.append(Problem(path=shown, line=line, message=anchor))
        elif anchor.id in anchors:
            message = f"id {printable(anchor.id)!r} occurs twice"
            problems.append(Problem(path=shown, line=line, message=message))
        else:
            anchors[anchor.id] = anchor
    if not anchors and not problems:
        problems.append(Problem(path=shown, line=0, message="holds no row; write one stored output a line"))
    if problems:
        raise GoldenError(problems)
    return tuple(anchors.values())


def _read_row(text: str) -> Anchor | str:  # noqa: PLR0911 - a return a mistake
    try:
        row: Any = parse_unique(text)
    except (ValueError, RecursionError) as error:
        return f"is no JSON: {printable(error)}"
    if not isinstance(row, Mapping):
        return "must be a mapping with id, input and output"
    for key in row:
        if key not in _KEYS:
            return f"unknown key {printable(key)!r}.{hint(str(key), _KEYS)}"
    for key in ("id", "input", "output"):
        if row.get(key) is None:
            return f"{key} is missing; every anchor needs one"
    for key in _TEXTS:
        if not isinstance(row.get(key), str | None):
            return f"{key} must be a text"
    contexts = row.get("contexts")
    if contexts is not None and not (
        isinstance(contexts, list) and all(isinstance(context, str) for context in contexts)
    ):
        return "contexts must be a list of texts"
    return Anchor(
        id=row["id"],
        input=row["input"],
        output=row["output"],
        reference=row.get("reference"),
        passages=None
        if contexts is None
        else tuple(Passage(id=str(place), text=context) for place, context in enumerate(contexts)),
    )
