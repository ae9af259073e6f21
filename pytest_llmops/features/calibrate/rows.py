"""Lines and mappings as rows with ids and places, and the parts of a row that a metric reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_llmops.documents.json_document import STRICT, DoubledKeyError
from pytest_llmops.documents.reading import is_number
from pytest_llmops.errors import AnswerError, LLMOpsError
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import Output, Passage
from pytest_llmops.runner.app.answers import read_answer

_SHOWN = 200
_OF_A_CASE = ("input", "reference", "references", "relevant")
_PAIR = 2


class RowError(LLMOpsError):
    """Rows that cannot be scored; `problems` has all of them, the message the first 200."""

    def __init__(self, problems: Sequence[str]) -> None:
        left = len(problems) - _SHOWN
        more = [f"and {counted(left, 'more problem')}"] if left > 0 else []
        super().__init__("\n".join([*problems[:_SHOWN], *more]))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One row.

    Attributes:
        id: Its own, or its line's number.
        place: For messages, `labels.jsonl:3`.
        problem: Its fault, which makes it no row; else empty.
    """

    id: str
    place: str
    fields: Mapping[str, Any]
    problem: str = ""


def read_rows(text: str, shown: str) -> list[Row]:
    """
    Read the rows of a JSONL text without its empty lines; a line that cannot be read has a problem.

    Args:
        shown: The file in messages.
    """
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{shown}:{number}"
        try:
            row = STRICT.decode(line)
        except (ValueError, RecursionError) as error:
            problem = f"is no JSON: {error}"
            if isinstance(error, DoubledKeyError):
                problem = f"holds {printable(error.found, 60)!r} twice; keep one"
            rows.append(Row(id=str(number), place=place, fields={}, problem=problem))
        else:
            rows.append(_read_row(row, number, place))
    if not rows:
        raise RowError([f"{shown}: holds no row; write one JSON object a line"])
    return _refuse_borrowed(rows)


