from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_llmops import cache
from pytest_llmops.cache import Memory
from pytest_llmops.errors import WeightsError


def test_processes_share_one_cache(cache_folder):
    """Four write at once; none gives up and all that was written can be read."""
    code = (
        "import sys; from pathlib import Path; from pytest_llmops import cache\n"
        "cache.use_cache(Path(sys.argv[1]))\n"
        "for n in range(50): cache.write('k', {bytes([int(sys.argv[2]), n]): b'v'})\n"
    )
    processes = [
        subprocess.Popen(  # noqa: S603  written above
            [sys.executable, "-c", code, str(cache_folder), str(number)], stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    errors = [process.communicate()[1] for process in processes]

    assert errors == [b""] * 4
    keys = [bytes([number, n]) for number in range(4) for n in range(50)]
    assert set(cache.read("k", keys)) == set(keys)


def test_memory_is_bounded_and_keeps_what_was_used_last():
    made = []

    def make(keys):
        made.extend(keys)
        yield dict.fromkeys(keys, b"made")

    memory = Memory("test", 10, bytes, bytes)
    for number in range(30):
        memory.recall([b"kept", b"%d" % number], make)

    assert made.count(b"kept") == 1
    assert len(memory._held) == 10


def test_what_was_made_before_an_error_is_kept():
    def make(keys):
        yield {keys[0]: b"made"}
        raise WeightsError("broken")

    memory = Memory("test", 10, bytes, bytes)
    with pytest.raises(WeightsError):
        memory.recall([b"first", b"second"], make)

    assert memory.recall([b"first"], make) == {b"first": b"made"}
