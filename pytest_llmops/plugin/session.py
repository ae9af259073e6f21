"""The one run of a pytest session: opened on first use, closed with the config."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import pytest

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.ini_files import STRICT_XFAIL
from pytest_llmops.plugin import written_settings
from pytest_llmops.plugin.distribution import Controller, is_controller, is_joined, join
from pytest_llmops.plugin.reported import GoldenWarning, Reported, mask_reports
from pytest_llmops.runner.app.main_thread import show_at_once
from pytest_llmops.runner.attribution import Attribution
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.scoring import Scorer, TimeLimit
from pytest_llmops.settings import Settings, load_settings

_NAMING = "pass --llm-app, or define the fixture llm_app in a conftest.py"
_APP_FIXTURE = "llmops-app-fixture"
_STASH = pytest.StashKey[Evaluation]()


def session_of(config: pytest.Config) -> Evaluation:
    """
    Return this process's part in the run, opened by the settings of the config.

    Raises:
        UsageError: A setting is wrong.
    """
    if _STASH not in config.stash:
        try:
            evaluation = _open(config, load_settings(config.rootpath, *written_settings(config)))
        except LLMOpsError as error:
            raise pytest.UsageError(str(error)) from None
        config.stash[_STASH] = evaluation
        config.add_cleanup(evaluation.close)
        config.pluginmanager.register(_AppFixture(evaluation), _APP_FIXTURE)
        mask_reports(config)
        if not config.getoption("llm_golden"):
            config.pluginmanager.register(_OrdinaryTests(evaluation), "llmops-ordinary")
    return config.stash[_STASH]


def app_fixtures(node: pytest.Item | pytest.Collector) -> Sequence[Any]:
    """The definitions of `llm_app` that this node sees, the one that counts last."""
    # Private, and used by every plugin with items that are no functions, as doctest's.
    return node.session._fixturemanager.getfixturedefs("llm_app", node) or ()  # noqa: SLF001


def watch_end(node: pytest.Item) -> None:
    """Look at what the fixture `llm_app` of this node, which is set up, will send as it ends."""
    watching: Any = node.config.pluginmanager.getplugin(_APP_FIXTURE)
    watching.follow(app_fixtures(node)[-1])


class _AppFixture:
    """Looks at what the fixture `llm_app` sends as it ends, when no case runs any more."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._ending = ExitStack()
        self._followed: set[pytest.FixtureDef[Any]] = set()

    def follow(self, definition: pytest.FixtureDef[Any]) -> None:
        """Look at its end, if it was set up: a test that is parametrized with apps sets up none."""
        if definition not in self._followed and definition.cached_result is not None:
            self._followed.add(definition)
            definition.addfinalizer(self._begin)  # called before those of the fixture

    def _begin(self) -> None:
        self._ending.enter_context(self._evaluation.recorder.ending("as the fixture llm_app ended,"))

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        if fixturedef.argname == "llm_app":
            self._ending.close()
            self._followed.discard(fixturedef)


class _OrdinaryTests:
    """
    Fails or warns the ordinary test in which a call, span or trace was lost to every test.

    A golden run says so in its summary, which does not follow ordinary tests.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._reported: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        for doubt in self._new(self._evaluation.doubts()):
            item.warn(GoldenWarning(doubt))
        if errors := self._new(self._evaluation.all_errors(ended=nextitem is None)):
            pytest.fail("\n".join(errors), pytrace=False)

    def _new(self, sentences: Iterable[str]) -> list[str]:
        new = [sentence for sentence in sentences if sentence not in self._reported]
        self._reported.update(new)
        return new


def _open(config: pytest.Config, settings: Settings) -> Evaluation:
    """Under xdist, processes share results and a budget; those of ordinary tests share only the budget."""
    if is_controller(config):  # runs no case; its workers read the environment that it leaves them
        Attribution.open(settings).close()  # so that a lack is one message
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
    evaluation = Evaluation.open(
        settings,
        naming=_NAMING,
        store=store if golden else None,
        ledger=store.ledger if store else None,
        scorer=scorer if golden else None,  # else each test scores where it runs
        keeps_raised=bool(config.getoption("usepdb")),
        listens=not is_controller(config),
    )
    evaluation.strict_xfail = _find_strict_xfail(config)
    evaluation.main_thread.alarm = partial(_show_past_capture, config)
    if store is not None and not is_joined(config):
        _ = evaluation.recorder  # this process scores for the workers, so it records calls of metrics
    return evaluation


def _find_strict_xfail(config: pytest.Config) -> bool | None:
    """Return what pytest does with tests that are expected to fail and pass; None under `--runxfail`."""
    if config.getoption("runxfail", default=False):
        return None
    for name in STRICT_XFAIL:
        with suppress(ValueError):  # no such key in this pytest, or with `-p no:skipping`
            if (written := config.getini(name)) is not None:
                return bool(written)
    return False


def _show_past_capture(config: pytest.Config, text: str) -> None:
    """Show a text of a process that is about to end, although pytest captures."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    show_at_once(text)
