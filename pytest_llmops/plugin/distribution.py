"""
Under xdist: workers do and report, the controller scores and keeps.

Who reports a case is xdist's choice; who does it follows from its id. Both meet in a folder that the
controller makes for this session, and every model that scores is loaded once, in the controller.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.runner.scoring import Scorer
from pytest_llmops.runner.service import RemoteScorer, ScoringService
from pytest_llmops.runner.store import SharedStore

_INPUT = "llmops"


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def is_controller(config: pytest.Config) -> bool:
    return not is_worker(config) and config.getoption("dist", "no") != "no"


def is_joined(config: pytest.Config) -> bool:
    """Whether this is a worker whose controller shares results, or a budget, with it."""
    return _INPUT in getattr(config, "workerinput", ())


def join(config: pytest.Config) -> tuple[SharedStore, Scorer]:
    """A worker's store and scorer, from what its controller told it."""
    given: Mapping[str, Any] = config.workerinput  # type: ignore[attr-defined]  # xdist sets it
    told = given[_INPUT]
    worker = int(given["workerid"].removeprefix("gw"))
    store = SharedStore(folder=Path(told["folder"]), worker=worker, workers=told["workers"])
    return store, Scorer(RemoteScorer(address=told["address"], key=told["key"]))


@dataclass(slots=True, eq=False)
class Controller:
    """Lives in the process that xdist's workers answer to."""

    folder: Path
    service: ScoringService
    reported: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, config: pytest.Config) -> Controller:
        """Registers nothing by itself; the folder is of this user alone and goes with the config."""
        controller = cls(folder=Path(tempfile.mkdtemp(prefix="llmops-")), service=ScoringService())
        config.add_cleanup(controller.close)
        return controller

    @property
    def store(self) -> SharedStore:
        """The controller's view of the results; it has no share of the work."""
        return SharedStore(folder=self.folder, worker=-1, workers=1)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_INPUT] = {
            "folder": str(self.folder),
            "address": self.service.address,
            "key": self.service.key,
            "workers": node.workerinput["workercount"],
        }

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or (report.when == "setup" and not report.passed):
            self.reported.add(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        """
        The golden item that a dead worker was reporting is reported by another one, unless its outcome
        came before the end: cases run ahead of their items, so a worker may die between the two.
        """
        path = crashitem.split("::", 1)[0]
        if path.endswith((".yaml", ".yml", ".json", ".jsonl")):
            report.outcome = "rerun"  # type: ignore[assignment]  # xdist's own word for it
            if crashitem not in self.reported:
                sched.mark_test_pending(crashitem)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.service.close()
        shutil.rmtree(self.folder, ignore_errors=True)
