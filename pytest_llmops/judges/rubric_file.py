"""Rubrics: criteria for answers, with words for each step of the scale; ours, and a project's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pytest_llmops.documents.document import read_document
from pytest_llmops.documents.reading import (
    BrokenValueError,
    mapping_of,
    positive,
    read_name,
    record_reader,
    refused_as,
    within,
)
from pytest_llmops.documents.values import described, line_of
from pytest_llmops.errors import MetricOptionError, hint
from pytest_llmops.judges.floors import Floor, default_floor, read_floor, read_floors
from pytest_llmops.settings import find_root

SCALE = (1, 2, 3, 4, 5)

OWN = "golden/rubrics"
"""Folder of a project's rubrics that are named without a path."""

DEFAULT = "default"
"""Rubric of checks that name none."""

_BUILT_IN = Path(__file__).parent / "rubrics"
_SUFFIXES = (".yaml", ".yml")
_STEPS = [str(step) for step in SCALE]
_ENDS = (float(SCALE[0]), float(SCALE[-1]))
_WEIGHT = positive()


def _read_line(value: Any) -> str:
    return " ".join(read_name(value).split())


def _read_anchors(value: Any) -> tuple[str, ...]:
    if not isinstance(value, dict) or sorted(value) != _STEPS:
        steps = ", ".join(map(repr, _STEPS))
        raise BrokenValueError(f"say in words what each of {steps} means; they are {described(value)}")
    anchors = mapping_of(_read_line)(value)
    return tuple(anchors[step] for step in _STEPS)


def _read_floor(value: Any) -> float | bool:
    try:
        return read_floor(value, _ENDS, "it") or False
    except MetricOptionError as error:
        raise BrokenValueError(str(error).removeprefix("it ")) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """
    One demand on an answer.

    Attributes:
        yes_no: The same as a question whose `yes` is good, for models that are too small to grade.
        anchors: The meaning of each step of the scale, from 1 to 5.
        floor: The least score that it needs, whatever the others have; False for none. None is the middle of
            the scale in a rubric with several criteria, and none in one with a single criterion, whose score
            the check's own bound is about.
    """

    name: str
    asks: Annotated[str, _read_line]
    anchors: Annotated[tuple[str, ...], _read_anchors]
    yes_no: Annotated[str, _read_line] = ""
    weight: Annotated[float, _WEIGHT] = 1.0
    floor: Annotated[float | bool | None, _read_floor] = None


def _read_criteria(value: Any) -> tuple[Criterion, ...]:
    read = mapping_of(record_reader(partial(Criterion, name=""), Criterion, without=("name",)))
    criteria = tuple(replace(criterion, name=name) for name, criterion in read(value).items())
    for criterion in criteria:
        if not criterion.name.isidentifier():
            raise BrokenValueError(
                ((criterion.name,), "a criterion's name is one word of letters, digits and _")
            )
    if not criteria:
        raise BrokenValueError("maps names to criteria; it is empty")
    return criteria


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """A rubric; `digest` is of its file, so that two rubrics of one name differ."""

    name: Annotated[str, _read_line]
    version: Annotated[str, _read_line]
    criteria: Annotated[tuple[Criterion, ...], _read_criteria]
    digest: str

    @property
    def identity(self) -> str:
        return f"{self.name}-{self.version}-{self.digest}"


def find_rubric(written: Any, metric: str) -> Rubric:
    """
    Read the rubric of that name, the project's own before ours, or the one in that file.

    Raises:
        MetricOptionError: There is none, or it is broken; with the file and line.
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
    paths = (path for folder in (root / OWN, _BUILT_IN) if folder.is_dir() for path in folder.iterdir())
    known = sorted({path.stem for path in paths if path.suffix in _SUFFIXES})
    raise MetricOptionError(
        f"{metric}: no rubric is named {written!r}.{hint(written, known)} Known rubrics: {', '.join(known)}; "
        f"write your own as {OWN}/{written}.yaml, or give a path"
    )


def own_rubrics(name: str) -> list[str]:
    """The paths of a project's own rubric of that name, from its root; the first that exists is read."""
    return [f"{OWN}/{name}{suffix}" for suffix in _SUFFIXES]


def choose_criteria(rubric: Rubric, written: Any, metric: str) -> Rubric:
    """
    Reduce a rubric to the named criteria, or give them other weights.

    Args:
        written: A name, several, or a mapping of names to weights; None for the rubric as it is.
    """
    if written is None:
        return rubric
    known = {criterion.name: criterion for criterion in rubric.criteria}
    pairs: Sequence[tuple[Any, Any]]
    if isinstance(written, Mapping):
        pairs = tuple(written.items())
    else:
        names = (written,) if isinstance(written, str) else written
        if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
            raise MetricOptionError(
                f"{metric}: criteria is a name, a list of names, or names with weights, not {written!r}"
            )
        pairs = tuple((name, known[name].weight if name in known else 1.0) for name in names)
    if not pairs:
        raise MetricOptionError(f"{metric}: criteria names none; it knows: {', '.join(known)}")
    for name, _ in pairs:
        if name not in known:
            near = hint(str(name), known)
            raise MetricOptionError(
                f"{metric}: the rubric {rubric.name} has no criterion {name!r}.{near} "
                f"It has: {', '.join(known)}."
            )
    with refused_as(MetricOptionError, f"{metric}: the weight of "):
        chosen = tuple(replace(known[name], weight=within(name, _WEIGHT, weight)) for name, weight in pairs)
    return replace(rubric, criteria=chosen)


def set_floors(rubric: Rubric, written: Any, metric: str) -> Rubric:
    """
    Give each criterion its floor, or False.

    Args:
        written: As `read_floors` takes it; None for those of the rubric.
    """
    usual: Floor = default_floor(_ENDS) if len(rubric.criteria) > 1 else None
    own = {
        criterion.name: usual if criterion.floor is None else criterion.floor or None
        for criterion in rubric.criteria
    }
    floors = read_floors(written, own, _ENDS, metric)
    criteria = (replace(criterion, floor=floors[criterion.name] or False) for criterion in rubric.criteria)
    return replace(rubric, criteria=tuple(criteria))


def _read(path: Path, display_path: str, metric: str) -> Rubric:
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such file"
        raise MetricOptionError(f"{metric}: {display_path} cannot be read: {reason}") from None
    document, mistakes = read_document(raw)
    if mistakes:
        raise MetricOptionError(f"{metric}: {display_path}:{mistakes[0].line}: {mistakes[0].message}")
    digest = sha256(raw.replace(b"\r\n", b"\n")).hexdigest()[:12]
    make = partial(Rubric, name=path.stem, digest=digest)
    try:
        rubric: Rubric = record_reader(make, Rubric, without=("digest",), optional=("name",))(document)
    except BrokenValueError as error:
        line = line_of(document, error.problems[0][0])
        raise MetricOptionError(f"{metric}: {display_path}:{line}: {error}") from None
    return rubric
