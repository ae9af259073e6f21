"""What the recorder has to know of a provider's protocol."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

JSONObject = Mapping[str, Any]
ToolPiece = tuple[tuple[Any, ...], str, str | JSONObject]
"""The place of a tool call in an answer, and a piece of its name and of its arguments, or all arguments."""


def _none(_: JSONObject) -> None:
    return None


def _no(_: JSONObject) -> bool:
    return False


def _nothing(_: JSONObject) -> Iterator[ToolPiece]:
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """
    A protocol: its requests by the end of their path, and where its answers hold what.

    A reader gets answers of every protocol, and finds nothing in those that are not its own.

    Attributes:
        paths: The kind of call, such as `chat`, by a pattern that the end of the path has to match.
        marks: By kind, keys of which the body of a request must have one, where an app's own service may have
            such a path too; none where the path is enough.
        text: The text of the assistant in a complete answer.
        piece: The piece of the first text in an event of a stream.
        ends: Whether no text follows an event.
        counts: Prompt and completion tokens of an answer, or of an event; None where it does not say.
        model: The model that answered.
        answer_id: The provider's name of the answer.
        tools: Pieces of the tool calls that an answer, or an event, requests.
    """

    paths: Mapping[str, str]
    marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    text: Callable[[JSONObject], str | None] = _none
    piece: Callable[[JSONObject], str | None] = _none
    ends: Callable[[JSONObject], bool] = _no
    counts: Callable[[JSONObject], tuple[int | None, int | None] | None] = _none
    model: Callable[[JSONObject], str | None] = _none
    answer_id: Callable[[JSONObject], str | None] = _none
    tools: Callable[[JSONObject], Iterator[ToolPiece]] = _nothing
    patterns: tuple[tuple[re.Pattern[str], str], ...] = field(init=False)

    def __post_init__(self) -> None:
        patterns = tuple((re.compile(rf"(?:.*){path}/?\Z"), kind) for kind, path in self.paths.items())
        object.__setattr__(self, "patterns", patterns)


def mapping(value: Any) -> JSONObject:
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> list[JSONObject]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def first(value: Any) -> JSONObject:
    return next(iter(mappings(value)), {})


def string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def joined(texts: Iterator[Any]) -> str | None:
    """Join the strings; None where there is none."""
    strings = [text for text in texts if isinstance(text, str)]
    return "".join(strings) if strings else None


def tool_piece(place: tuple[Any, ...], name: Any, arguments: Any) -> ToolPiece:
    """A piece of a tool call; a part of another type than protocols know is none."""
    known = arguments if isinstance(arguments, str | Mapping) else ""
    return place, name if isinstance(name, str) else "", known


def count(counts: JSONObject, *names: str) -> int | None:
    return next((counts[name] for name in names if type(counts.get(name)) is int), None)
