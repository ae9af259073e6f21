"""
Standard output and logging of an app to its case.

pytest captures for the item that it runs, and cases run ahead of their items, many at once: what they print
would stand under whichever item was being reported. So while a golden run is on, the streams' own `write`
asks whose context it is in. The streams are changed in place, since pytest exchanges `sys.stdout` all the
time and an app may have taken hold of it. Output of subprocesses is not seen.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_llmops.recorder.patches import Change, Patches
from pytest_llmops.runner.app.printed import CaseLog, Channel, current, listening, routed

if TYPE_CHECKING:
    import pytest


@dataclass(slots=True, eq=False)
class Router:
    """
    Installed for a session, and put back at its end.

    Attributes:
        captures: Whether pytest captures; without it, `-s`, what is routed is shown where it was written.
        shows: Whether what is routed is also shown at once, `--capture=tee-sys`.
    """

    captures: bool
    shows: bool
    _handlers: list[logging.Handler] = field(default_factory=list)
    _log: logging.Handler | None = None
    _listening: ExitStack = field(default_factory=ExitStack)
    _streams: Patches = field(init=False)

    def __post_init__(self) -> None:
        self._streams = Patches(self._find_streams)

    @classmethod
    def of(cls, config: pytest.Config) -> Router:
        router = cls(captures=captures(config), shows=config.getoption("capture", "no") == "tee-sys")
        config.add_cleanup(router.close)
        return router

    def take_streams(self) -> None:
        """Route what is written to the streams of the moment; those taken before are left as they are."""
        self._streams.apply()

    def _find_streams(self) -> Iterator[Change]:
        yield sys.stdout, "write", partial(self._route, "stdout", sys.__stdout__)
        yield sys.stderr, "write", partial(self._route, "stderr", sys.__stderr__)

    def _route(self, channel: Channel, original: Any, write: Callable[[str], int]) -> Callable[[str], int]:
        shown = original.write if self.shows and original is not None else None
        return routed(write, channel, shown if self.captures else write)

    def take_logs(self, plugin: Any) -> None:
        """
        Records of a case go to the case, and no more to the item that pytest happens to run.

        Args:
            plugin: pytest's `logging-plugin`, which is there once a session starts; None where it is off.
        """
        if self._log is not None:
            return
        self._listening.enter_context(listening())
        for name in ("caplog_handler", "report_handler"):
            if isinstance(handler := getattr(plugin, name, None), logging.Handler):
                handler.addFilter(_is_of_no_case)
                self._handlers.append(handler)
        self._log = CaseLog(level=getattr(plugin, "log_level", None) or 0)
        self._log.setFormatter(getattr(plugin, "formatter", None))
        logging.getLogger().addHandler(self._log)

    def close(self) -> None:
        self._listening.close()
        self._streams.restore()
        for handler in self._handlers:
            handler.removeFilter(_is_of_no_case)
        if self._log is not None:
            logging.getLogger().removeHandler(self._log)


def captures(config: pytest.Config) -> bool:
    """Not with `-s`, nor with `-p no:capture`, which takes the option away."""
    return bool(config.getoption("capture", "no") != "no")


def _is_of_no_case(_record: logging.LogRecord) -> bool:
    return current.get() is None
