"""What a process sees of the apps of a run, as stamps for its signature."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_llmops.gates.stamps import STAMPED, join_stamps
from pytest_llmops.golden.apps import is_url
from pytest_llmops.protocols import RemoteApp
from pytest_llmops.records import Golden
from pytest_llmops.runner.stamps.app_code import AppCode, add_files, find_code
from pytest_llmops.runner.stamps.environment import restamp_variable, stamp_environment, watched
from pytest_llmops.runner.stamps.files_read import (
    find_dotenv,
    imported_by,
    restamp_file,
    stamp_files,
    unwatch,
    watch,
)
from pytest_llmops.runner.stamps.packages import restamp_package, stamp_packages

_MOST = 64


@dataclass(slots=True, eq=False)
class AppObserver:
    """
    Notes the apps of a run and what their code reads.

    Attributes:
        root: The project's folder.
    """

    root: Path
    _apps: list[Any] = field(default_factory=list)
    _remote: list[RemoteApp] = field(default_factory=list)
    _named: set[str] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)
    _started_s: float = field(default_factory=time.time)
    _given: bool = False
    _watches: bool = False

    def watch(self) -> None:
        """Begin to note what is read, until `close`; before the app is imported, which may read files."""
        if not self._watches:
            self._watches = True
            watch(self.root)
            watched.install()

    def note(self, golden: Golden, apps: Iterable[Any], named: Sequence[object]) -> None:
        """
        Note the apps of a golden file.

        Args:
            named: Their import paths; None of an app that was given as it is.
        """
        known = {id(app) for app in (*self._apps, *self._remote)}
        for app in apps:
            if app is not None and id(app) not in known:
                (self._remote if isinstance(app, RemoteApp) else self._apps).append(app)
        self._named.update(name for name in named if isinstance(name, str) and not is_url(name))
        self._given |= None in named
        self._known.update((*golden.data, *golden.prompts, golden.path))
        # Now, and not by a thread, which would break a parse that is under way (python/cpython#106905).
        _find_code(self._apps, self._named, self.root, given=self._given)

    def stamps(self) -> dict[str, str]:
        """Return the stamps as of now; empty where no app was noted."""
        remote = self._stamp_remote()
        if not self._apps:
            return remote
        code = _find_code(self._apps, self._named, self.root, given=self._given)
        if further := imported_by(code.facts, self.root) - code.facts.keys():
            code = AppCode(self.root, facts=dict(code.facts), libraries=code.libraries)
            add_files(code, further)
        stamps = {
            **code.stamps(self._started_s),
            **stamp_environment(code.facts, self.root, find_dotenv(code.facts)),
            **stamp_files(code, self._known, self._started_s),
            **stamp_packages(sorted(code.libraries)),
        }
        stamps[STAMPED] = "code environment file package" if code.facts else "package"
        return join_stamps(stamps, remote)

    def _stamp_remote(self) -> dict[str, str]:
        """Return the stamps of apps outside of this process: versions of services, files of commands."""
        stamps: dict[str, str] = {}
        for app in self._remote:
            files = (restamp_file(path, "", self.root, self._started_s) for path in app.files())
            stamps = join_stamps(stamps, app.stamps(), *files)
        kinds = {name.partition(":")[0] for name in stamps}
        return {**stamps, STAMPED: " ".join(sorted(kinds))} if kinds else {}

    def restamp(self, stamps: Mapping[str, str]) -> dict[str, str]:
        """
        Return the stamps of an earlier process as they would be now, and those of variables that it lacks.

        Many are of what the app has not read yet in this process. What cannot be looked up stays as it was:
        weights, and files outside the project.
        """
        now = self.stamps()
        code = AppCode(self.root)
        missed = {name.partition(":")[2] for name in stamps.keys() - now.keys() if name.startswith("code:")}
        add_files(code, {str(self.root / path) for path in missed})
        now = {**code.stamps(self._started_s), **now}
        found = {name: value for name, value in now.items() if name.startswith("environment:")}
        for name, value in stamps.items():
            kind, _, about = name.partition(":")
            if name in now:
                found[name] = now[name]
            elif kind == "file":
                found |= restamp_file(about, value, self.root, self._started_s)
            elif kind == "environment":
                found |= restamp_variable(about, self.root)
            elif kind == "package":
                found |= restamp_package(about)
            elif kind != "code":
                found[name] = value
        return found

    def close(self) -> None:
        """Stop noting what is read. A second call does nothing."""
        if self._watches:
            self._watches = False
            unwatch(self.root)
            watched.uninstall()


_remembered: dict[tuple[Any, ...], tuple[tuple[Any, ...], AppCode, tuple[tuple[int, int], ...]]] = {}
"""
Of this process, by ids of apps: the apps, so that no other ones get their ids, their code, and the state of
its files, for a thousand runs of one app.
"""


def _find_code(apps: list[Any], named: set[str], root: Path, *, given: bool) -> AppCode:
    key = (*map(id, apps), *sorted(named), root, given)
    if (known := _remembered.get(key)) and known[2] == _states(known[1]):
        return known[1]
    code = find_code(apps, named, root, given=given)
    if len(_remembered) >= _MOST:
        _remembered.clear()
    _remembered[key] = tuple(apps), code, _states(code)
    return code


def _states(code: AppCode) -> tuple[tuple[int, int], ...]:
    states = []
    for file in code.facts:
        state = (0, 0)
        with suppress(OSError):
            status = Path(file).stat()
            state = (status.st_mtime_ns, status.st_size)
        states.append(state)
    return tuple(states)
