"""A folder to write golden files into and load them from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llmops import load_golden
from pytest_llmops.records import Golden

Load = Callable[..., Golden]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Writes a text as `shop<suffix>` and loads it."""

    def write_and_load(text: str | bytes, suffix: str = ".yaml") -> Golden:
        path = tmp_path / f"shop{suffix}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_golden(path, root=tmp_path)

    return write_and_load
