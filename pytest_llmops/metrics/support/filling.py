"""What wildcards of an allowed sentence may stand for: runs of words of prose, or whole values of one row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from pytest_llmops.metrics.facts.sources import read_record
from pytest_llmops.metrics.language import Language
from pytest_llmops.metrics.support.claims import list_words, split
from pytest_llmops.records import ToolCall
from pytest_llmops.text.characters import fold
from pytest_llmops.text.words import join_thousands

_LONGEST = 150  # words in place of a wildcard: time grows with their number
_PROSE = 6  # words from which on a value of a record is prose, of which a part may be said
_DEPTH = 6  # levels of a record that are read


@dataclass(frozen=True, slots=True)
class Prose:
    """
    A sentence whose runs of words may stand for wildcards.

    Attributes:
        edges: Places between words with white space, where a run may begin or end.
        ends: Places where a clause ends.
    """

    text: str
    words: tuple[str, ...]
    edges: frozenset[int]
    ends: tuple[int, ...]

    @classmethod
    def read(cls, text: str, language: Language) -> Prose:
        """Read a sentence of that language."""
        words: list[str] = []
        edges, ends = {0}, []
        for clause in language.breaks.split(join_thousands(fold(text))):
            for piece in clause.split():
                own = list_words(piece)
                if language.is_unspaced:
                    edges.update(range(len(words), len(words) + len(own)))
                words += own
                edges.add(len(words))
            ends.append(len(words))
        return cls(text, tuple(words), frozenset(edges), tuple(ends))

    def fills(self, parts: Sequence[Sequence[str]], language: Language) -> bool:
        """
        Return whether each part is a run of the words, in their order, and no clause ends between two runs.

        A run of words of grammar alone says nothing that the sentence is about.
        """
        grammar = language.function | language.logic
        reached: list[int] | None = None  # where the parts before may end
        for part in parts:
            if len(part) > _LONGEST or grammar.issuperset(part):
                return False
            reached = [
                start + len(part) for start in self._find(tuple(part)) if self._follows(reached, start)
            ]
            if not reached:
                return False
        return True

    def _find(self, part: tuple[str, ...]) -> Iterator[int]:
        for start in range(len(self.words) - len(part) + 1):
            end = start + len(part)
            if self.words[start:end] == part and {start, end} <= self.edges:
                yield start

    def _follows(self, reached: Sequence[int] | None, start: int) -> bool:
        if reached is None:
            return True
        at = bisect_right(reached, start)
        return at > 0 and bisect_right(self.ends, start) == bisect_right(self.ends, reached[at - 1] - 1)


@dataclass(frozen=True, slots=True)
class _Level:
    """Values of one object of a record: whole, alone or with their keys, and the sentences of long ones."""

    text: str
    units: frozenset[tuple[str, ...]]
    prose: tuple[Prose, ...]

    @classmethod
    def read(cls, values: Sequence[tuple[str, Any]], language: Language) -> _Level:
        units: set[tuple[str, ...]] = set()
        prose: list[Prose] = []
        shown: list[str] = []
        for name, value in values:
            key = name.replace("_", " ")
            own, words = tuple(list_words(key)), tuple(list_words("" if value is True else str(value)))
            shown.append(f"{key} {'' if value is True else value}".strip())
            if value is True:
                units.add(own)
            elif len(words) <= _LONGEST:
                units |= {words, own + words, words + own}
            if len(words) >= _PROSE:
                prose += (Prose.read(sentence, language) for sentence in split(str(value)))
        return cls(", ".join(shown), frozenset(units - {()}), tuple(prose))


@dataclass(frozen=True, slots=True)
class Row:
    """An object of a tool's result, with the values of those that it is in, and the arguments of the call."""

    levels: tuple[_Level, ...]

    @property
    def text(self) -> str:
        return ", ".join(level.text for level in self.levels if level.text)

    def fill(self, parts: Sequence[Sequence[str]], language: Language) -> list[str] | None:
        """
        Return the sentences of long values that have a part; none if all are whole values.

        None if a part is in neither.
        """
        rest = [part for part in parts if not self._has_values(part)]
        if not rest:
            return []
        texts = [text.text for level in self.levels for text in level.prose if text.fills(rest, language)]
        return texts or None

    def _has_values(self, part: Sequence[str]) -> bool:
        """Return whether words are whole values, one after the other."""
        if len(part) > _LONGEST:
            return False
        reached = {0}
        for end in range(1, len(part) + 1):
            if any(
                tuple(part[start:end]) in level.units for start in sorted(reached) for level in self.levels
            ):
                reached.add(end)
        return len(part) in reached


def list_rows(call: ToolCall, language: Language) -> Iterator[Row]:
    """
    Yield the rows of a call: objects in a list, and others of one shape side by side, are one each.

    An argument is of every row, unless it is a value of some of them: then it is of these.
    """
    result = read_record(call)
    result = call.result if result is None else result
    # What a call is named says what was asked for, not what came of it.
    asked = [("", call.name.replace("_", " "))] if call.result is None else []
    inner: list[Any] = [call.arguments]
    while inner:  # what is asked for together is one row
        values, below = _read_object(inner.pop())
        asked, inner = [*asked, *values], [*inner, *below]
    rows = list(_list_rows(result, (), language))
    units = [frozenset[tuple[str, ...]]().union(*(level.units for level in row.levels)) for row in rows]
    of_any = frozenset[tuple[str, ...]]().union(*units)
    for row, own in zip(rows, units, strict=True):
        of_others = of_any - own
        shared = [(name, value) for name, value in asked if tuple(list_words(str(value))) not in of_others]
        yield Row((_Level.read(shared, language), *row.levels))


def _list_rows(value: Any, above: tuple[_Level, ...], language: Language, depth: int = 0) -> Iterator[Row]:
    values, inner = _read_object(value)
    levels = (*above, _Level.read(values, language)) if values else above
    if not inner or depth >= _DEPTH:
        yield Row(levels)
        return
    for each in inner:
        yield from _list_rows(each, levels, language, depth + 1)


def _read_object(value: Any, key: str = "", depth: int = 0) -> tuple[list[tuple[str, Any]], list[Any]]:
    """Return the values of an object with their keys, and the rows in it."""
    values: list[tuple[str, Any]] = []
    inner: list[Any] = []
    if depth > _DEPTH:
        return values, inner
    if isinstance(value, Mapping):
        objects = [set(item) for item in value.values() if isinstance(item, Mapping)]
        are_rows = any(len(one & other) * 2 > len(one | other) for one, other in combinations(objects[:9], 2))
        for name, item in value.items():
            if are_rows and isinstance(item, Mapping):
                inner.append({**item, "": name} if "" not in item else item)
                continue
            own, below = _read_object(item, str(name), depth + 1)
            values, inner = values + own, inner + below
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, Mapping | list | tuple):
                inner.append(item)
            elif item is not None and item is not False:
                values.append((key, item))
    elif value is not None and value is not False:
        values.append((key, value))
    return values, inner
