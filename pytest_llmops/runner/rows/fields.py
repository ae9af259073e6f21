"""What the fields of one row say, as outputs, passages and texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_llmops.documents.value_readers import is_number
from pytest_llmops.errors import AnswerError
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import Output, Passage
from pytest_llmops.runner.app.answers import read_answer

_PAIR = 2


class BrokenRowError(Exception):
    """What is wrong with a row, without its place."""


def read_output(given: Mapping[str, Any], *, needed: bool) -> tuple[Output, str | None]:
    """The output to score and, of a pair, the other text."""
    pair = given.get("outputs")
    if pair is not None:
        if not isinstance(pair, list | tuple) or len(pair) != _PAIR:
            raise BrokenRowError(f"outputs must be a list of two, not {printable(pair, 60)}")
        if given.get("output") is not None:
            raise BrokenRowError("has both output and outputs; keep the one that is to be scored")
        first, second = (_answer(each, "outputs") for each in pair)
        return first, second.text
    output = given.get("output")
    if output is None:
        if needed:
            raise BrokenRowError("has no output; write the text to score, or a pair as outputs")
        return Output(text=""), None
    return _answer(output, "output"), None


def _answer(written: Any, name: str) -> Output:
    try:
        return read_answer(written)
    except AnswerError as error:
        problem = str(error).replace("the app returned ", "", 1)
        raise BrokenRowError(f"{name} cannot be read: {problem}") from None


def read_reference(given: Mapping[str, Any]) -> str | None:
    reference, several = given.get("reference"), given.get("references")
    if reference is None and several is not None:
        if not isinstance(several, list | tuple) or not several:
            raise BrokenRowError(f"references must be a list of texts, not {printable(several, 60)}")
        reference = several[0]
    if reference is not None and not isinstance(reference, str):
        raise BrokenRowError(f"reference must be a text, not {printable(reference, 60)}")
    return reference


def read_passages(given: Mapping[str, Any], *, texts: bool) -> tuple[Passage, ...] | None:
    """
    What was retrieved, in its order.

    Args:
        texts: Whether anybody reads the passages; if not, passages with unclear contexts have none.
    """
    contexts, retrieved = given.get("contexts"), given.get("retrieved")
    contents = None if contexts is None else _read_list("contexts", contexts, text=True)
    if retrieved is None:
        return contents
    ranked = _read_list("retrieved", retrieved, text=False)
    if contents is None:
        return ranked
    by_id = {passage.id: passage.text for passage in contents}
    named = all(isinstance(each, Mapping) and "id" in each for each in contexts or ())
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
    return tuple(_read_passage(name, each, at, text=text) for at, each in enumerate(written))


def _read_passage(name: str, written: Any, at: int, *, text: bool) -> Passage:
    """A text, or an id where `text` is false, or a mapping of both."""
    if isinstance(written, str) or (not text and type(written) is int):
        return Passage(id=str(at), text=str(written)) if text else Passage(id=str(written))
    what = "a text" if text else "an id"
    if isinstance(written, Mapping):
        entry, contents, rating = (
            written.get("id", str(at) if text else None),
            written.get("text", ""),
            written.get("score"),
        )
        number = rating is None or is_number(rating)
        if (isinstance(entry, str) or type(entry) is int) and isinstance(contents, str) and number:
            return Passage(id=str(entry), text=contents, score=None if rating is None else float(rating))
    raise BrokenRowError(
        f"{name}[{at}] must be {what}, or a mapping of id, text and score, not {printable(written, 60)}"
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
    for each in written:
        if not isinstance(each, str) and type(each) is not int:
            raise BrokenRowError(f"relevant must contain ids, not {printable(each, 60)}")
    return tuple(map(str, written))