def list_rows(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Read mappings as rows, the first as `row 1`."""
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise RowError([f"rows must be a list of mappings, one a row, not {printable(rows, 60)}"])
    return _refuse_borrowed(
        [_read_row(row, number, f"row {number}") for number, row in enumerate(rows, start=1)]
    )


def check_rows(rows: Sequence[Row], remedy: str = "each row is one label") -> None:
    """
    Refuse broken rows, and rows with the same id.

    Args:
        remedy: For two rows with one id, the end of the message.
    """
    problems = []
    places: dict[str, str] = {}
    for row in rows:
        if row.problem:
            problems.append(f"{row.place}: {row.problem}")
        elif (first := places.setdefault(row.id, row.place)) != row.place:
            shown = printable(row.id, 60)
            problems.append(f"{row.place}: has the id {shown!r} as {first} has; {remedy}")
    if problems:
        raise RowError(problems)


def number_repeats(rows: Sequence[Row]) -> list[int]:
    """Number the rows of each id, which are repeats of one case, from 0."""
    problems, numbers = [], []
    firsts: dict[str, Row] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        first = firsts.setdefault(row.id, row)
        numbers.append(counts[row.id])
        counts[row.id] += 1
        other = next((name for name in _OF_A_CASE if row.fields.get(name) != first.fields.get(name)), None)
        if row.problem:
            problems.append(f"{row.place}: {row.problem}")
        elif other and not first.problem:
            shown = printable(row.id, 60)
            problems.append(
                f"{row.place}: has the id {shown!r} as {first.place} has, and another {other}; repeats of a "
                "case differ in their outputs alone"
            )
    if problems:
        raise RowError(problems)
    return numbers


def _read_row(row: Any, number: int, place: str) -> Row:
    problem = "" if isinstance(row, Mapping) else f"is no JSON object but {printable(row, 60)}"
    written = None if problem else row.get("id")
    if isinstance(written, bool) or not isinstance(written, str | int | None):
        problem = f"id must be a text or a whole number, not {printable(written, 60)}"
    entry = str(number if written is None else written)
    return Row(id=entry, place=place, fields={} if problem else row, problem=problem)


def _refuse_borrowed(rows: Sequence[Row]) -> list[Row]:
    """Refuse rows without an id whose number is the id of another row."""
    own = {row.id: row.place for row in rows if row.fields.get("id") is not None}
    return [
        replace(row, problem=f"has no id, and its number is the id of {own[row.id]}; give it one")
        if not row.problem and row.fields.get("id") is None and row.id in own
        else row
        for row in rows
    ]


class BrokenRowError(Exception):
    """The fault of a row, without its place."""


def read_output(fields: Mapping[str, Any], *, needed: bool) -> tuple[Output, str | None]:
    """The output to score and, of a pair, the other text."""
    pair = fields.get("outputs")
    if pair is not None:
        if not isinstance(pair, list | tuple) or len(pair) != _PAIR:
            raise BrokenRowError(f"outputs must be a list of two, not {printable(pair, 60)}")
        if fields.get("output") is not None:
            raise BrokenRowError("has both output and outputs; keep the one that is to be scored")
        first, second = (_read_answer(written, "outputs") for written in pair)
        return first, second.text
    output = fields.get("output")
    if output is None:
        if needed:
            raise BrokenRowError("has no output; write the text to score, or a pair as outputs")
        return Output(text=""), None
    return _read_answer(output, "output"), None


def _read_answer(written: Any, name: str) -> Output:
    try:
        return read_answer(written)
    except AnswerError as error:
        problem = str(error).replace("the app returned ", "", 1)
        raise BrokenRowError(f"{name} cannot be read: {problem}") from None


def read_reference(fields: Mapping[str, Any]) -> str | None:
    reference, several = fields.get("reference"), fields.get("references")
    if reference is None and several is not None:
        if not isinstance(several, list | tuple) or not several:
            raise BrokenRowError(f"references must be a list of texts, not {printable(several, 60)}")
        reference = several[0]
    if reference is not None and not isinstance(reference, str):
        raise BrokenRowError(f"reference must be a text, not {printable(reference, 60)}")
    return reference


def read_passages(fields: Mapping[str, Any], *, texts: bool) -> tuple[Passage, ...] | None:
    """
    The retrieved passages, in their order.

    Args:
        texts: The metric reads their texts; if not, passages with unclear contexts have none.
    """
    contexts, retrieved = fields.get("contexts"), fields.get("retrieved")
    contents = None if contexts is None else _read_list("contexts", contexts, text=True)
    if retrieved is None:
        return contents
    ranked = _read_list("retrieved", retrieved, text=False)
    if contents is None:
        return ranked
    by_id = {passage.id: passage.text for passage in contents}
    named = all(isinstance(context, Mapping) and "id" in context for context in contexts or ())
    if not named and len(contents) != len(ranked):
        if not texts:
            return ranked
        raise BrokenRowError(
            f"has {counted(len(contents), 'context')} and {len(ranked)} retrieved; "
            "give contexts ids to join them by"
        )
    return tuple(
        replace(passage, text=passage.text or (by_id.get(passage.id, "") if named else contents[at].text))
        for at, passage in enumerate(ranked)
    )


def _read_list(name: str, written: Any, *, text: bool) -> tuple[Passage, ...]:
    if not isinstance(written, list | tuple):
        raise BrokenRowError(f"{name} must be a list, not {printable(written, 60)}")
    return tuple(_read_passage(name, entry, at, text=text) for at, entry in enumerate(written))


def _read_passage(name: str, written: Any, at: int, *, text: bool) -> Passage:
    """Read a text, or an id where `text` is false, or a mapping of both."""
    if isinstance(written, str) or (not text and type(written) is int):
        return Passage(id=str(at), text=str(written)) if text else Passage(id=str(written))
    if isinstance(written, Mapping):
        entry = written.get("id", str(at) if text else None)
        contents, rating = written.get("text", ""), written.get("score")
        number = rating is None or is_number(rating)
        if (isinstance(entry, str) or type(entry) is int) and isinstance(contents, str) and number:
            return Passage(id=str(entry), text=contents, score=None if rating is None else float(rating))
    kind = "a text" if text else "an id"
    raise BrokenRowError(
        f"{name}[{at}] must be {kind}, or a mapping of id, text and score, not {printable(written, 60)}"
    )


def read_relevant(written: Any) -> tuple[str, ...]:
    if written is None:
        return ()
    if isinstance(written, Mapping):
        if not all(map(is_number, written.values())):
            raise BrokenRowError("relevant must map each id to a number, its grade")
        return tuple(str(entry) for entry, grade in written.items() if grade > 0)
    if not isinstance(written, list | tuple):
        raise BrokenRowError(f"relevant must be a list of ids, not {printable(written, 60)}")
    for entry in written:
        if not isinstance(entry, str) and type(entry) is not int:
            raise BrokenRowError(f"relevant must contain ids, not {printable(entry, 60)}")
    return tuple(map(str, written))
