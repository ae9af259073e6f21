from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_llmops import cache
from pytest_llmops.documents.atomic_file import write_atomically


def test_a_file_is_made_with_its_folder_and_replaced(tmp_path):
    path = tmp_path / "new" / "file"
    for data in (b"one", b"two"):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError):  # noqa: PT011 - just this one
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("folder", "mode"), [("home/runs", 0o600), ("golden", 0o644)])
@pytest.mark.parametrize("private", [True, False])
def test_a_file_of_the_working_folder_is_its_owners_alone(tmp_path, folder, mode, private):
    before = os.umask(0o022)
    (tmp_path / "home").mkdir(mode=0o700 if private else 0o755)
    cache.use_cache(tmp_path / "home/cache")
    try:
        write_atomically(tmp_path / folder / "file", b"data")
    finally:
        cache.use_cache(None)
        os.umask(before)

    assert (tmp_path / folder / "file").stat().st_mode & 0o777 == (mode if private else 0o644)
