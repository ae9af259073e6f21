"""What tests of more than one package use."""

from __future__ import annotations

import pytest

from pytest_llmops import cache
from pytest_llmops.detect import scanner
from pytest_llmops.gates import case_results as index
from pytest_llmops.models import vectors


@pytest.fixture(scope="session", autouse=True)
def _few_results_are_remembered():
    """Simulations would leave two million objects, through which each later collection of garbage goes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "_REMEMBERED", 1_024)
        yield


@pytest.fixture
def cache_folder(tmp_path):
    """A fresh cache on disk, with nothing in memory, for one test."""
    folder = tmp_path / "cache"
    vectors.forget()
    scanner.forget()
    cache._signing_key.cache_clear()  # it may be of another home: tests of the plugin have one each
    cache.use_cache(folder)
    yield folder
    cache.use_cache(None)
    vectors.forget()
    scanner.forget()
