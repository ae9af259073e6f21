"""Threads and processes take turns by the lock of a file."""

from __future__ import annotations

import multiprocessing
import os
import signal
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
    hold_within(path, 0)
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


def test_a_lock_does_not_outlive_its_process_in_a_forked_child(tmp_path: Path):
    path = tmp_path / "a.lock"
    script = (
        "import os, sys, time; from pathlib import Path\n"
        "from pytest_llmops.documents.file_lock import take_lock\n"
        "lock = take_lock(Path(sys.argv[1]))\n"
        "if not (child := os.fork()): os.close(1) or time.sleep(60)\n"
        "print(child, flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", script, path], check=True, stdout=subprocess.PIPE)  # noqa: S603
    try:
        hold_within(path, 5)
    finally:
        os.kill(int(done.stdout), signal.SIGKILL)


def test_threads_fork_while_others_take_locks(tmp_path: Path):
    """Neither is refused, as filelock 4 refuses forks of two threads at once."""
    script = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pytest_llmops.documents.file_lock import hold_lock

def take(turn):
    with hold_lock(Path(sys.argv[1], f"{turn % 3}.lock"), timeout_s=30, poll_s=0.001):
        pass

def fork(turn):
    if not (child := os.fork()):
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

with ThreadPoolExecutor(8) as pool:
    turns = [pool.submit(do, turn) for turn in range(100) for do in (take, fork)]
    for turn in turns:
        turn.result()
"""
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True, timeout=60)  # noqa: S603


def hold_within(path: Path, timeout_s: float) -> None:
    with hold_lock(path, timeout_s=timeout_s):
        pass
