"""Rubrics: what is asked of an answer, with words for each step of the scale; ours, and a project's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_llmops.documents.values import Table, UnreadableError, described, line_of
from pytest_llmops.documents.yaml_document import read_yaml
from pytest_llmops.errors import MetricOptionError, hint
from pytest_llmops.settings import find_root

SCALE = (1, 2, 3, 4, 5)

OWN = "golden/rubrics"
"""Where a project's rubrics lie that are named without a path."""

DEFAULT = "default"
"""The rubric where none is named."""

_BUILT_IN = Path(__file__).parent / "rubrics"
_SUFFIXES = (".yaml", ".yml")
_KEYS = ("name", "version", "criteria")
_CRITERION_KEYS = ("asks", "yes_no", "weight", "anchors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """
    One thing that is asked of an answer.

    Attributes:
        yes_no: The same as a question whose `yes` is good, for models that can do no more than that.
        anchors: What each step of the scale means, from 1 to 5.
    """

    name: str
    asks: str
    anchors: tuple[str, ...]
    yes_no: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """`digest` is of the file, so that two rubrics of one name differ."""

    name: str
    version: str
    criteria: tuple[Criterion, ...]
    digest: str

    @property
    def identity(self) -> str:
        return f"{self.name}-{self.version}-{self.digest}"


def find_rubric(written: Any, metric: str) -> Rubric:
    """
    The rubric of that name, the project's own before ours, or the one in that file.

    Raises:
        MetricOptionError: There is none, or it is wrong; with the file and line.
    """
    if isinstance(written, Rubric):
        return written
    if not isinstance(written, str) or not written:
        raise MetricOptionError(f"{metric}: rubric is a name or a path, not {written!r}")
    root = find_root(Path.cwd())
    if "/" in written or written.endswith(_SUFFIXES):
        return _read(root / written, written, metric)
    for own in own_rubrics(written):
        if (root / own).is_file():
            return _read(root / own, own, metric)
    built_in = _BUILT_IN / f"{written}.yaml"
    if built_in.is_file():
        return _read(built_in, f"the rubric {written}", metric)
    folders = (root / OWN, _BUILT_IN)
    known = sorted(
        {
            path.stem
            for folder in folders
            if folder.is_dir()
            for path in folder.iterdir()
            if path.suffix in _SUFFIXES
        }
    )
    raise MetricOptionError(
        f"{metric}: no rubric is named {written!r}.{hint(written, known)} Known rubrics: {', '.join(known)}; "
        f"write your own as {OWN}/{written}.yaml, or give a path"
    )


def own_rubrics(name: str) -> list[str]:
    """Where a project's own rubric of that name may lie, from its root; the first that is there is read."""
    return [f"{OWN}/{name}{suffix}" for suffix in _SUFFIXES]


def choose_criteria(rubric: Rubric, written: Any, metric: str) -> Rubric:
    """
    The rubric with only the criteria named, or with other weights.

    Args:
        written: A name, several, or a mapping of names to weights; None for the rubric as it is.

    Raises:
        MetricOptionError: A criterion is not in the rubric, or a weight is no number above 0.
    """
    if written is None:
        return rubric
    known = {each.name: each for each in rubric.criteria}
    pairs: Sequence[tuple[Any, Any]]
    if isinstance(written, Mapping):
        pairs = tuple(written.items())
    else:
        names = (written,) if isinstance(written, str) else written
        if not isinstance(names, tuple | list):
            raise MetricOptionError(
                f"{metric}: criteria is a name, a list of names, or names with weights, not {written!r}"
            )
        pairs = tuple((name, known[name].weight if name in known else 1.0) for name in names)
    if not pairs:
        raise MetricOptionError(f"{metric}: criteria names none; it knows: {', '.join(known)}")
    for name, weight in pairs:
        if name not in known:
            near = hint(str(name), known)
            raise MetricOptionError(
                f"{metric}: the rubric {rubric.name} has no criterion {name!r}.{near} "
                f"It has: {', '.join(known)}."
            )
        if not _is_weight(weight):
            raise MetricOptionError(
                f"{metric}: the weight of {name} must be a number above 0, not {weight!r}"
            )
    return replace(
        rubric, criteria=tuple(replace(known[name], weight=float(weight)) for name, weight in pairs)
    )


def _read(path: Path, display_path: str, metric: str) -> Rubric:
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MetricOptionError(f"{metric}: {display_path} is no UTF-8") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "no such file"
        raise MetricOptionError(f"{metric}: {display_path} cannot be read: {why}") from None
    try:
        document, mistakes = read_yaml(text)
    except UnreadableError as error:
        mistakes = [error.mistake]
    if mistakes:
        raise MetricOptionError(f"{metric}: {display_path}:{mistakes[0].line}: {mistakes[0].message}")
    reader = _Reader(display_path, metric, document)
    return reader.rubric(path.stem, sha256(raw.replace(b"\r\n", b"\n")).hexdigest()[:12])


class _Reader:
    """The first thing that is wrong in a rubric ends its reading."""

    def __init__(self, display_path: str, metric: str, document: Any) -> None:
        self._display_path, self._metric, self._document = display_path, metric, document

    def rubric(self, stem: str, digest: str) -> Rubric:
        table = self._table((), _KEYS)
        criteria = self._value(table, (), "criteria")
        if not isinstance(criteria, Table) or not criteria:
            raise self._error(("criteria",), f"criteria maps names to criteria; it is {described(criteria)}")
        return Rubric(
            name=self._text(table, (), "name") if "name" in table else stem,
            version=self._text(table, (), "version"),
            criteria=tuple(self._criterion(name) for name in criteria),
            digest=digest,
        )

    def _criterion(self, name: str) -> Criterion:
        place = ("criteria", name)
        if not name.isidentifier():
            raise self._error(place, f"a criterion's name is one word of letters, digits and _, not {name!r}")
        table = self._table(place, _CRITERION_KEYS)
        anchors = self._value(table, place, "anchors")
        steps = [str(step) for step in SCALE]
        if not isinstance(anchors, Table) or sorted(anchors) != steps:
            said = f"anchors say in words what each of {', '.join(map(repr, steps))} means"
            raise self._error((*place, "anchors"), f"{said}; they are {described(anchors)}")
        weight = table.get("weight", 1.0)
        if not _is_weight(weight):
            raise self._error((*place, "weight"), f"weight must be a number above 0, not {described(weight)}")
        return Criterion(
            name=name,
            asks=self._text(table, place, "asks"),
            yes_no=self._text(table, place, "yes_no") if "yes_no" in table else "",
            weight=float(weight),
            anchors=tuple(self._text(anchors, (*place, "anchors"), step) for step in steps),
        )

    def _table(self, place: tuple[str, ...], known: Sequence[str]) -> Table:
        table = self._document
        for step in place:
            table = table[step]
        if not isinstance(table, Table):
            said = f"{' '.join(place) or 'a rubric'} must be a mapping of {', '.join(known)}"
            raise self._error(place, said)
        for key in table:
            if key not in known:
                message = f"unknown key {key!r}.{hint(key, known)} Known keys: {', '.join(known)}"
                raise self._error((*place, key), message)
        return table

    def _value(self, table: Table, place: tuple[str, ...], key: str) -> Any:
        if key not in table:
            raise self._error(place, f"{key} is missing")
        return table[key]

    def _text(self, table: Table, place: tuple[str, ...], key: str) -> str:
        value = self._value(table, place, key)
        if not isinstance(value, str) or not value.strip():
            raise self._error((*place, key), f"{key} must be text, not {described(value)}")
        return " ".join(value.split())

    def _error(self, place: tuple[str, ...], message: str) -> MetricOptionError:
        line = line_of(self._document, place)
        return MetricOptionError(f"{self._metric}: {self._display_path}:{line}: {message}")


def _is_weight(value: Any) -> bool:
    return type(value) in {int, float} and 0 < value < math.inf
