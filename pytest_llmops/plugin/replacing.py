"""Code of the project that pytest loaded, and that can replace the app, a metric or a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.evaluation.merge_base.files import is_changed, is_new_or_changed
from pytest_llmops.revision.loosening import Loosening
from pytest_llmops.revision.revision import Revision

if TYPE_CHECKING:
    import pytest

_PACKAGE = Path(__file__).resolve().parents[1]
_CONFTEST = "conftest.py"


def list_replacing(config: pytest.Config, revision: Revision, golden_paths: Iterable[str]) -> list[Loosening]:
    """
    Each conftest and plugin of the project that is loaded and is not as it was where the change began, and
    each removed conftest of a folder with golden files.

    Args:
        golden_paths: Of the golden files that are run, from the root.
    """
    found = {}
    for file in _loaded_files(config, revision.root):
        if is_new_or_changed(revision, file):
            what = "pytest loads this file, which may replace the app or a verdict, and it is not what it was"
            found[file.relative_to(revision.root).as_posix()] = what
    for path in golden_paths:
        for folder in Path(path).parents:
            name = (folder / _CONFTEST).as_posix()
            if name not in found and not (revision.root / name).exists() and is_changed(revision, name):
                found[name] = "this file was removed, and may have said which app is run"
    return [Loosening(place=place, what=what) for place, what in sorted(found.items())]


def _loaded_files(config: pytest.Config, root: Path) -> Iterator[Path]:
    """Of conftests and plugins below the root, but for this package: who changes it, changes the gate."""
    root = root.resolve()
    for plugin in config.pluginmanager.get_plugins():
        written = getattr(plugin, "__file__", None)
        if not isinstance(written, str):
            continue
        file = Path(written).resolve()
        mine = file.is_relative_to(root) and file.is_file() and not file.is_relative_to(_PACKAGE)
        if mine and not {"site-packages", "dist-packages"} & set(file.parts):
            yield file
