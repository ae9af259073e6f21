from __future__ import annotations

import pytest

from pytest_llmops.models import cache, pii, vectors


@pytest.fixture
def cache_folder(tmp_path):
    """A fresh cache on disk, with nothing in memory, for one test."""
    folder = tmp_path / "cache"
    vectors.forget()
    pii.forget()
    cache.use_cache(folder)
    yield folder
    cache.use_cache(None)
    vectors.forget()
    pii.forget()
