"""
The files that make the scores of a project's own metric.

A version is a promise, and the source is a fact: scores of different sources are never compared as equals.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pytest_llmops.protocols import Metric
from pytest_llmops.records import Score

_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = {"site-packages", "dist-packages"}
_DIGITS = 12


def source_files(metric: Metric) -> tuple[Path, ...]:
    """
    Return the Python files of a metric that belong to neither this package nor an installed one, sorted.

    These are the file that defines it, those of the names in its code, and so on; not files that are read or
    imported only while it runs.
    """
    return _files_of(_start(metric))


def sign_source(metric: Metric, score: Score) -> Score:
    """Return the score with a digest of its metric's source in its signature, once."""
    mark = f"source:{_digest_of(_start(metric))}"
    if mark == "source:" or score.signature.endswith(mark):
        return score
    return replace(score, signature="|".join(filter(None, (score.signature, mark))))


def _start(metric: Metric) -> object:
    function = getattr(metric, "function", None)
    return function if isinstance(function, FunctionType) else type(metric)


@lru_cache(maxsize=512)
def _digest_of(start: object) -> str:
    """Return the digest of the files at the time of the first score; empty for no files."""
    digest = hashlib.sha256()
    files = _files_of(start)
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).digest())
    return digest.hexdigest()[:_DIGITS] if files else ""


@lru_cache(maxsize=512)
def _files_of(start: object) -> tuple[Path, ...]:
    waiting, seen, files = [start], set[int](), set[Path]()
    while waiting:
        thing = waiting.pop()
        name = getattr(thing, "__module__", None)
        module = sys.modules.get(name) if isinstance(name, str) else None
        module = thing if isinstance(thing, ModuleType) else module
        file = _own_file(module)
        if id(thing) in seen or file is None:
            continue
        seen.add(id(thing))
        files.add(file)
        waiting += _named_by(thing)
    return tuple(sorted(files))


def _named_by(thing: object) -> Iterator[Any]:
    """Yield the objects that the code of a function, or of a class and its bases, refers to."""
    if isinstance(thing, type):
        yield from thing.__mro__[1:]
        members = vars(thing).values()
        yield from (getattr(member, "__func__", getattr(member, "fget", member)) for member in members)
    elif isinstance(thing, FunctionType):
        for name in _names_in(thing.__code__):
            if name in thing.__globals__:
                yield thing.__globals__[name]
        for cell in thing.__closure__ or ():
            with suppress(ValueError):  # an empty cell
                yield cell.cell_contents


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _own_file(module: ModuleType | None) -> Path | None:
    """Return the file of a module of the project, or None for any other module."""
    written = getattr(module, "__file__", None)
    if not isinstance(written, str) or not written.endswith(".py"):
        return None
    file = Path(written).resolve()
    installed = _LIBRARIES & set(file.parts) or any(map(file.is_relative_to, _installed()))
    return None if installed or not file.is_file() else file


@lru_cache(maxsize=1)
def _installed() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return (_PACKAGE, *{Path(sysconfig.get_path(name)).resolve() for name in names})
