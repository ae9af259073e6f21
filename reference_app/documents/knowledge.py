"""The shop's documents: Markdown files, cut into sections that can be cited."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.errors import KnowledgeError

if TYPE_CHECKING:
    from pathlib import Path

STATUSES = ("current", "superseded")
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_HEADING = re.compile(r"^## *(?!#)(.*?)[ \t]*(?:\{#([a-z0-9-]+)\})?[ \t]*$", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """
    The smallest part of a document that is found and cited.

    Attributes:
        id: `returns#window`: the document's id and the section's.
        title: Of the document.
        status: `current`, or `superseded` where newer rules replaced the document.
        updated: Day of the document's last change, YYYY-MM-DD.
    """

    id: str
    title: str
    heading: str
    text: str
    status: str = "current"
    updated: str = ""

    @property
    def name(self) -> str:
        """What people are shown of it: `Returns and exchanges > How long you have`."""
        return f"{self.title} > {self.heading}"


def load_knowledge(folder: Path) -> tuple[Section, ...]:
    """
    Every section of every `*.md` file, ordered by file name.

    Raises:
        KnowledgeError: The folder has no document, a document breaks the format, or an id is used twice.
    """
    sections: dict[str, Section] = {}
    for path in sorted(folder.glob("*.md")):
        try:
            found = _read_document(path, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise KnowledgeError(f"{path} cannot be read: {error}.") from error
        for section in found:
            if section.id in sections:
                raise KnowledgeError(
                    f"{path}: the id {section.id!r} is used twice; give each section its own."
                )
            sections[section.id] = section
    if not sections:
        raise KnowledgeError(f"{folder} holds no document (*.md).")
    return tuple(sections.values())


def _read_document(path: Path, text: str) -> list[Section]:
    match = _FRONT.match(text)
    pairs = [line.partition(":") for line in (match[1].split("\n") if match else [])]
    front = {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
    for key in ("id", "title", "status", "updated"):
        if not front.get(key):
            raise KnowledgeError(f"{path}:1: the front matter, between two lines of `---`, has no {key!r}.")
    if front["status"] not in STATUSES:
        raise KnowledgeError(f"{path}:1: status {front['status']!r} is none of {', '.join(STATUSES)}.")
    about = {key: front[key] for key in ("title", "status", "updated")}
    headings = list(_HEADING.finditer(text))
    if not headings:
        raise KnowledgeError(f"{path}: no section; one starts with `## Heading {{#id}}`.")
    sections = []
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends, strict=True):
        body = " ".join(_COMMENT.sub("", text[heading.end() : end]).split())
        if not (heading[1] and heading[2] and body):
            line = text.count("\n", 0, heading.start()) + 1
            raise KnowledgeError(
                f"{path}:{line}: a section needs a heading, an id like {{#window}}, and text."
            )
        sections.append(Section(id=f"{front['id']}#{heading[2]}", heading=heading[1], text=body, **about))
    return sections
