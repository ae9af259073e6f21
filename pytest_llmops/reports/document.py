"""
A report as a document of tables, notes and folds, and its writers for terminals and Markdown.

Reports hold texts as models, apps and files wrote them. The writers escape them, and nothing else does: on a
terminal nothing invisible acts, in Markdown nothing is markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pytest_llmops.printable import printable, printable_lines

_MARKUP = re.compile(r"[\\`*_{}\[\]()#+!|~>@&-]")
# What GitHub and GitLab make of plain text after Markdown: mentions, references, links, emoji.
_LINKED = re.compile(
    r"(?<!\w)@(?=@*\w)|@(?=[\w-]+\.)|[#!%~&](?=[\w\"])|(?<=GH)-(?=\d)|:(?=//|[\w+-]+:)|www\.",
    re.IGNORECASE | re.ASCII,
)
_NUMBERED = re.compile(r"^(\d+)\.(?=\s|$)")  # begins a list
_LONGEST = 1_200  # characters of a note: what to do stands at its end
_CELL = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of equally many cells under a head; `title` is a line above it."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """
    Sentences or names, a line each.

    Attributes:
        title: A line above them, which gets their number.
        most: The lines that are shown; the others are counted.
        details: Lines below the notes, only for terminals.
    """

    items: Sequence[str]
    title: str = ""
    most: int | None = None
    details: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """
    A line, and texts of several lines that Markdown shows once somebody opens it.

    Attributes:
        texts: Each with its label, such as `input`.
    """

    line: str
    texts: Sequence[tuple[str, str]]


Block = Table | Notes | Fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """
    A report.

    Attributes:
        outcome: One line: the last one on a terminal, the first one in Markdown.
    """

    blocks: Sequence[Block] = field(default=())
    outcome: str = ""


def write_terminal(document: Document) -> list[str]:
    """Return the lines of a document, with an empty one between blocks."""
    blocks = [_terminal_block(block) for block in document.blocks]
    if document.outcome:
        blocks.append([printable(document.outcome, _LONGEST)])
    return _join(blocks)


def write_markdown(document: Document) -> list[str]:
    """Return the lines of a document for a comment on a pull request or a README."""
    blocks = [[f"**{escape(document.outcome)}**"]] if document.outcome else []
    return _join([*blocks, *map(_markdown_block, document.blocks)])


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equally many escaped cells as lines with columns two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def escape(text: str) -> str:
    """Escape a text, so that Markdown shows it as it is, and mentions and links nothing by it."""
    shown = printable(text, _LONGEST).strip()
    ends = [match.start() + 1 for match in _LINKED.finditer(shown)]
    pieces = (shown[start:end] for start, end in pairwise([0, *ends, len(shown)]))
    # A tag and no character, so that what is copied is what was written.
    escaped = "<wbr>".join(_MARKUP.sub(r"\\\g<0>", piece).replace("<", "&lt;") for piece in pieces)
    if escaped.count("$") > 1:  # else a formula
        escaped = escaped.replace("$", "<span>$</span>")
    return _NUMBERED.sub(r"\1\\.", escaped)


def markdown_table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as a table of Markdown; the first one is the head."""
    head, *body = [[escape(cell) or " " for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


def _terminal_block(block: Block) -> list[str]:
    if isinstance(block, Fold):
        texts = (f"  {printable(label)}  {printable(text, _LONGEST)}" for label, text in block.texts)
        return [printable(block.line, _LONGEST), *texts]
    indent = "  " if block.title else ""
    if isinstance(block, Table):
        lines = align([[printable(cell, _CELL) for cell in row] for row in (block.head, *block.rows)])
        title = printable(block.title, _LONGEST)
    else:
        lines = [printable(item, _LONGEST) for item in (*_cut(block), *block.details)]
        title = f"{printable(block.title)}: {len(block.items)}"
    return [*([title] if block.title else []), *(f"{indent}{line}" for line in lines)]


def _markdown_block(block: Block) -> list[str]:
    if isinstance(block, Fold):
        return _markdown_fold(block)
    if isinstance(block, Notes):
        label = f"{block.title}: " if block.title else ""
        return [f"- {escape(label + item)}" for item in _cut(block)]
    table = markdown_table([block.head, *block.rows])
    return [f"**{escape(block.title)}**", "", *table] if block.title else table


def _markdown_fold(fold: Fold) -> list[str]:
    """
    Write texts into `code` and `pre`, where nothing is markup, a mention or a link.

    An empty line before the `pre` keeps those within it from ending it. Its lines are indented, since GitLab
    obeys one that begins with a slash.
    """
    line = html.escape(printable(fold.line, _LONGEST), quote=False)
    texts = [_indent(label, text) for label, text in fold.texts]
    return [
        f"<details><summary><code>{line}</code></summary>",
        "",
        "<pre>",
        *texts,
        "</pre>",
        "",
        "</details>",
    ]


def _indent(label: str, text: str) -> str:
    head, *others = [html.escape(line, quote=False) for line in printable_lines(text)]
    return "\n".join(
        [f"  {html.escape(printable(label)):<10} {head}", *(f"{'':<13}{line}" for line in others)]
    )


def _cut(notes: Notes) -> Iterable[str]:
    yield from notes.items[: notes.most]
    if notes.most is not None and len(notes.items) > notes.most:
        yield f"and {len(notes.items) - notes.most} more"


def _join(blocks: Iterable[Sequence[str]]) -> list[str]:
    lines: list[str] = []
    for block in filter(None, blocks):
        lines += ["", *block] if lines else block
    return lines
