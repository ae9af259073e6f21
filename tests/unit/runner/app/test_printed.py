"""What an app prints is kept for its case, whatever the process prints to."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import warnings

import pytest

from pytest_llmops.records import UNSEEN, Failure, Output, Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.runner.app import printed as module
from pytest_llmops.runner.app.printed import (
    Printed,
    collect,
    unwatch_outside,
    watch_outside,
)
from pytest_llmops.runner.app.routing import route_through
from tests.bare_thread import run_bare


def test_a_process_without_output_runs_cases_all_the_same(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with route_through(), collect() as printed:
        sys.stderr.write("seen")

    assert printed.texts() == (("stderr", "seen"),)
    assert "write" not in vars(sys.stderr)


@pytest.mark.parametrize("nested", [False, True])
def test_what_is_too_long_to_keep_is_no_clean_result(nested, monkeypatch):
    monkeypatch.setattr(module, "_KEPT", 100)
    printed = inner = Printed()
    if nested:
        printed = Printed()
    for piece in ("x" * 90, "y" * 20):
        inner.add("log", piece)
    if nested:
        printed.take(inner)
    (span,) = printed.spans()
    (result,) = create_metric("pii_leak", {}).score([Sample(output=Output(text=""), spans=(span,))])

    assert span.attributes == {"text": "x" * 90, UNSEEN: 20}
    assert isinstance(result, Failure)
    assert "the app printed 20 characters more than are kept" in result.error


def test_what_is_too_long_to_show_is_looked_at(monkeypatch):
    monkeypatch.setattr(module, "_SHOWN", 10)
    printed = Printed()
    printed.add("log", "short\n")
    printed.add("log", "ann.lee@example.com")
    (result,) = create_metric("pii_leak", {}).score([Sample(output=Output(text=""), spans=printed.spans())])

    assert printed.texts() == (("log", "short\n\n… (19 more characters)\n"),)
    assert isinstance(result, Score)
    assert result.value == 1


@pytest.mark.parametrize("in_case", [True, False])
def test_output_is_kept_for_its_case_or_for_the_run_and_shown_masked(in_case, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    write = vars(shown).get("write")
    outside = watch_outside()

    def act() -> None:
        sys.stdout.write("to ann.lee@example.com\n")
        logging.getLogger("app").warning("late", extra={"who": "ann"})
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            warnings.warn("old", UserWarning, stacklevel=1)

    with route_through():
        if in_case:
            with collect() as printed:
                act()
        else:
            run_bare(act)
            printed = outside
    unwatch_outside(outside)

    texts = dict(printed.texts())
    assert texts["stdout"] == "to ann.lee@example.com\n"
    assert "{'who': 'ann'}" in texts["log"]
    assert texts["log"].count("late\n") == 1
    assert texts["stderr"] == "UserWarning: old\n"
    assert shown.getvalue().startswith("to ")
    assert "ann.lee" not in shown.getvalue()
    assert vars(shown).get("write") is write
    assert printed is outside or outside.texts() == ()


@pytest.mark.parametrize("level", ["info", "debug"])
def test_what_the_level_of_the_root_drops_is_kept_for_the_case_and_shown_to_nobody(level, caplog):
    logger = logging.getLogger("app.deep")
    with caplog.at_level(logging.WARNING), route_through(), collect() as printed:
        getattr(logger, level)("to %s", "ann.lee@example.com", extra={"who": "ann"})
        logging.LoggerAdapter(logger).log(15, "adapted")
        assert not logger.isEnabledFor(logging.INFO)
        assert not logging.LoggerAdapter(logger).isEnabledFor(logging.INFO)
        logger.debug("%d", "no number")  # which nobody would find out
        logger.warning("seen")

    kept = dict(printed.texts())["log"]
    assert kept.count("to ann.lee@example.com") == kept.count("adapted") == kept.count("seen") == 1
    assert "{'who': 'ann'}" in kept
    assert caplog.messages == ["seen"]


def test_what_an_app_or_a_library_drops_by_itself_is_no_output(monkeypatch):
    quiet = logging.getLogger("app.quiet")
    monkeypatch.setattr(quiet, "level", logging.ERROR)
    with route_through(), collect() as printed:
        quiet.info("by its own level")
        exec(compile("log.info('of a library')", asyncio.__file__, "exec"), {"log": logging.getLogger("a")})  # noqa: S102
    assert printed.texts() == ()


def test_output_of_the_main_thread_outside_of_cases_is_nobodys(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    outside = watch_outside()
    with route_through():
        sys.stdout.write("to ann.lee@example.com\n")
    unwatch_outside(outside)

    assert shown.getvalue() == "to ann.lee@example.com\n"
    assert outside.texts() == ()
