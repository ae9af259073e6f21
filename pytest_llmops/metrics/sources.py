"""
The files that make the scores of a project's own metric.

A version is a promise, and the source is a fact: where the source changed, scores are not compared as if they
were made alike.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Iterator
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
    The Python files of a metric that neither this package nor an installed one brings, sorted.

    These are the file that defines it, and those of what its code names, and so on. What is read or imported
    only while it runs is not among them.
    """
    return _files_of(_start(metric))


def sign_source(metric: Metric, score: Score) -> Score:
    """The score, with a digest of its metric's own source in its signature; what has one stays as it is."""
    mark = f"source:{_digest_of(_start(metric))}"
    if mark == "source:" or score.signature.endswith(mark):
        return score
    return replace(score, signature="|".join(filter(None, (score.signature, mark))))


def _start(metric: Metric) -> object:
    """What is known to Python by where it was written."""
    function = getattr(metric, "function", None)
    return function if isinstance(function, FunctionType) else type(metric)


@lru_cache(maxsize=512)
def _digest_of(start: object) -> str:
    """As the files were when its first score was made; empty for no files."""
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
        module = thing if isinstance(thing, ModuleType) else sys.modules.get(_module_name(thing))
        file = _own_file(module)
        if id(thing) in seen or file is None:
            continue
        seen.add(id(thing))
        files.add(file)
        waiting += _named_by(thing)
    return tuple(sorted(files))


def _named_by(thing: object) -> Iterator[Any]:
    """What the code of a function, or of the functions of a class and its bases, refers to."""
    if isinstance(thing, type):
        yield from thing.__mro__[1:]
        yield from (getattr(each, "__func__", getattr(each, "fget", each)) for each in vars(thing).values())
    elif isinstance(thing, FunctionType):
        for name in _names_in(thing.__code__):
            if name in thing.__globals__:
                yield thing.__globals__[name]
        yield from (cell.cell_contents for cell in thing.__closure__ or () if _is_filled(cell))


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asking is the test
    except ValueError:
        return False
    return True


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names_in(each)


def _module_name(thing: object) -> str:
    name = getattr(thing, "__module__", None)
    return name if isinstance(name, str) else ""


def _own_file(module: ModuleType | None) -> Path | None:
    """The file of a module that is the project's."""
    written = getattr(module, "__file__", None)
    if not isinstance(written, str) or not written.endswith(".py"):
        return None
    file = Path(written).resolve()
    installed = _LIBRARIES & set(file.parts) or any(file.is_relative_to(each) for each in _installed())
    return None if installed or not file.is_file() else file


@lru_cache(maxsize=1)
def _installed() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return (_PACKAGE, *{Path(sysconfig.get_path(name)).resolve() for name in names})
