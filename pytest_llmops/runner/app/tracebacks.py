"""
The traceback of the app under test as text: its own frames, masked, escaped and bounded.

It is text, since a case runs ahead of its item and often in another process. The format is Python's own, so
that editors find its places; `find_crash` and `shorten` parse it.
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
_TEXT = 6_000  # characters; the innermost frame and the exception are at the end
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
"""Code between pytest and the app: this package, and the standard library that runs and imports."""


def describe_traceback(error: BaseException) -> str:
    """
    Format the frames of the app and of its libraries, with the exceptions that led to this one.

    Empty where the app has no frame in it, so that there is nothing to show.
    """
    read = TracebackException.from_exception(error)
    for raised in _chain(read):
        frames = [frame for frame in raised.stack if not _is_carrier(frame.filename)]
        for frame in frames:
            frame.filename = shown_path(Path(frame.filename))
        raised.stack = StackSummary.from_list(frames[-_FRAMES:])
        if isinstance(filename := getattr(raised, "filename", None), str):  # of a syntax error
            raised.filename = shown_path(Path(filename))
    if not any(raised.stack or hasattr(raised, "filename") for raised in _chain(read)):
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
    """Return file and line of the crash: the innermost frame of the project, else of a library."""
    frames = filter(None, map(_FRAME.match, traceback.split("\n")))
    places = [(frame["path"], int(frame["line"])) for frame in frames]
    own = [place for place in places if not _INSTALLED.search(place[0])]
    return (own or places)[-1] if places else None


def shorten(traceback: str) -> str:
    """Write each frame as one line with its source below, as `--tb=short` does."""
    lines = []
    for line in traceback.split("\n"):
        if frame := _FRAME.match(line):
            within = f": in {frame['function']}" if frame["function"] else ":"
            lines.append(f"{frame['path']}:{frame['line']}{within}")
        elif line.strip(" ^~") or not line.strip():  # not the marks that Python sets below a line
            lines.append(line)
    return "\n".join(lines)


def _chain(read: TracebackException) -> Iterator[TracebackException]:
    """Yield the exception, those it came from, and the members of groups; each once."""
    waiting: list[TracebackException | None] = [read]
    seen: set[int] = set()
    while waiting:
        raised = waiting.pop()
        if raised is None or id(raised) in seen:
            continue
        seen.add(id(raised))
        yield raised
        waiting += [raised.__cause__, raised.__context__, *(getattr(raised, "exceptions", None) or ())]


def _is_carrier(filename: str) -> bool:
    return filename.startswith(("<frozen importlib", *_CARRIERS)) or _LIBRARIES.search(filename) is not None
