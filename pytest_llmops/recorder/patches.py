"""Wrappers in place of attributes that the whole process shares, put back when their last user is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

Change = tuple[Any, str, Callable[[Any], Any]]
"""A class, module or object, the name of its attribute, and what makes a wrapper of the attribute's value."""

_INHERITED = object()


class Patches:
    """
    Wraps attributes in place, once each.

    An attribute that somebody else replaces afterwards keeps their value.
    """

    def __init__(self, find: Callable[[], Iterable[Change]]) -> None:
        """
        Change nothing yet.

        Args:
            find: Yields the attributes that exist by now; libraries may be imported later.
        """
        self._find = find
        self._users = 0
        self._applied: list[tuple[Any, str, Any, Any]] = []
        self._lock = RLock()  # an import in `find` may end in `refresh`

    @property
    def has_users(self) -> bool:
        return self._users > 0

    def install(self) -> None:
        """Apply the wrappers for one more user."""
        with self._lock:
            self._users += 1
            try:
                self.apply()
            except BaseException:
                self.uninstall()
                raise

    def uninstall(self) -> None:
        """Restore everything if this was the last user."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self.restore()

    @contextmanager
    def installed(self) -> Iterator[None]:
        self.install()
        try:
            yield
        finally:
            self.uninstall()

    def refresh(self) -> None:
        """Wrap attributes that have come into being, if there is any user."""
        with self._lock:
            if self._users:
                self.apply()

    def apply(self) -> None:
        """Wrap attributes that are not wrapped yet, without a user; skip those that cannot be set."""
        with self._lock:
            for owner, name, wrap in self._find():
                if any(known is owner and known_name == name for known, known_name, _, _ in self._applied):
                    continue
                if (value := getattr(owner, name, None)) is None:
                    continue
                own = getattr(owner, "__dict__", {name: value}).get(name, _INHERITED)
                wrapper = wrap(value)
                try:
                    setattr(owner, name, wrapper)
                except AttributeError:
                    continue
                self._applied.append((owner, name, own, wrapper))

    def restore(self) -> None:
        with self._lock:
            for owner, name, own, wrapper in self._applied:
                if getattr(owner, name, None) is not wrapper:
                    continue
                if own is _INHERITED:
                    delattr(owner, name)
                else:
                    setattr(owner, name, own)
            self._applied.clear()
