"""
Variables that the app's code may read, without their values.

A stamp must show that a value changed, on any machine, and never the value: it has ten bits of a keyed
digest, which one of 1,024 texts has too. So no secret can be recovered from it, and one change of 1,024 goes
unseen. A variable named as a credential is only set or not: it differs between people, and answers don't.
"""

from __future__ import annotations

import hmac
import os
import re
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_llmops.recorder.patches import Patches
from pytest_llmops.recorder.request_settings import is_credential
from pytest_llmops.runner.stamps.source_facts import SourceFacts

_KEY = b"pytest-llmops stamps of variables"
_BITS = 10
_USERINFO = re.compile(r"//[^/@\s]*@")
_OF_MACHINE = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "USERNAME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "PWD", "OLDPWD",
    "SHELL", "SHLVL", "TERM", "COLUMNS", "LINES", "TMPDIR", "TEMP", "TMP", "HOSTNAME", "COMPUTERNAME",
    "EDITOR", "VISUAL", "PAGER", "MAIL", "DISPLAY", "PYTHONPATH", "VIRTUAL_ENV", "APPDATA", "LOCALAPPDATA",
    "PROGRAMDATA", "SYSTEMROOT", "COMSPEC", "PATHEXT", "NO_COLOR", "FORCE_COLOR", "CI", "GITHUB_ACTIONS",
    "PYTEST_VERSION", "PYTEST_CURRENT_TEST",
})  # fmt: skip
"""What POSIX, Windows, terminals and CI set; it says which machine this is, and not what the app is told."""

_OF_RUN = ("PYTEST_LLMOPS_", "PYTEST_XDIST_")

_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=[ \t]*(.*?)\s*$", re.MULTILINE)
_MOST_BYTES = 2**20
_BETWEEN = ("<frozen os>", "<frozen _collections_abc>", "os.py", "_collections_abc.py")
"""Sources of Python through which code reads a variable; frozen ones from 3.11 on."""

_readers: defaultdict[str, set[str]] = defaultdict(set)
"""Variable to the files whose code read it; kept for the process, for an app reads a variable once."""


_copiers: set[str] = set()
"""Files whose code took all variables, as for a child process: texts of the app show which ones count."""


@dataclass(slots=True)
class _Pass:
    """
    One pass over the names of all variables, and what was looked up in their order, then or afterwards.

    Attributes:
        names: Those that were handed out.
        reads: The first of them, with the file that looked each up.
    """

    names: list[str] = field(default_factory=list)
    reads: list[tuple[str, str]] = field(default_factory=list)

    def takes(self, name: str, file: str) -> bool:
        """Return whether a lookup is the next one of who copies all variables."""
        at = len(self.reads)
        if at >= len(self.names) or self.names[at] != name:
            return False
        self.reads.append((name, file))
        return True

    def settle(self) -> None:
        if len(self.reads) == len(self.names):
            _copiers.update(file for _, file in self.reads)
        else:  # somebody chose
            for name, file in self.reads:
                _readers[name].add(file)


_passes: dict[int, _Pass] = {}
"""By thread, the last one."""


def _watch_lookups(look_up: Callable[[Any, str], str]) -> Callable[[Any, str], str]:
    def __getitem__(environ: Any, name: str) -> str:  # noqa: N807 - the name that a traceback shows
        frame = sys._getframe(1)  # noqa: SLF001 - documented, and the way of `warnings`
        while frame.f_code.co_filename.endswith(_BETWEEN) and frame.f_back is not None:
            frame = frame.f_back
        file, last = frame.f_code.co_filename, _passes.get(threading.get_ident())
        if isinstance(name, str) and not (last and last.takes(name, file)):
            _readers[name].add(file)
        return look_up(environ, name)

    return __getitem__


def _watch_passes(iterate: Callable[[Any], Iterator[str]]) -> Callable[[Any], Iterator[str]]:
    def __iter__(environ: Any) -> Iterator[str]:  # noqa: N807 - as above
        if last := _passes.get(threading.get_ident()):
            last.settle()
        now = _passes[threading.get_ident()] = _Pass()
        for name in iterate(environ):
            now.names.append(name)
            yield name

    return __iter__


watched = Patches(
    lambda: [
        (type(os.environ), "__getitem__", _watch_lookups),
        (type(os.environ), "__iter__", _watch_passes),
    ]
)
"""While it is installed, variables are noted whose names are put together at run time."""


def _read_by(files: Iterable[str]) -> set[str]:
    own = set(files)
    return {
        name.upper()
        for name, readers in dict(_readers).items()
        if any(os.path.realpath(reader) in own for reader in set(readers))
    }


def stamp_environment(
    sources: Mapping[str, SourceFacts], root: Path, dotenv: Iterable[str]
) -> dict[str, str]:
    """
    Return `environment:NAME` to a stamp for each variable that is set and that the sources name or read.

    Args:
        sources: Real path of a file to its facts.
        dotenv: Files of the form `NAME=value` that the app read; all variables in them count, and those of
            the environment weigh more.
    """
    for last in list(_passes.values()):
        last.settle()
    facts = sources.values()
    names = {name.upper() for one in facts for name in one.variables} | _read_by(sources)
    copiers = [sources[file] for file in map(os.path.realpath, set(_copiers)) if file in sources]
    prefixes = {prefix for one in facts for prefix in one.prefixes}
    prefixes |= {name for one in copiers for name in (*one.variables, *filter(None, one.beginnings))}
    if any("" in one.beginnings for one in copiers):  # what it selects by may be written in another file
        prefixes |= {f"{name}_" for one in facts for name in one.variables}
    beginnings = tuple(prefix.upper() for prefix in prefixes)
    values = {name: value for path in dotenv for name, value in _read_dotenv(path)}
    wanted = {name.upper() for name in values}
    values |= os.environ
    return {
        f"environment:{name}": _stamp(name, value, root)
        for name, value in sorted(values.items())
        if name.upper() not in _OF_MACHINE
        and not name.upper().startswith(_OF_RUN)
        and (name.upper() in names or name.upper() in wanted or name.upper().startswith(beginnings))
    }


def restamp_variable(name: str, root: Path) -> dict[str, str]:
    """Return the stamp of a variable that the app has not read yet; none where it is not set."""
    value = os.environ.get(name)
    return {} if value is None else {f"environment:{name}": _stamp(name, value, root)}


def _stamp(name: str, value: str, root: Path) -> str:
    if is_credential(name, value):
        return "set"
    text = _USERINFO.sub("//", value.strip()).replace(os.path.realpath(root), ".").replace(str(root), ".")
    digest = hmac.digest(_KEY, text.encode("utf-8", "surrogateescape"), "sha256")
    return f"{int.from_bytes(digest[:2], 'big') >> (16 - _BITS):03x}"


def _read_dotenv(path: str) -> Iterator[tuple[str, str]]:
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(_MOST_BYTES)
    except OSError:
        return
    for name, value in _LINE.findall(text):
        yield name, value.strip("'\"")
