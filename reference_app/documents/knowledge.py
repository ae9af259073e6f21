"""The shop's documents: Markdown files, cut into sections that can be cited."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.errors import KnowledgeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

UNANSWERED = "unanswered"
STATUSES = ("current", "superseded")
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_HEADING = re.compile(r"^## (.+?)[ \t]*\{#([a-z0-9-]+)\}[ \t]*$", re.MULTILINE)
_ANY_HEADING = re.compile(r"^##(?!#).*$", re.MULTILINE)
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """
    The smallest thing that is found and cited.

    Attributes:
        id: `returns#window`: the document's id and the section's.
        status: `current` or `superseded`, of the whole document.
        updated: Day of the document's last change, YYYY-MM-DD.
        bought_until: What was bought until that day is still under the rules of a superseded document.
    """

    id: str
    title: str
    heading: str
    text: str
    status: str
    updated: str
    bought_until: dt.date | None = None

    @property
    def name(self) -> str:
        """For people: `Returns and exchanges > How long you have`."""
        return " > ".join(filter(None, (self.title, self.heading)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    What customers ask, in their own words.

    Attributes:
        answered: By the id of the section that answers it.
        unanswered: Near the documents' subjects, or far from them, and answered nowhere.
    """

    answered: Mapping[str, Sequence[str]]
    unanswered: Sequence[str]


def load_asked(folder: Path) -> Asked:
    """
    The questions of `questions.yaml`; none where there is no such file.

    Raises:
        KnowledgeError: The file cannot be read or is no mapping of lists of texts.
    """
    import yaml

    path = folder / "questions.yaml"
    if not path.exists():
        return Asked(answered={}, unanswered=())
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise KnowledgeError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(data, dict) or not all(
        isinstance(texts, list) and all(isinstance(text, str) and text.strip() for text in texts)
        for texts in data.values()
    ):
        raise KnowledgeError(f"{path} holds no lists of questions, each under the id of a section.")
    unanswered = data.pop(UNANSWERED, [])
    return Asked(answered=data, unanswered=unanswered)


def load_knowledge(folder: Path) -> tuple[Section, ...]:
    """
    Every section of every `*.md` file, ordered by file name.

    Raises:
        KnowledgeError: No folder or no document, a broken front matter, or an id used twice.
    """
    try:
        paths = sorted(folder.glob("*.md"))
        texts = [path.read_text(encoding="utf-8") for path in paths]
    except (OSError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{folder}: a document cannot be read: {error}.") from error
    if not paths:
        raise KnowledgeError(f"{folder} holds no document (*.md).")
    sections: list[Section] = []
    documents: dict[str, Path] = {}
    for path, text in zip(paths, texts, strict=True):
        front = _front_matter(path, text)
        if front["id"] in documents:
            raise KnowledgeError(f"{path}: id {front['id']!r} is used by {documents[front['id']]} too.")
        documents[front["id"]] = path
        sections += _sections(path, text, front)
    return tuple(sections)


def _front_matter(path: Path, text: str) -> dict[str, str]:
    """Plain `key: value` lines; a YAML parser would take longer than all the rest of the loading."""
    match = _FRONT.match(text)
    if match is None:
        raise KnowledgeError(f"{path}:1: no front matter; it stands between two lines of `---`.")
    front: dict[str, str] = {}
    for number, line in enumerate(match[1].split("\n"), start=2):
        key, colon, value = line.partition(":")
        if not colon or key.strip() in front:
            raise KnowledgeError(f"{path}:{number}: expected one `key: value` a line, each key once.")
        front[key.strip()] = value.strip().strip("\"'")
    for key in ("id", "title", "status", "updated"):
        if not front.get(key):
            raise KnowledgeError(f"{path}:1: the front matter has no {key!r}.")
    if not _SLUG.fullmatch(front["id"]):
        raise KnowledgeError(f"{path}:1: id {front['id']!r} may hold only a-z, 0-9 and `-`.")
    if front["status"] not in STATUSES:
        raise KnowledgeError(f"{path}:1: status {front['status']!r} is none of {', '.join(STATUSES)}.")
    for key in ("updated", "bought_until"):
        if key in front and _read_day(front[key]) is None:
            raise KnowledgeError(f"{path}:1: {key} {front[key]!r} is no day like 2026-03-01.")
    return front


def _read_day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def _sections(path: Path, text: str, front: dict[str, str]) -> list[Section]:
    def line(offset: int) -> int:
        return text.count("\n", 0, offset) + 1

    headings = list(_HEADING.finditer(text))
    named = {match.start() for match in headings}
    for match in _ANY_HEADING.finditer(text):
        if match.start() not in named:
            raise KnowledgeError(f"{path}:{line(match.start())}: the heading has no id like {{#window}}.")
    if not headings:
        raise KnowledgeError(f"{path}: no section; one starts with `## Heading {{#id}}`.")
    sections: dict[str, Section] = {}
    ends = [match.start() for match in headings[1:]] + [len(text)]
    for match, end in zip(headings, ends, strict=True):
        body = " ".join(_COMMENT.sub("", text[match.end() : end]).split())
        if match[2] in sections:
            raise KnowledgeError(f"{path}:{line(match.start())}: section id {match[2]!r} is used twice.")
        if not body:
            raise KnowledgeError(f"{path}:{line(match.start())}: section {match[2]!r} is empty.")
        sections[match[2]] = Section(
            id=f"{front['id']}#{match[2]}",
            title=front["title"],
            heading=match[1],
            text=body,
            status=front["status"],
            updated=front["updated"],
            bought_until=_read_day(front.get("bought_until", "")),
        )
    return list(sections.values())
