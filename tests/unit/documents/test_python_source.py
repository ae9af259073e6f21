"""Python files that several threads parse at once."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pytest_llmops
from pytest_llmops.documents.python_source import parse_python

SOURCE = Path(pytest_llmops.__file__).with_name("records.py").read_bytes()


@pytest.fixture
def switching_threads():
    """What runs between two objects of a tree lets another thread go on."""

    def pause(*_event: object) -> None:
        sum(range(50))

    thresholds = gc.get_threshold()
    gc.callbacks.append(pause)
    gc.set_threshold(50)
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks.remove(pause)


@pytest.mark.usefixtures("switching_threads")
def test_threads_parse_at_once():
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(lambda _: parse_python(SOURCE), range(40)))

    assert len({len(tree.body) for tree in trees}) == 1
