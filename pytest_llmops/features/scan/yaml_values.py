"""
The values of a YAML file of anybody's, with their places, for texts to be looked for in.

Unlike `documents.yaml_document` it refuses nothing that is YAML and drops no text: several documents,
repeated keys, tags, dates and numbers, which stay as written. It takes the parser's events, so deep nests
cost nothing, and an alias is read only if it is a short text: what it repeats was read where it is written.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any

from pytest_llmops.detect.labels import Pairs
from pytest_llmops.detect.texts import escape

_DEEPEST = 60  # levels, fewer than `walk` takes apart
_LONGEST_ALIAS = 200  # characters of a text that aliases repeat


@dataclass(frozen=True)  # without slots, for what is cached
class YamlValues:
    """
    The values of a file.

    Attributes:
        value: The document, or the list of several.
        scalars: Start and end in the text of each scalar with its key, and its JSON pointer.
    """

    value: Any
    scalars: Sequence[tuple[int, int, str]]

    def find_scalar(self, pointer: str) -> str:
        """Return the pointer of the scalar that a place is in: of JSON in a text, the text's."""
        while pointer and pointer not in self._pointers:
            pointer = pointer.rpartition("/")[0]
        return pointer

    @cached_property
    def _pointers(self) -> frozenset[str]:
        return frozenset(pointer for _, _, pointer in self.scalars)

    def find_scalar_at(self, at: int) -> str:
        """Return the pointer of the scalar that a place of the text is in; empty for none."""
        nearest = bisect_right(self.scalars, at, key=itemgetter(0)) - 1
        if nearest < 0 or at >= self.scalars[nearest][1]:
            return ""
        return self.scalars[nearest][2]


@dataclass(slots=True)
class _Open:
    pointer: str
    is_mapping: bool
    items: list[Any] = field(default_factory=list)
    key: str | None = None
    key_start: int = 0

    def below(self) -> str:
        """Return the pointer of the next value in it."""
        return f"{self.pointer}/{len(self.items) if self.key is None else escape(self.key)}"


class _Builder:
    def __init__(self) -> None:
        self.top = _Open("", is_mapping=False)
        self.scalars: list[tuple[int, int, str]] = []
        self._stack = [self.top]
        self._texts: dict[str, str] = {}

    def take(self, event: Any) -> bool:
        """Add what an event begins, ends or says; return whether it nests too deep."""
        kind = type(event).__name__
        start, end = event.start_mark.index, event.end_mark.index
        if kind == "ScalarEvent":
            self._texts[event.anchor or ""] = event.value
            self._put(event.value, start, end)
        elif kind == "AliasEvent":
            repeated = self._texts.get(event.anchor, "")
            self._put(repeated if len(repeated) <= _LONGEST_ALIAS else None, start, end)
        elif kind in {"MappingStartEvent", "SequenceStartEvent"}:
            self._stack.append(_Open(self._stack[-1].below(), kind == "MappingStartEvent"))
        elif kind in {"MappingEndEvent", "SequenceEndEvent"}:
            closed = self._stack.pop()
            self._put(Pairs(closed.items) if closed.is_mapping else closed.items, start, end)
        return len(self._stack) > _DEEPEST

    def _put(self, value: Any, start: int, end: int) -> None:
        parent = self._stack[-1]
        if parent.is_mapping and parent.key is None:
            parent.key, parent.key_start = str(value), start
            return
        if isinstance(value, str):
            self.scalars.append((start if parent.key is None else parent.key_start, end, parent.below()))
        parent.items.append(value if parent.key is None else (parent.key, value))
        parent.key = None


def read_yaml_values(text: str) -> YamlValues | None:
    """Return the values of a text; None where it is no YAML of lists and mappings, or nests too deep."""
    import yaml

    builder = _Builder()
    try:
        if any(map(builder.take, yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))):
            return None
    except yaml.YAMLError:
        return None
    documents = builder.top.items
    if all(isinstance(document, str | None) for document in documents):
        return None
    if len(documents) > 1:
        return YamlValues(documents, builder.scalars)
    alone = [(start, end, pointer.removeprefix("/0")) for start, end, pointer in builder.scalars]
    return YamlValues(documents[0], alone)
