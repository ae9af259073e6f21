"""
Strict reading of YAML to plain values with lines.

The reader takes the parser's events, not its tree: it checks depth, aliases, doubled keys and tags before
anything is built, so that no file costs more than its size allows. It refuses scalars that YAML 1.1 and 1.2
read differently (`no`, `12:30`, `010`, `1e3`), except in files of other tools.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from pytest_llmops.documents.conflict import CONFLICT, find_conflict
from pytest_llmops.documents.values import (
    MAX_DEPTH,
    Lines,
    Mistake,
    Place,
    Row,
    Table,
    UnreadableError,
    has_lone_surrogate,
)
from pytest_llmops.printable import excerpt

MAX_UNFOLDED = 100_000
DEEPEST_CASSETTE = 200  # levels; parameters of tools in a recorded request are JSON schemas

# Decimal numbers in both versions of YAML; an exponent needs its point and its sign.
_NUMBER = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*(?:[eE][-+][0-9]+)?)?|\.[0-9]+(?:[eE][-+][0-9]+)?)\Z"
)
_NUMBER_1_2 = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+\Z|0o[0-7]+\Z")
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_COMMENT = re.compile(r"(?P<gap>[ \t]+)#(?P<begin>[^\n]?)")
_LONGEST_WORD = len("false")  # that means something else than its letters
_INFINITE = {".nan": math.nan, ".inf": math.inf, "-.inf": -math.inf}
_TEXT_TAGS = ("tag:yaml.org,2002:str", "!")


@dataclass(slots=True)
class _Open:
    """
    A container that is being filled.

    Attributes:
        start: Number of values before it.
        height: Levels of containers, its own included.
        dropped: The value of the present key is not kept.
    """

    value: Table | Row
    line: int
    anchor: str | None
    start: int
    height: int = 1
    key: str | None = None
    key_line: int = 0
    dropped: bool = False


class _Anchored(NamedTuple):
    """A value that aliases repeat; `raw` is a scalar as written, `size` the number of values in it."""

    value: Any
    raw: str
    size: int
    height: int


def read_yaml(
    text: str, *, file: str = "golden file", strict: bool = True, cassette: bool = False
) -> tuple[Any, list[Mistake]]:
    """
    Return the one document of a text and the mistakes in it.

    What is no YAML, nests or unfolds too far, or contains a second document is one mistake, and no value.

    Args:
        file: The kind of file, for messages.
        strict: Off for files that other tools read too: scalars are read as by PyYAML, except dates
            and the like, which stay text; tags choose a scalar's type, and merge keys are refused only at the
            top level.
        cassette: On for what `recorder.yaml_text` writes: JSON after `!json`, infinities, NaN, deeper nests.
    """
    import yaml

    reader = _Reader(text, file, strict=strict, cassette=cassette)
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            reader.take(event)
    except yaml.YAMLError as error:
        return None, [_translated(error, text)]
    except UnreadableError as error:
        return None, [error.mistake]
    return reader.root, reader.mistakes


class _Reader:
    def __init__(self, text: str, file: str, *, strict: bool, cassette: bool) -> None:
        from yaml.resolver import Resolver

        self.root: Any = None
        self.mistakes: list[Mistake] = []
        self._file = file
        self._strict = strict
        self._is_cassette = cassette
        self._deepest = DEEPEST_CASSETTE if cassette else MAX_DEPTH
        self._text = text
        self._lines = Lines(text)
        self._resolver: Any = Resolver()
        self._first: frozenset[str] = frozenset(self._resolver.yaml_implicit_resolvers)
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._documents = 0
        self._size = 0
        self._unfolded = 0

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        if kind == "ScalarEvent":
            line = self._lines.at(event.start_mark.index)
            value = self._scalar(event, line)
            self._size += 1
            if event.anchor is not None:
                self._anchors[event.anchor] = _Anchored(value, event.value, 1, 0)
            self._put(value, line, event.value, is_plain=event.implicit[0])
        elif kind in {"MappingStartEvent", "SequenceStartEvent"}:
            self._open(event, Table() if kind == "MappingStartEvent" else Row())
        elif kind in {"MappingEndEvent", "SequenceEndEvent"}:
            closed = self._stack.pop()
            if closed.anchor is not None:
                size = self._size - closed.start
                self._anchors[closed.anchor] = _Anchored(closed.value, "", size, closed.height)
            self._put(closed.value, closed.line, height=closed.height)
        elif kind == "AliasEvent":
            known = self._alias(event)
            self._put(known.value, self._lines.at(event.start_mark.index), known.raw, height=known.height)
        elif kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise self._broken(event, f"a second document starts here; a {self._file} holds one")

    def _open(self, event: Any, value: Table | Row) -> None:
        if len(self._stack) >= self._deepest:
            raise self._broken(event, f"nested more than {self._deepest} levels deep")
        line = self._lines.at(event.start_mark.index)
        if self._strict and event.tag not in {None, "!"}:
            self._refuse_tag(event.tag, line)
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # open, so that an alias inside is refused
        self._stack.append(_Open(value, line, event.anchor, self._size))
        self._size += 1

    def _alias(self, event: Any) -> _Anchored:
        name = excerpt(f"*{event.anchor}")
        if event.anchor not in self._anchors:
            message = f"{name} repeats what no anchor above names; text that starts with * goes in quotes"
            raise self._broken(event, message)
        known = self._anchors[event.anchor]
        if known is None:
            raise self._broken(event, f"{name} stands inside the value that it repeats")
        self._size += known.size
        self._unfolded += known.size
        if self._unfolded > MAX_UNFOLDED:
            raise self._broken(event, f"the aliases of this file unfold to more than {MAX_UNFOLDED:,} values")
        if len(self._stack) + known.height > self._deepest:
            raise self._broken(event, f"nested more than {self._deepest} levels deep")
        return known

    def _put(self, value: Any, line: int, raw: str = "", *, height: int = 0, is_plain: bool = False) -> None:
        if not self._stack:
            self.root = value
            return
        top = self._stack[-1]
        if height >= top.height:
            top.height = height + 1
        if isinstance(top.value, Row):
            top.value.append(value)
            top.value.lines.append(line)
        elif top.key is None:
            self._key(top, value, line, raw, is_plain=is_plain)
        else:
            if not top.dropped:
                top.value[top.key] = value
                top.value.lines[top.key] = top.key_line
            top.key = None

    def _key(self, top: _Open, value: Any, line: int, raw: str, *, is_plain: bool) -> None:
        table: Any = top.value
        if isinstance(value, Table | Row):
            text = "a key must be text, not a list or a mapping; text that starts with { or [ goes in quotes"
            raise UnreadableError(Mistake(line=line, message=text, place=self._here()))
        key = value if isinstance(value, str) else raw
        is_merge = raw == "<<" and is_plain and (self._strict or len(self._stack) == 1)
        top.key, top.key_line, top.dropped = key, line, key in table or is_merge
        if is_merge:
            self._note(line, "merge keys (<<) are not read here; write the keys out")
        elif key in table:
            self._note(line, f"the key {excerpt(key)} is written twice; first on line {table.lines[key]}")
        elif self._strict and not isinstance(value, str):
            self._note(line, f"the key {excerpt(key)} is not text; write it in quotes")

    def _scalar(self, event: Any, line: int) -> Any:
        text: str = event.value
        tag = event.tag
        if not self._strict:
            kind = self._kind(text, event.implicit) if tag in {None, "!"} else tag.rpartition(":")[2]
            return _guessed(text, kind)
        if tag is not None and tag not in _TEXT_TAGS:
            if self._is_cassette and tag == "!json":
                return self._parse_json(text, line)
            self._refuse_tag(tag, line)
        if not text.isascii() and has_lone_surrogate(text):
            self._note(line, "the text holds half of a surrogate pair")
        if tag is not None or not event.implicit[0]:
            return text
        value = self._plain(text, line) if text[:1] in self._first else text
        if isinstance(value, str):
            self._note_cut(text, event.end_mark.index, line)
        return value

    def _note_cut(self, text: str, end: int, line: int) -> None:
        """Note a text without quotes that a comment cuts, unless the comment is written as one."""
        match = _COMMENT.match(self._text, end)
        if match and (match["begin"].strip(" \r\n#!") or (len(match["gap"]) == 1 and " " in text)):
            self._note(
                line,
                f"{excerpt(text)} ends here, since # begins a comment; write the text in quotes, "
                "or the comment after two spaces: '  # …'",
            )

    def _plain(self, text: str, line: int) -> Any:
        """Read a scalar without quotes whose first character may make it something else than text."""
        value: Any = text
        if len(text) > _LONGEST_WORD and text[0].isalpha():
            return text
        if text in _CONSTANTS:
            value = _CONSTANTS[text]
        elif self._is_cassette and text in _INFINITE:
            value = _INFINITE[text]
        elif not _NUMBER.match(text):
            self._note_doubtful(text, self._kind(text, (True, False)), line)
        elif abs(number := float(text)) == math.inf:
            self._note(line, f"{excerpt(text)} is too large a number; text goes in quotes")
        else:
            value = number if "." in text else int(text)
        return value

    def _parse_json(self, text: str, line: int) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            self._note(line, "what follows !json is no JSON")
            return text

    def _kind(self, text: str, implicit: tuple[bool, bool]) -> str:
        """The type of a scalar in YAML 1.1: `bool`, `timestamp`, `str` …"""
        from yaml.nodes import ScalarNode

        return str(self._resolver.resolve(ScalarNode, text, implicit)).rpartition(":")[2]

    def _note_doubtful(self, text: str, kind: str, line: int) -> None:
        """Note a scalar that is text in one version of YAML and something else in another."""
        if kind == "bool":
            word = "true" if text.lower() in {"yes", "on"} else "false"
            self._note(
                line, f"{text} means {word} in YAML; write {word}, or write it in quotes if it is text"
            )
        elif kind == "timestamp":
            self._note(line, f"{excerpt(text)} is a date in YAML; write it in quotes")
        elif kind in {"int", "float"} or _NUMBER_1_2.match(text):
            self._note(
                line,
                f"{excerpt(text)} is a number to some YAML readers; "
                "write it as a plain decimal number, or in quotes if it is text",
            )

    def _refuse_tag(self, tag: str, line: int) -> None:
        shown = tag.replace("tag:yaml.org,2002:", "!!", 1)
        self._note(line, f"the tag {excerpt(shown)} is not allowed; a {self._file} holds plain values")

    def _note(self, line: int, message: str) -> None:
        self.mistakes.append(Mistake(line=line, message=message, place=self._here()))

    def _here(self) -> Place:
        return tuple(
            len(container.value) if isinstance(container.value, Row) else container.key or ""
            for container in self._stack
        )

    def _broken(self, event: Any, message: str) -> UnreadableError:
        line = self._lines.at(event.start_mark.index)
        return UnreadableError(Mistake(line=line, message=message, place=self._here()))


def _guessed(text: str, kind: str) -> Any:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in {"yes", "true", "on"}
    for number in (int, float) if kind in {"int", "float"} else ():
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _translated(error: Any, text: str) -> Mistake:
    """Return the parser's error with the remedies for frequent mistakes."""
    if conflict := find_conflict(text.encode("utf-8", "surrogatepass")):
        return Mistake(line=conflict, message=f"this is {CONFLICT}")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        before = text.encode()[: getattr(error, "position", 0)]
        return Mistake(line=before.count(b"\n") + 1, message=f"not valid YAML: {str(error).splitlines()[0]}")
    line = Lines(text).at(mark.index)
    problem = str(getattr(error, "problem", None) or getattr(error, "context", None) or "cannot be read")
    if "\t" in text[max(0, mark.index - 1) : mark.index + 1]:
        return Mistake(line=line, message="a tab stands here; YAML is indented with spaces only")
    is_folded = "cannot start any token" in problem and text[mark.index : mark.index + 1] == ">"
    folding = ("chomping or indentation indicators", "expected comment or line break")
    if is_folded or any(part in problem for part in folding):
        return Mistake(line=line, message='a value that starts with > goes in quotes: ">= 0.8"')
    if "quoted scalar" in str(error.context) and "end of stream" in problem:
        opened = Lines(text).at(error.context_mark.index)
        return Mistake(line=opened, message="the quote that opens here is never closed")
    advice = ""
    if "alphabetic or numeric" in problem:
        advice = "; text that starts with * or & goes in quotes"
    elif "mapping values are not allowed" in problem or "cannot start any token" in problem:
        advice = "; text that holds ': ' or starts with a sign such as @ % ` goes in quotes"
    elif "could not find expected ':'" in problem or "did not find expected" in problem:
        advice = "; look at the indentation and the quotes here and one line above"
    return Mistake(line=line, message=f"not valid YAML: {problem}{advice}")
