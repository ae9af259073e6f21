"""Splits a stream into its parts: events of SSE (the HTML standard, 9.2), or lines."""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from pytest_llmops.errors import AnswerError

_LINE_END = re.compile(r"\r\n|\n|\r")
_CUT = "the stream ended early, in the middle of a part"


async def read_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, bool]]:
    """
    Yield each line, and whether its end came.

    Raises:
        AnswerError: It is no UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest = ""
    try:
        async for chunk in chunks:
            rest += decoder.decode(chunk)
            held = "\r" if rest.endswith("\r") else ""  # its second half may follow
            *lines, rest = _LINE_END.split(rest.removesuffix("\r"))
            rest += held
            for line in lines:
                yield line, True
        rest += decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise AnswerError("the stream is no UTF-8") from None
    if rest:
        yield rest.removesuffix("\r"), rest.endswith("\r")


@dataclass(slots=True)
class Event:
    """An event of SSE: its name, `message` by default, and its data."""

    name: str = ""
    data: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Take a line of the event; comments and other fields are left out."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self.data.append(value)
        elif name == "event":
            self.name = value


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, str]]:
    """
    Yield name and data of each event that has data.

    Raises:
        AnswerError: The last event is cut.
    """
    event, is_open = Event(), False
    async for line, ended in read_lines(chunks):
        if not ended:
            is_open = True
            break
        if line:
            event.take(line)
            is_open = not line.startswith(":")
            continue
        is_open = False
        if event.data:
            yield event.name or "message", "\n".join(event.data)
        event = Event()
    if is_open and event.data != ["[DONE]"]:
        raise AnswerError(_CUT)


async def read_records(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, str]]:
    """Yield each line that is not empty as an event; the last one may lack its end."""
    async for line, _ in read_lines(chunks):
        if line.strip():
            yield "message", line
