"""
The golden files that a session collects, and the permissions of the pipeline that started it.

Paths on the command line are exactly what is run, golden files and ordinary tests alike. Without paths,
`--llm-golden` on the command line means only the golden sets; in `addopts`, or as `collect = true` in the
settings, it adds them to what pytest collects anyway.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_llmops.documents.document import SUFFIXES
from pytest_llmops.errors import GoldenError
from pytest_llmops.golden.files import find_golden_files
from pytest_llmops.plugin import LOOSEN
from pytest_llmops.revision.git import pin_environment
from pytest_llmops.settings import Settings, find_root

FLAG = "--llm-golden"
_PIPELINE = pytest.StashKey[tuple[str, ...]]()
_CHOOSING = ("-k", "-m", "--deselect", "--lf", "--last-failed", "--sw", "--stepwise", "--maxfail", "-x")
_SHOWING = {
    "--collect-only", "--collectonly", "--co", "--llm-dry-run", "--setup-only", "--setuponly", "--setup-plan",
    "--setupplan", "--fixtures", "--funcargs", "--fixtures-per-test", "--markers", "--help", "-h",
    "--cache-show",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """
    The paths of a session.

    Attributes:
        golden: Golden files, and folders of such; empty for a session of ordinary tests.
        arguments: The paths that pytest gets.
        alone: Ordinary tests are not collected, though no paths were given.
    """

    golden: Sequence[str]
    arguments: Sequence[str]
    alone: bool = False


def select(config: pytest.Config, settings: Settings) -> Selection:
    """Choose the golden files of a session by its paths, flag and settings."""
    typed = FLAG in map(str, config.invocation_params.args)  # and not only in addopts
    configured = [str(settings.path(path)) for path in settings.golden]
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        golden = list(dict.fromkeys(_golden_among(config, settings, typed=typed)))
        named = [argument.split("::", 1)[0] for argument in config.args]
        return Selection(golden=golden or (named if typed else []), arguments=config.args)
    arguments = configured if typed else [*config.args, *configured]
    return Selection(golden=configured, arguments=_without_nested(config, arguments), alone=typed)


def _without_nested(config: pytest.Config, arguments: Sequence[str]) -> Sequence[str]:
    """
    Leave out each argument that lies in a folder which is an argument too: it is collected with the folder.

    pytest before 9 would collect only the inner one of the two, and drop the folder's tests.
    """
    paths = {argument: (config.invocation_params.dir / argument).resolve() for argument in arguments}
    return [argument for argument, path in paths.items() if not set(paths.values()) & set(path.parents)]


def _golden_among(config: pytest.Config, settings: Settings, *, typed: bool) -> Iterator[str]:
    """Yield the golden ones of the given paths; pytest collects the others."""
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
            yield from (str(golden) for golden in configured if golden.is_relative_to(path))


def _holds_golden(folder: Path) -> bool:
    try:
        return bool(find_golden_files([str(folder)], folder))
    except GoldenError:
        return False


def refuse_root_of_a_flag(config: pytest.Config) -> None:
    """
    Refuse a root that pytest took from the file that a flag names: it then read none of the settings.

    Before it knows a plugin's flags, pytest takes every word that names an existing file for a path to test.

    Raises:
        UsageError: With the flag as it has to be written.
    """
    here = config.invocation_params.dir
    rooted = (
        config.args_source is config.ArgsSource.ARGS or config.option.rootdir or config.option.inifilename
    )
    if rooted or config.rootpath == find_root(here):
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


def read_pipeline(config: pytest.Config) -> None:
    """
    Keep the flags and the environment that the process was started with.

    A conftest or the app may set `PYTEST_ADDOPTS` or `GIT_DIR` while it is imported. Neither may give a
    change the permission that only the pipeline has, nor have it compared with another repository.
    """
    flags: list[str] = []
    with suppress(ValueError):  # an open quote, which pytest itself reports
        flags = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    config.stash[_PIPELINE] = (*map(str, config.invocation_params.args), *flags)
    pin_environment(dict(os.environ))
    config.add_cleanup(lambda: pin_environment(None))


def approvals(config: pytest.Config) -> Iterator[str]:
    """Yield loosened items that the pipeline approves; flags in the repository's settings do not count."""
    for flag, value in pairwise((*config.stash.get(_PIPELINE, ()), "")):
        name, equals, joined = flag.partition("=")
        if name == LOOSEN:
            yield joined if equals else value


def asks_to_show(config: pytest.Config) -> bool:
    """Return whether the pipeline has pytest show the cases, and call nothing."""
    return any(flag.partition("=")[0] in _SHOWING for flag in config.stash.get(_PIPELINE, ()))


def selects(config: pytest.Config) -> bool:
    """Return whether the pipeline chose among the cases."""
    return any("::" in flag or flag.startswith(_CHOOSING) for flag in config.stash.get(_PIPELINE, ()))
