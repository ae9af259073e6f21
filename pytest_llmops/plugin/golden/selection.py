"""
What a session collects, by one rule.

Paths on the command line are exactly what is run, golden files and ordinary tests alike. Without paths,
`--llm-golden` on the command line means the golden sets alone; in `addopts`, or as `collect = true` in the
settings, it adds them to what pytest collects anyway.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_llmops.errors import GoldenError
from pytest_llmops.golden.files import SUFFIXES, find_golden_files
from pytest_llmops.settings import Settings, find_root

FLAG = "--llm-golden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """
    Attributes:
        golden: Golden files, and folders of such, that the session is of; empty where it is of none.
        arguments: What pytest is to collect.
        alone: Ordinary tests are not collected, and nobody named paths.
    """

    golden: Sequence[str]
    arguments: Sequence[str]
    alone: bool = False


def is_on_command_line(config: pytest.Config) -> bool:
    """Whether the flag was typed for this session, rather than written down for all."""
    return FLAG in map(str, config.invocation_params.args)


def select(config: pytest.Config, settings: Settings) -> Selection:
    """The golden files that a session is of."""
    typed = is_on_command_line(config)
    configured = [str(settings.path(path)) for path in settings.golden]
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        golden = list(dict.fromkeys(_golden_among(config, settings, typed=typed)))
        named = [argument.split("::", 1)[0] for argument in config.args]
        return Selection(golden=golden or (named if typed else []), arguments=config.args)
    if typed:
        return Selection(golden=configured, arguments=configured, alone=True)
    return Selection(golden=configured, arguments=[*config.args, *configured])


def _golden_among(config: pytest.Config, settings: Settings, *, typed: bool) -> Iterator[str]:
    """Of the paths that somebody named those that are golden; the others are pytest's own business."""
    configured = [settings.path(path).resolve() for path in settings.golden]
    homes = [path if path.is_dir() else path.parent for path in configured]
    homes = [home for home in homes if home != settings.root.resolve() or home in configured]
    for argument in config.args:
        written = argument.split("::", 1)[0]
        path = (config.invocation_params.dir / written).resolve()
        if not path.is_dir():
            if path.suffix in SUFFIXES or (typed and not path.exists() and path.suffix != ".py"):
                yield written  # also a missing one: the error then names the near miss
        elif any(path.is_relative_to(home) for home in homes):
            if typed or _holds_golden(path):
                yield written
        elif typed and not settings.root.resolve().is_relative_to(path) and _holds_golden(path):
            yield written
        else:
            yield from (str(each) for each in configured if each.is_relative_to(path))


def _holds_golden(folder: Path) -> bool:
    try:
        return bool(find_golden_files([str(folder)], folder))
    except GoldenError:
        return False


def refuse_root_of_a_flag(config: pytest.Config) -> None:
    """
    Say so where pytest took its root from the file that a flag names, and so read none of the settings.

    Before it knows a plugin's flags, it takes every word that names an existing file for a path to test.

    Raises:
        UsageError: With the flag as it has to be written.
    """
    here = config.invocation_params.dir
    given = config.args_source is config.ArgsSource.ARGS or config.option.rootdir or config.option.inifilename
    if given or config.rootpath == find_root(here):
        return
    inside = os.path.realpath(here)
    for flag, value in pairwise(map(str, config.invocation_params.args)):
        path = os.path.realpath(here / value)
        outside = os.path.commonpath([inside, path]) != inside
        if flag.startswith("--llm-") and os.path.exists(path) and outside:  # noqa: PTH110 - Path raises on long names
            raise pytest.UsageError(
                f"pytest took {config.rootpath} for the root of the project, since {flag} names a file "
                f"outside; write {flag}={value}"
            )
