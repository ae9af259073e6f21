"""The texts of a sample that a metric may read, with their places."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pytest_llmops.detect.mask import mask, mask_pointer
from pytest_llmops.detect.neighbours import group_of
from pytest_llmops.detect.texts import walk
from pytest_llmops.records import Sample

PLACES = ("question", "answer", "passages", "tool_calls", "spans")


class Piece(NamedTuple):
    """
    A text and its place: owner (`span`), the owner's name, and JSON pointer.

    The label, `ssn: ` of an attribute `ssn`, is read before the text: often the key shows a number's kind.
    """

    owner: str
    name: str | None
    pointer: str
    label: str
    text: str

    @property
    def group(self) -> str:
        """Equal for the texts of one field of an owner; empty for a key."""
        group = group_of(self.pointer, self.label, self.text)
        return group and f"{self.owner}{group}"

    def place(self, *, strict: bool) -> str:
        """Describe the place for people; name and keys are masked, as they may leak, too."""
        name = "" if self.name is None else repr(mask(self.name, strict=strict))
        pointer = mask_pointer(self.pointer, strict=strict)
        return " ".join(part for part in (self.owner, name, pointer) if part)


def read_pieces(sample: Sample, places: Collection[str]) -> Iterator[Piece]:
    """Yield the texts of those of `PLACES`; the resource that several spans share, once."""
    if "question" in places:
        yield from _pieces("question", None, "", sample.input)
    if "answer" in places:
        for part in ("text", "model"):  # the app chooses the model's name, and run files have it
            yield from _pieces(f"output.{part}", None, "", getattr(sample.output, part))
    for passage in sample.output.passages or () if "passages" in places else ():
        for part in ("id", "text"):
            yield from _pieces("passage", passage.id, part, getattr(passage, part))
    for call in sample.output.tool_calls if "tool_calls" in places else ():
        for part in ("name", "arguments", "decision", "result"):
            yield from _pieces("tool call", call.name, part, getattr(call, part))
    resources: list[Mapping[str, Any]] = []
    for span in sample.spans if "spans" in places else ():
        seen = span.resource in resources
        resources += [] if seen else [span.resource]
        yield from _pieces("span", span.name, "", replace(span, resource={}) if seen else span)


def _pieces(owner: str, name: str | None, key: str, value: Any) -> Iterator[Piece]:
    for text in walk(value, key and f"/{key}", key):
        yield Piece(owner, name, text.pointer, text.label, text.text)
