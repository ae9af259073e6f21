"""
Sharing of results and models between the processes of xdist.

xdist chooses the worker that reports a case; its id decides which one runs it. Both meet in a folder that the
controller makes for the session. Every model that scores is loaded once, in the controller.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.plugin.reported import Reported, is_golden, make_error
from pytest_llmops.protocols import ScoreBatch
from pytest_llmops.recorder.explanation import name_run
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.scoring import RemoteScorer, Scorer, ScoringService

_INPUT = "llmops"
_RESTARTS = 30


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def is_controller(config: pytest.Config) -> bool:
    return not is_worker(config) and config.getoption("dist", "no") != "no"


def is_joined(config: pytest.Config) -> bool:
    """Return whether this is a worker whose controller shares results, or a budget, with it."""
    return _INPUT in getattr(config, "workerinput", ())


def join(config: pytest.Config, here: ScoreBatch) -> tuple[SharedStore, Scorer]:
    """Return a worker's store and scorer, from the input of its controller."""
    workerinput: Mapping[str, Any] = config.workerinput  # type: ignore[attr-defined]  # xdist sets it
    shared = workerinput[_INPUT]
    worker = int(workerinput["workerid"].removeprefix("gw"))
    store = SharedStore(folder=Path(shared["folder"]), worker=worker, workers=shared["workers"])
    return store, Scorer(RemoteScorer(shared["address"], shared["key"], here), here)


def isolate(config: pytest.Config) -> None:
    """
    Give the session one worker of xdist, unless it has some, so that a crash is an error of its case.

    Works only before xdist reads its options.

    Raises:
        UsageError: xdist is not installed.
    """
    if is_worker(config):
        return
    if not hasattr(config.option, "numprocesses"):
        raise pytest.UsageError(str(MissingExtraError("--llm-isolate", "xdist")))
    option: Any = config.option
    if not option.numprocesses and not option.tx:
        option.numprocesses = 1
    if option.maxworkerrestart is None:
        option.maxworkerrestart = str(_RESTARTS)  # of one worker xdist replaces four, that is one deadly case


@dataclass(slots=True, eq=False)
class Controller:
    """The controller of xdist's workers: shares a folder and a scoring service with them."""

    folder: Path
    service: ScoringService
    reported: Reported

    @classmethod
    def of(cls, config: pytest.Config, reported: Reported, here: ScoreBatch) -> Controller:
        """Make a private folder and the service; both go with the config."""
        name_run()  # before the workers start
        folder = Path(tempfile.mkdtemp(prefix="llmops-"))
        controller = cls(folder=folder, service=ScoringService(here), reported=reported)
        config.add_cleanup(controller.close)
        return controller

    @property
    def store(self) -> SharedStore:
        """The controller's view of the results; it runs no cases itself."""
        return SharedStore(folder=self.folder, worker=-1, workers=1)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_INPUT] = {
            "folder": str(self.folder),
            "address": self.service.address,
            "key": self.service.key,
            "workers": node.workerinput["workercount"],
        }
        node.send_runtest_some = partial(_send, node.send_runtest_some)

    @pytest.hookimpl(optionalhook=True, wrapper=True)
    def pytest_xdist_make_scheduler(self) -> Generator[None, Any, Any]:
        scheduler = yield
        scheduler.add_node_collection = partial(_add_collection, scheduler, scheduler.add_node_collection)
        return scheduler

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        """
        Have the golden item of a dead worker reported by another one, unless it has an outcome already.

        Cases run ahead of their items, so a worker may die between the two.
        """
        if not is_golden(crashitem):
            return
        from xdist.scheduler import EachScheduling, LoadScopeScheduling

        self.reported.crashed.add(crashitem)
        again = isinstance(sched, LoadScopeScheduling)  # hands out what is left of a file or group, of itself
        done = self.reported.is_done(crashitem) and not isinstance(sched, EachScheduling)  # by this worker
        try:
            if not (again or done):
                sched.mark_test_pending(crashitem)
        except NotImplementedError:  # each worker runs each item, and the others have their own
            make_error(report, f"{report.longrepr}; run it alone to see why")
        else:
            report.outcome = "rerun"  # type: ignore[assignment]  # xdist's own word for it

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.service.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _add_collection(scheduler: Any, add: Callable[..., None], node: Any, collection: Sequence[str]) -> None:
    """
    Add what a worker collected, unless xdist ended it when it began.

    It does so when all items seem to be done, and takes that back when another worker dies of the last one.
    """
    if node in scheduler.nodes:
        add(node, collection)


def _send(send: Callable[[Any], None], indices: Any) -> None:
    """
    Send items to a worker; one that died a moment ago would else cause an internal error of xdist.

    Its items go to others as soon as xdist notices its end.
    """
    with contextlib.suppress(OSError):
        send(indices)
