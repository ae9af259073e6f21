"""
What a change loosens of its own gate: golden files, baseline and settings, beside those it began with.

Only what makes it easier to pass is listed. What became stricter, what is new and what moved is not; an
edit that could be either, such as another rubric, is taken for looser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_llmops.printable import printable
from pytest_llmops.records import Golden, Run
from pytest_llmops.revision.loosening.cases import compare_files
from pytest_llmops.revision.loosening.record import Loosening
from pytest_llmops.revision.loosening.rewriting import list_rewritten
from pytest_llmops.revision.loosening.setting_changes import compare_settings, complete_settings

__all__ = ["Loosening", "list_loosened"]


def list_loosened(  # noqa: PLR0913 - a gate is made of that many things
    old: Sequence[Golden],
    new: Sequence[Golden],
    *,
    old_baseline: Run | None = None,
    new_baseline: Run | None = None,
    old_settings: Mapping[str, object] | None = None,
    new_settings: Mapping[str, object] | None = None,
    given: Mapping[str, object] | None = None,
    selects_by: Callable[[str], bool] = lambda _: False,
    reviews_rewritten: bool = False,
    lock_loosened: Sequence[str] = (),
    files_changed: Sequence[str] = (),
    addopts_changed: bool = False,
    baseline_path: str = "golden/baseline.json",
    settings_path: str = "pyproject.toml",
    reviews_path: str = "golden/reviews.jsonl",
    pytest_path: str = "pytest.ini",
) -> tuple[Loosening, ...]:
    """
    All that a change loosened, by file, line and case.

    Args:
        old: Every golden file where the change began.
        new: Every golden file now, whatever was selected to run.
        old_settings: As files of the project say; what is not there has its default.
        given: Settings of the command line, which weigh more, then as now.
        selects_by: Whether this run chooses its cases by such a tag.
        reviews_rewritten: The log of reviews is not the old one with more at its end.
        lock_loosened: What the check of the prompt lock found, in sentences.
        files_changed: Rubrics, schemas and other files that checks name in their options.
        addopts_changed: pytest's own settings give other flags to every run; `-k` is among them.
    """
    before, after = complete_settings(old_settings), complete_settings(new_settings)
    repeats = (given or {}).get("repeats")
    loosened = [
        *compare_files(
            old,
            new,
            repeats=(repeats or before["repeats"], repeats or after["repeats"]),
            selects_by=selects_by,
        ),
        *compare_settings(before, after, settings_path),
        *(Loosening(place="prompts.lock", what=printable(sentence)) for sentence in lock_loosened),
        *(
            Loosening(place=path, what="checks rest on this file, and it is not what it was")
            for path in files_changed
        ),
    ]
    if addopts_changed:
        loosened.append(
            Loosening(place=pytest_path, what="pytest's addopts changed, which may leave cases out")
        )
    if reviews_rewritten:
        loosened.append(
            Loosening(place=reviews_path, what="the log of reviews is not the old one, continued")
        )
    if old_baseline is not None and new_baseline is None:
        loosened.append(Loosening(place=baseline_path, what="the baseline was removed"))
    elif old_baseline is not None and new_baseline is not None:
        rewritten = list_rewritten(old_baseline, new_baseline, old, new)
        loosened += [Loosening(place=baseline_path, **each._asdict()) for each in rewritten]
    return tuple(sorted(loosened, key=_order))


def _order(item: Loosening) -> tuple[str, int, str, str]:
    path, _, line = item.place.rpartition(":")
    place = (path, int(line)) if line.isdecimal() else (item.place, 0)
    return (*place, item.case or "", item.what)
