"""The one session of a pytest config: opened on first use, closed with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.evaluation.session import Session
from pytest_llmops.plugin import written_settings
from pytest_llmops.plugin.distribution import Controller, is_controller, is_joined, join
from pytest_llmops.plugin.reported import Reported, mask_reports
from pytest_llmops.runner.attribution import Attribution
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.scoring.scorer import Scorer
from pytest_llmops.runner.scoring.time_limit import TimeLimit
from pytest_llmops.settings import Settings, load_settings

_NAMING = "pass --llm-app, or define the fixture llm_app in a conftest.py"
_STASH = pytest.StashKey[Session]()


def session_of(config: pytest.Config) -> Session:
    """
    Raises:
        UsageError: A setting is wrong.
    """
    if _STASH not in config.stash:
        try:
            config.stash[_STASH] = _open(config, load_settings(config.rootpath, *written_settings(config)))
        except LLMOpsError as error:
            raise pytest.UsageError(str(error)) from None
        config.add_cleanup(config.stash[_STASH].close)
        mask_reports(config)
        if not config.getoption("llm_golden"):
            config.pluginmanager.register(_Received(config.stash[_STASH]), "llmops-received")
    return config.stash[_STASH]


class _Received:
    """Of ordinary tests: fails the one in which a trace could not be read, since no summary follows them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self) -> None:
        found = [error for error in self._session.attribution.listener_errors() if error not in self._known]
        self._known.update(found)
        if found:
            pytest.fail("\n".join(found), pytrace=False)


def _open(config: pytest.Config, settings: Settings) -> Session:
    """Under xdist, processes share results and a budget; those of ordinary tests share only the budget."""
    if is_controller(config):  # runs no case; its workers read the environment that it leaves them
        Attribution.open(settings).close()  # so that a lack is one message
        settings = replace(settings, receive=(), export=())
    here = TimeLimit(settings.timeout_s)
    golden = bool(config.getoption("llm_golden"))
    store: SharedStore | None = None
    scorer: Scorer | None = None
    if is_joined(config):
        store, scorer = join(config, here)
    elif is_controller(config) and (golden or settings.budget):
        controller = Controller.of(config, Reported.of(config), here)
        config.pluginmanager.register(controller, "llmops-controller")
        store = controller.store
    session = Session.open(
        settings,
        naming=_NAMING,
        store=store if golden else None,
        ledger=store.ledger if store else None,
        scorer=scorer if golden else None,  # else each test scores where it runs
        keeps_raised=bool(config.getoption("usepdb")),
    )
    if store is not None and not is_joined(config):
        _ = session.recorder  # this process scores for the workers, so it records what metrics call
    return session
