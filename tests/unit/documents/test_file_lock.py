"""Threads and processes take turns by the lock of a file."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_llmops.documents.file_lock import hold_lock, take_lock, wait_for_lock


def test_a_lock_that_is_held_is_waited_for_and_not_taken(tmp_path: Path):
    path = tmp_path / "new folder" / "a.lock"

    def try_it() -> str:
        assert take_lock(path) is None
        with pytest.raises(TimeoutError), hold_lock(path, timeout_s=0.05):
            pass
        return "held"

    with hold_lock(path), ThreadPoolExecutor(1) as pool:
        assert pool.submit(try_it).result() == "held"
    with hold_lock(path, timeout_s=0):
        pass
    lock = take_lock(path)
    assert lock is not None
    assert take_lock(path) is None
    lock.release()
    wait_for_lock(path).release()


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path):
    path = tmp_path / "a.lock"
    script = (
        "import os, sys; from pathlib import Path; from pytest_llmops.documents.file_lock import take_lock; "
        "lock = take_lock(Path(sys.argv[1])); os._exit(lock is None)"
    )
    assert subprocess.run([sys.executable, "-c", script, path], check=False).returncode == 0  # noqa: S603

    lock = take_lock(path)
    assert lock is not None
    lock.release()


def test_a_forked_process_takes_its_turn(tmp_path: Path):
    path = tmp_path / "a.lock"
    with hold_lock(path):
        pass

    def take_turn() -> None:
        with hold_lock(path, timeout_s=5):
            path.with_suffix(".done").touch()

    process = multiprocessing.get_context("fork").Process(target=take_turn)
    process.start()
    process.join()

    assert path.with_suffix(".done").exists()
