"""
The traceback of the app under test as text: its own frames, masked, escaped and bounded.

It is text, since a case runs ahead of its item and often in another process. The format is Python's own, so
editors find its places; `find_crash` and `shorten` read it again.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from traceback import StackSummary, TracebackException

from pytest_llmops.detect.mask import mask
from pytest_llmops.printable import counted, printable
from pytest_llmops.recorder.cassettes import shown_path

_FRAMES = 20  # of one exception, the innermost
_LINE = 400  # characters
_TEXT = 6_000  # characters; the innermost frame and the exception stand at the end
_READ = 20_000  # characters of a line that are looked at: an exception may quote a whole document
_LINES = 400  # that are looked at, the last ones

_FRAME = re.compile(r'^ *File "(?P<path>.+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
_LIBRARIES = re.compile(r"[\\/](?:site|dist)-packages[\\/](?:_?pytest|pluggy|xdist|tenacity)[\\/]")
_INSTALLED = re.compile(r"[\\/](?:site|dist)-packages[\\/]|[\\/]lib[\\/]python3")


_CARRIERS = (
    str(Path(__file__).parents[2]),
    *(str(Path(module.__file__ or "").parent) for module in (asyncio, concurrent.futures, importlib)),
    str(threading.__file__),
)
"""What lies between pytest and the app: this package and how the standard library runs and imports."""


def describe_traceback(error: BaseException) -> str:
    """
    The frames of the app and of its libraries, with the exceptions that led to this one.

    Empty where the app has no frame in it, so that there is nothing to show.
    """
    read = TracebackException.from_exception(error)
    for each in _chain(read):
        kept = [frame for frame in each.stack if not _is_carrier(frame.filename)]
        for frame in kept:
            frame.filename = shown_path(Path(frame.filename))
        each.stack = StackSummary.from_list(kept[-_FRAMES:])
        if isinstance(filename := getattr(each, "filename", None), str):  # of a syntax error
            each.filename = shown_path(Path(filename))
    if not any(each.stack or hasattr(each, "filename") for each in _chain(read)):
        return ""
    written = "".join(read.format()).rstrip().split("\n")[-_LINES:]
    text = mask("\n".join(line[:_READ] for line in written))  # and then cut: half a secret cannot be found
    lines = [printable(line, _LINE) for line in text.split("\n")]
    cut = 0
    while sum(map(len, lines)) > _TEXT and len(lines) > 1:
        lines.pop(0)
        cut += 1
    return "\n".join([*([f"… ({counted(cut, 'more line')})"] if cut else []), *lines])


def find_crash(traceback: str) -> tuple[str, int] | None:
    """File and line where it broke: the innermost frame of the project, else of a library."""
    frames = filter(None, map(_FRAME.match, traceback.split("\n")))
    found = [(matched["path"], int(matched["line"])) for matched in frames]
    own = [place for place in found if not _INSTALLED.search(place[0])]
    return (own or found)[-1] if found else None


def shorten(traceback: str) -> str:
    """A frame as one line with its source below, as `--tb=short` shows them."""
    lines = []
    for line in traceback.split("\n"):
        if matched := _FRAME.match(line):
            within = f": in {matched['function']}" if matched["function"] else ":"
            lines.append(f"{matched['path']}:{matched['line']}{within}")
        elif line.strip(" ^~") or not line.strip():  # not the marks that Python sets below a line
            lines.append(line)
    return "\n".join(lines)


def _chain(read: TracebackException) -> Iterator[TracebackException]:
    """The exception, those it came from, and the members of groups; each once."""
    waiting: list[TracebackException | None] = [read]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__, *(getattr(each, "exceptions", None) or ())]


def _is_carrier(filename: str) -> bool:
    return filename.startswith(("<frozen importlib", *_CARRIERS)) or _LIBRARIES.search(filename) is not None
