"""Instructions to the model, hidden characters and markup in every text of a definition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pytest_llmops.detect.texts import label_of, walk
from pytest_llmops.mcp.findings import HIDDEN, INSTRUCTIONS, MARKUP, McpFinding
from pytest_llmops.mcp.rules.patterns import find_hidden, find_markup, find_orders
from pytest_llmops.mcp.server import MAX_CHARACTERS
from pytest_llmops.metrics.injection.findings import find_in
from pytest_llmops.metrics.injection.scanner import LIKELY
from pytest_llmops.metrics.places import Piece

TOGETHER = "(all texts together)"
"""The place of an instruction that is cut over several texts of a definition."""

_APART = re.compile(r"[_\-./]+|(?<=[a-z])(?=[A-Z])")
_PROSE = re.compile(r"\w\s+\w")


def check_texts(tool: str, definition: Any) -> Iterator[McpFinding]:
    """Every key and value is read: names, titles, descriptions, enums, defaults, also of JSON in strings."""
    texts = [(pointer[1:], text) for pointer, text in walk(definition)]
    yield from _check_form(tool, texts)
    pieces = [Piece("tool", None, f"/{field}", label_of(f"/{field}", text), text) for field, text in texts]
    pieces += _spaced(pieces)
    alone = [each for each in find_in(pieces, MAX_CHARACTERS) if each.found.value >= LIKELY]
    for each in alone:
        detail = f"{each.found.rule}, {each.found.view}: {each.text[each.found.start : each.found.end]!r}"
        yield McpFinding(tool=tool, field=_field(each.place), what=INSTRUCTIONS, detail=detail)
    prose = list(dict.fromkeys(text for _, text in texts if _PROSE.search(text)))
    if alone or len(prose) < 2:  # noqa: PLR2004 - of one text there is nothing to join
        return
    together = Piece("tool", None, "/", "", " ".join(prose)[:MAX_CHARACTERS])
    for each in find_in([together], MAX_CHARACTERS)[:1]:
        if each.found.value >= LIKELY:
            detail = f"{each.found.rule}: {each.text[each.found.start : each.found.end]!r}"
            yield McpFinding(tool=tool, field=TOGETHER, what=INSTRUCTIONS, detail=detail)


def _check_form(tool: str, texts: Sequence[tuple[str, str]]) -> Iterator[McpFinding]:
    """What patterns see: of a text that stands at one place as key and value, once."""
    for field, text in dict.fromkeys(texts):
        if hidden := find_hidden(text):
            yield McpFinding(tool=tool, field=field, what=HIDDEN, detail=hidden)
        if markup := find_markup(text):
            yield McpFinding(tool=tool, field=field, what=MARKUP, detail=repr(markup))
        for reason, words in find_orders(text):
            yield McpFinding(tool=tool, field=field, what=INSTRUCTIONS, detail=f"{reason}: {words!r}")


def _spaced(pieces: Sequence[Piece]) -> list[Piece]:
    """Names as sentences: `ignore_all_rules` as `ignore all rules`."""
    spaced = ((piece, _APART.sub(" ", piece.text)) for piece in pieces if " " not in piece.text.strip())
    return [piece._replace(text=text) for piece, text in spaced if text != piece.text and " " in text]


def _field(place: str) -> str:
    """The pointer of a place such as `tool /description`."""
    return place.removeprefix("tool ").removeprefix("/")
