"""
What a change loosens of its own gate: golden files, baseline and settings, beside those it began with.

Only what makes it easier to pass is listed. What became stricter, what is new and what moved is not; an
edit that could be either, such as another rubric, is taken for looser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_llmops.golden.reviews import extends
from pytest_llmops.revision.loosening.cases import compare_files
from pytest_llmops.revision.loosening.record import GateFiles, Loosening
from pytest_llmops.revision.loosening.rewriting import list_rewritten
from pytest_llmops.revision.loosening.setting_changes import compare_settings
from pytest_llmops.settings import Settings

_PROJECT = "pyproject.toml"


def list_loosened(
    old: GateFiles, new: GateFiles, run: Settings, *, selection: str = "", further: Iterable[Loosening] = ()
) -> tuple[Loosening, ...]:
    """
    All that a change loosened, by file, line and case.

    Args:
        run: The settings that the run has, flags among them: these weigh more, then as now.
        selection: By which words of tags the run chooses its cases.
        further: What was found in other files, to be listed in its place.
    """
    return tuple(sorted([*_compare(old, new, run, selection), *further], key=_order))


def _compare(old: GateFiles, new: GateFiles, run: Settings, selection: str) -> Iterator[Loosening]:
    repeats = (old.settings.repeats, new.settings.repeats)
    if "repeats" in run.flagged:
        repeats = (run.repeats, run.repeats)
    yield from compare_files(old.goldens, new.goldens, repeats=repeats, selection=selection)
    yield from compare_settings(
        old.settings, new.settings, new.settings_file or old.settings_file or _PROJECT
    )
    if old.addopts != new.addopts:
        what = "pytest's addopts changed, which may leave cases out"
        yield Loosening(place=new.addopts_file or _PROJECT, what=what)
    if not extends(old.reviews, new.reviews):
        yield Loosening(place=run.reviews, what="the log of reviews is not the old one, continued")
    yield from list_rewritten(old, new, run.accepted)


def _order(item: Loosening) -> tuple[str, int, str, str]:
    path, _, line = item.place.rpartition(":")
    place = (path, int(line)) if line.isdecimal() else (item.place, 0)
    return (*place, item.case or "", item.what)
