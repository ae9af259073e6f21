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


@pytest.fixture
def key_folder(tmp_path, monkeypatch):
    """Where this user's key is kept, for one test."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: tmp_path / "user")
    cache._signing_key.cache_clear()
    yield tmp_path / "user"
    cache._signing_key.cache_clear()


def test_the_key_is_made_once_and_readable_by_its_owner_alone(key_folder):
    key = cache._signing_key()
    cache._signing_key.cache_clear()

    assert cache._signing_key() == key
    (file,) = key_folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("broken", ["open to all", "cut", "folder"])
def test_a_key_that_cannot_be_trusted_is_not_used(key_folder, broken):
    key = cache._signing_key()
    cache._signing_key.cache_clear()
    (file,) = key_folder.iterdir()
    if broken == "open to all":
        file.chmod(0o644)
    elif broken == "cut":
        file.write_bytes(key[:8])
    else:
        file.unlink()
        file.mkdir()

    assert cache._signing_key() != key
    assert len(cache._signing_key()) == len(key)


def test_what_another_user_signed_is_made_again(cache_folder, key_folder):
    made = []

    def make(keys):
        made.extend(keys)
        yield dict.fromkeys(keys, b"made")

    assert cache_folder.is_dir()
    assert key_folder.name
    for _ in range(2):
        Memory("test", 10, bytes, bytes, signed=True).recall([b"key"], make)
    assert len(made) == 1
    cache._signing_key.cache_clear()
    (key_folder / "cache.key").unlink()
    Memory("test", 10, bytes, bytes, signed=True).recall([b"key"], make)

    assert len(made) == 2


def test_the_cache_is_readable_by_its_owner_alone(cache_folder):
    cache.write("k", {b"a": b"b"})

    assert {path.stat().st_mode & 0o077 for path in cache_folder.iterdir()} == {0}
