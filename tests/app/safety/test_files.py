from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reference_app.safety import RefusedError
from reference_app.safety.files import MAX_BYTES, read_file

HERE = Path(__file__).parent
HOSTILE = yaml.safe_load((HERE / "hostile.yaml").read_text(encoding="utf-8"))["paths"]
BENIGN = yaml.safe_load((HERE / "benign.yaml").read_text(encoding="utf-8"))["paths"]
SECRET = "walrus-secret"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a user, with traps in it and a secret beside it."""
    home = tmp_path_factory.mktemp("home")
    (home / "secret.txt").write_text(SECRET)
    (home / "outside").mkdir()
    (home / "outside" / "secret.txt").write_text(SECRET)
    folder = home / "files"
    (folder / "deeper" / "very deep").mkdir(parents=True)
    for name, content in {
        "notes.txt": "Tents: 4 | dry\n",
        "deeper/notes.md": "# Notes\n",
        "deeper/very deep/notes.txt": "deep",
        "größe..2.txt": "ä€😀",
        "NOTES.TXT": "loud",
        "console.txt": "no device",
        "50%.txt": "half",
        "etc.passwd.txt": "harmless",
        "empty.txt": "",
        "bom.txt": b"\xef\xbb\xbfbegins",
        "rows.csv": 'order,city\r\nFW-10427,"York,\r\nNorth"\r\n\r\nFW-10428,Leeds\r\n',
        "semicolons.csv": "order;points\nFW-10427;12,5\n",
        "one.csv": "order\n",
        "data.json": '{"city": "\\u00d6rebro",\n "points": [1, 2.5, null]}',
        "a-b_c (1).json": '"x"',
        ".env": SECRET,
        "program.py": "print()",
        "large.txt": "x" * (MAX_BYTES + 1),
        "binary.txt": b"\x00\x01",
        "latin.txt": "Größe".encode("latin-1"),
        "wide.txt": "wide".encode("utf-16"),
        "broken.json": "{",
        "deep.json": "[" * 100_000,
        "surrogate.json": '"\\ud800"',
        "broken.csv": 'a,"b\n',
    }.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
    (folder / "link.txt").symlink_to(home / "secret.txt")
    (folder / "inner.txt").symlink_to("notes.txt")
    (folder / "away").symlink_to(home / "outside")
    (folder / "folder.txt").mkdir()
    os.mkfifo(folder / "pipe.txt")
    (folder / "device.txt").symlink_to("/dev/zero")
    return folder


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: f"{case['why']}: {case['path']!a}")
def test_a_hostile_name_is_refused(folder, case):
    with pytest.raises(RefusedError, match=r"^The file is refused: [\x20-\x7e]+\.$"):
        read_file(folder, case["path"])


@pytest.mark.parametrize("case", BENIGN, ids=lambda case: case["path"])
def test_its_benign_twin_is_read(folder, case):
    assert read_file(folder, case["path"]) == case["text"]


@given(
    st.lists(
        st.sampled_from(
            ["..", ".", "/", "\\", "secret.txt", "link.txt", "away", "%2e", "\uff0e", "\0", "C:", "~"]
        )
    ).map("".join)
)
def test_no_name_made_of_tricks_reaches_the_secret(folder, name):
    with pytest.raises(RefusedError):
        read_file(folder, name)


def test_the_folder_may_be_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)

    assert read_file(tmp_path / "link", "console.txt") == "no device"


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="folder of files is missing"):
        read_file(tmp_path / "none", "notes.txt")


def test_a_file_larger_than_the_limit_is_refused(folder):
    with pytest.raises(RefusedError, match="larger than 3 bytes"):
        read_file(folder, "console.txt", max_bytes=3)
