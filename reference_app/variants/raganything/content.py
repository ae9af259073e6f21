"""What the shop has besides its documents: tables, pictures and equations, each under an id."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.documents.knowledge import Section
from reference_app.errors import KnowledgeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CONTENT = Path(__file__).parent / "content"
KINDS = {"tables": "table", "images": "image", "equations": "equation"}
NEEDED = {
    "table": ("caption", "header", "rows"),
    "image": ("caption", "picture"),
    "equation": ("latex", "text"),
}
LISTS = {"header", "rows"}
_ID = re.compile(r"[a-z0-9-]+#(table|image|equation)")


@dataclass(frozen=True, slots=True)
class Part:
    """What RAG-Anything takes at once: its name, the entry of a content list, and what is said in it."""

    name: str
    entry: Mapping[str, Any]
    text: str = ""

    def is_asked_for(self, prompt: str) -> bool:
        """Whether a prompt of RAG-Anything has all of its rows."""
        rows = self.entry.get("table_body", ())
        return all(f"| {' | '.join(row)} |" in prompt for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """
    A table, picture or equation.

    Attributes:
        parts: The whole, and of a table each row, since a vector of many rows is near to none of them.
        sha256: Of its picture.
    """

    id: str
    title: str
    kind: str
    caption: str
    parts: Sequence[Part]
    sha256: str = ""

    def as_section(self, text: str) -> Section:
        """What is found and quoted: the text that describes it."""
        return Section(
            id=self.id, title=self.title, heading=self.caption, text=text, status="current", updated=""
        )


def load_items(folder: Path = CONTENT, taken: Iterable[str] = ()) -> tuple[Item, ...]:
    """
    The items of `items.yaml`.

    Args:
        folder: Has the pictures too.
        taken: Ids of sections, which no item may have.

    Raises:
        KnowledgeError: The file is missing or broken, an id is used twice, or an item is empty.
    """
    import yaml

    path, items = folder / "items.yaml", dict[str, Item]()
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise KnowledgeError(f"{path} cannot be read: {' '.join(str(error).split())}.") from None
    if not isinstance(data, dict) or not data.keys() <= KINDS.keys():
        raise KnowledgeError(f"{path} must contain lists under {', '.join(KINDS)}.")
    for name, kind in KINDS.items():
        for given in data.get(name) or ():
            item = _read_item(path, kind, given)
            if item.id in items or item.id in taken:
                raise KnowledgeError(f"{path}: the id {item.id!r} is used twice.")
            items[item.id] = item
    if not items:
        raise KnowledgeError(f"{path} has no table, picture or equation.")
    return tuple(items.values())


def _read_item(path: Path, kind: str, given: Any) -> Item:
    name = given.get("id") if isinstance(given, dict) else given
    if not isinstance(name, str) or not _ID.fullmatch(name) or not name.endswith(f"#{kind}"):
        raise KnowledgeError(f"{path}: {name!r} is no id like size-boots#{kind}.")
    for key in ("title", *NEEDED[kind]):
        kept = given.get(key)
        if not kept or not isinstance(kept, list if key in LISTS else str) or not str(kept).strip():
            raise KnowledgeError(f"{path}: {name}: {key!r} is missing or empty.")
    entry: dict[str, Any] = {"type": kind, "page_idx": 0}
    title, sha256 = given["title"], ""
    named = [f"{title}: {given.get('caption')}"]
    if kind == "table":
        header, *rows = table = [given["header"], *given["rows"]]
        if not all(_is_row(row, len(header)) for row in table):
            raise KnowledgeError(f"{path}: {name}: each row must have {len(header)} cells of text.")
        entry |= {"table_caption": named}
        says = [f"{first} ({_join(header[1:], cells)})." for first, *cells in rows]
        parts = [Part(title, {**entry, "table_body": table}, " ".join(says))]
        for row, text in zip(rows, says, strict=True) if len(rows) > 1 else ():
            parts.append(Part(f"{title}, {row[0]}", {**entry, "table_body": [header, row]}, text))
    elif kind == "image":
        picture = path.parent / given["picture"]
        if not picture.is_file():
            raise KnowledgeError(f"{path}: {name}: there is no picture {picture}.")
        sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()
        parts = [Part(title, {**entry, "img_path": str(picture), "image_caption": named})]
    else:
        text = f"{given['text']} Formula: {given['latex']}."
        parts = [Part(title, {**entry, "latex": given["latex"], "text": given["text"]}, text)]
    caption = given.get("caption", "Formula")
    return Item(id=name, title=title, kind=kind, caption=caption, parts=parts, sha256=sha256)


def _is_row(row: object, cells: int) -> bool:
    return (
        isinstance(row, list)
        and len(row) == cells
        and all(isinstance(cell, str) and cell.strip() for cell in row)
    )


def _join(header: list[str], cells: list[str]) -> str:
    return ", ".join(f"{head} {cell}" for head, cell in zip(header, cells, strict=True))
