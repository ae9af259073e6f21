"""The import of apps in a run of several processes: one that ends them is refused before it ends them all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_llmops.errors import AppError
from pytest_llmops.records import Golden
from pytest_llmops.runner.store import SharedStore
from pytest_llmops.settings import Settings

_MOST_IMPORTS = 2


@contextmanager
def importing(golden: Golden, settings: Settings, store: SharedStore | None) -> Iterator[None]:
    """Refuses an import that ended several processes of a run, before it ends this one too."""
    if store is None:
        yield
        return
    apps = " or ".join(filter(None, (settings.app or golden.app, golden.rival)))
    with store.survived(f"import {apps}") as ended:
        if ended >= _MOST_IMPORTS:
            raise AppError(f"importing {apps} ended the process {ended} times; import it alone to see why")
        yield
