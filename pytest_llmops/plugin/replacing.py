"""Code of the project that pytest loaded, and that can replace the app, a metric or a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.evaluation.merge_base.files import is_changed, is_new_or_changed
from pytest_llmops.revision.loosening import Loosening, digest_of
from pytest_llmops.revision.revision import Revision

if TYPE_CHECKING:
    import pytest

_PACKAGE = Path(__file__).resolve().parents[1]


def list_replacing(config: pytest.Config, revision: Revision, golden_paths: Iterable[str]) -> list[Loosening]:
    """
    Return the conftests and plugins of the project that are loaded and changed since the merge base, and
    the removed conftests of folders with golden files.

    Args:
        golden_paths: Of the golden files that are run, from the root.
    """
    items = []
    for file in sorted({*_loaded_files(config, revision.root)}):
        if is_new_or_changed(revision, file):
            what = "pytest loads this file, which may replace the app or a verdict, and it is not what it was"
            place = file.relative_to(revision.root).as_posix()
            items.append(Loosening(place=place, what=what, digest=digest_of(file.read_bytes())))
    for folder in sorted({folder for path in golden_paths for folder in Path(path).parents}):
        name = (folder / "conftest.py").as_posix()
        if not (revision.root / name).exists() and is_changed(revision, name):
            what = "this file was removed, and may have said which app is run"
            items.append(Loosening(place=name, what=what))
    return sorted(items, key=lambda item: item.place)


def _loaded_files(config: pytest.Config, root: Path) -> Iterator[Path]:
    """Conftests and plugins below the root, but for this package: who changes it, changes the gate."""
    written = (getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins())
    for file in (Path(path).resolve() for path in written if isinstance(path, str)):
        own = file.is_relative_to(root.resolve()) and file.is_file() and not file.is_relative_to(_PACKAGE)
        if own and not {"site-packages", "dist-packages"} & set(file.parts):
            yield file
