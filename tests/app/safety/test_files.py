from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reference_app.safety import RefusedError, files
from reference_app.safety.files import READER, Limits, read_file

HERE = Path(__file__).parent
HOSTILE = yaml.safe_load((HERE / "hostile.yaml").read_text(encoding="utf-8"))["paths"]
BENIGN = yaml.safe_load((HERE / "benign.yaml").read_text(encoding="utf-8"))["paths"]
SECRET = "walrus-secret"
LIMITS = Limits(file_bytes=1_000_000)
limits_memory = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory")


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
        "large.txt": "x" * 1_000_001,
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
        read_file(folder, case["path"], limits=LIMITS)


@pytest.mark.parametrize("case", BENIGN, ids=lambda case: case["path"])
def test_its_benign_twin_is_read(folder, case):
    assert read_file(folder, case["path"], limits=LIMITS) == case["text"]


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


def test_a_file_grown_after_it_was_opened_is_refused(folder, monkeypatch):
    small = os.stat_result([0o100644, 0, 0, 1, 0, 0, 3, 0, 0, 0])
    monkeypatch.setattr(files.os, "fstat", lambda _: small)

    with pytest.raises(RefusedError, match="larger than 1000000"):
        read_file(folder, "large.txt", limits=LIMITS)


def test_a_text_larger_than_the_limit_is_refused(folder):
    with pytest.raises(RefusedError, match="its text is larger than 3"):
        read_file(folder, "console.txt", limits=Limits(text_bytes=3))


@limits_memory
def test_a_reader_without_enough_memory_is_a_refusal(folder):
    with pytest.raises(RefusedError, match="more memory, time or rights"):
        read_file(folder, "large.txt", limits=Limits(memory_bytes=4096))


@pytest.mark.parametrize(
    ("script", "reason", "timeout_s"),
    [
        ("import os; os.kill(os.getpid(), 9)", "more memory, time or rights", 10.0),
        ("raise SystemExit(1)", "more memory, time or rights", 10.0),
        ("import time; time.sleep(60)", "takes longer than", 0.2),
        ("while True: pass", "takes longer than", 0.2),
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "more memory, time or rights", 10.0),
    ],
)
def test_a_reader_that_dies_hangs_or_floods_is_a_refusal(  # noqa: PLR0913, PLR0917
    folder, tmp_path, monkeypatch, script, reason, timeout_s
):
    (tmp_path / "reader.py").write_text(script)
    monkeypatch.setattr(files, "READER", tmp_path / "reader.py")

    with pytest.raises(RefusedError, match=reason):
        read_file(folder, "console.txt", limits=Limits(timeout_s=timeout_s))


ATTEMPTS = {
    "open a file": "open('/etc/hosts')",
    "make a file": "open('made', 'w')",
    "open a socket": "socket.socket()",
    "ask a resolver": "socket.getaddrinfo('shop.example', 80)",
    "start a program": "subprocess.run(['/bin/true'])",
    "make a pipe": "os.pipe()",
    "write more to a file it was given": "os.write(1, b'more')",
    "take memory": "bytearray(1_000_000_000)",
    "raise its limits": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
}


@limits_memory
@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_a_reader_that_is_taken_over_can_do_nothing(tmp_path, attempt):
    script = f"""
import os, resource, runpy, socket, subprocess, sys
reader = runpy.run_path({str(READER)!r}, run_name="reader")
reader["give_up_rights"](512_000_000, 5)
try:
    {attempt}
except BaseException:
    sys.exit(7)
"""
    with (tmp_path / "given").open("wb") as given_file:
        ended = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-I", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=given_file,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            check=False,
        )

    if "setrlimit" in attempt and ended.returncode == 0 and os.geteuid() == 0:
        pytest.skip("root may raise its limits where it gets no user namespace of its own")
    assert ended.returncode in (7, -25), ended.stderr  # -25: the signal of a file grown too large
    assert [path.name for path in tmp_path.iterdir()] == ["given"]
    assert (tmp_path / "given").read_bytes() == b""


def test_a_reader_has_no_network_of_its_own():
    script = f"""
import os, runpy
reader = runpy.run_path({str(READER)!r}, run_name="reader")
reader["give_up_rights"](512_000_000, 5)
print(os.readlink('/proc/self/ns/net'))
"""

    asked = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x50000000))"
    if subprocess.run([sys.executable, "-I", "-c", asked], check=False).returncode:  # noqa: S603 - our own interpreter
        pytest.skip("this user may not make a network namespace; descriptors alone keep the reader off it")

    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )

    assert ended.stdout.strip() != str(Path("/proc/self/ns/net").readlink())
    assert ended.stdout.startswith("net:")


def test_the_reader_gets_no_environment(folder, tmp_path, monkeypatch):
    (tmp_path / "reader.py").write_text(
        "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}), os.getcwd(), end='')"
    )
    monkeypatch.setattr(files, "READER", tmp_path / "reader.py")
    monkeypatch.setenv("WALRUS_KEY", "secret")

    assert read_file(folder, "console.txt") == "[] /"
