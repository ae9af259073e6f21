"""A verb's exit code is its verdict, whatever becomes of what it prints."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

LLMOPS = "python -c 'import sys; from pytest_llmops.cli import main; sys.exit(main())'"
APP = """
def answer(question):
    print("the app talks, too:", question)
    return "no"
"""
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")

LEAVES = "| head -1"
CLOSED = ">&-"
FULL = pytest.param("> /dev/full", marks=needs_full)


@pytest.fixture
def shell(tmp_path, monkeypatch, python):
    """Runs a line in a project of 60 cases, of which none (`failing`) or all (`passing`) pass."""
    (tmp_path / "app.py").write_text(APP)
    for name, expected in (("failing", "yes"), ("passing", "no")):
        cases = [
            {"id": f"c{at}", "input": f"q{at}", "checks": {"keywords": {"all": [expected]}}}
            for at in range(60)
        ]
        (tmp_path / f"{name}.json").write_text(
            json.dumps({"version": 1, "app": "app:answer", "cases": cases})
        )
    monkeypatch.chdir(tmp_path)
    # Other plugins that are installed here take two seconds a process to import.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_llmops.plugin")

    def run(line: str) -> subprocess.CompletedProcess[str]:
        start = sys.executable if "PYTHON" in line else python  # which does not read Python's own variables
        words = ["bash", "-c", f'set -o pipefail; python() {{ {shlex.quote(start)} "$@"; }}; {line}']
        return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603 - our own line

    return run


@pytest.mark.parametrize("stdout", [LEAVES, CLOSED, FULL])
@pytest.mark.parametrize(("golden", "verdict"), [("failing", 1), ("passing", 0)])
def test_run_exits_with_its_verdict_and_writes_its_file(shell, golden, verdict, stdout):
    done = shell(f"{LLMOPS} run {golden}.json --out run.json {stdout}")

    assert done.returncode == verdict
    assert "Traceback" not in done.stderr
    assert len(json.loads(Path("run.json").read_text())["results"]) == 60


def test_compare_exits_with_its_verdict(shell):
    assert shell(f"{LLMOPS} run passing.json --out base.json").returncode == 0
    text = Path("base.json").read_text().replace('"value": 1', '"value": 0')
    Path("worse.json").write_text(text)

    for stdout in ("", LEAVES, CLOSED, "> /dev/full" if Path("/dev/full").exists() else ""):
        assert shell(f"{LLMOPS} compare base.json worse.json --format json {stdout}").returncode == 1
        assert shell(f"{LLMOPS} compare base.json base.json --format json {stdout}").returncode == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_buffered_or_not(shell, unbuffered):
    assert shell(f"PYTHONUNBUFFERED={unbuffered} {LLMOPS} run failing.json {LEAVES}").returncode == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_all_that_pytest_prints_is_there_buffered_or_not(shell, unbuffered):
    """pytest writes its summary to the stream of its beginning, which is none of `sys` at its end."""
    line = "python -m pytest -p no:cacheprovider --llm-golden passing.json"
    done = shell(f"PYTHONUNBUFFERED={unbuffered} {line} | cat")

    assert "= golden set =" in done.stdout
    assert re.search(r"=+ 60 passed in \S+ =+$", done.stdout.rstrip())


def test_a_message_that_nobody_reads_keeps_its_exit_code(shell):
    assert shell(f"{LLMOPS} run none.json").returncode == 4
    assert shell(f"{LLMOPS} run none.json 2>&1 | true").returncode == 4
    assert shell(f"{LLMOPS} run none.json >&- 2>&-").returncode == 4


@needs_full
def test_lost_output_is_said_and_lost_data_are_no_success(shell):
    Path("rows.jsonl").write_text('{"id": "a", "output": "x", "reference": "x"}\n')

    done = shell(f"{LLMOPS} run passing.json > /dev/full")
    assert (done.returncode, done.stderr) == (
        0,
        "stdout: No space left on device; what was printed is not complete\n",
    )
    assert shell(f"{LLMOPS} score exact_match rows.jsonl > /dev/full").returncode == 4
    assert shell(f"{LLMOPS} score exact_match rows.jsonl | true").returncode == 0


def test_all_is_printed_for_a_reader_who_stays(shell):
    done = shell(f"{LLMOPS} run failing.json | cat")

    assert done.returncode == 1
    assert "0 passed, 60 failed" in done.stdout
    assert done.stdout.count("the app talks, too") == 60


@pytest.mark.parametrize("options", ["", "-s"])
@pytest.mark.parametrize("stdout", [LEAVES, FULL])
@pytest.mark.parametrize(("golden", "verdict"), [("failing", 1), ("passing", 0)])
def test_so_does_pytest(shell, golden, verdict, stdout, options):
    line = f"python -m pytest -p no:cacheprovider --llm-golden {golden}.json --llm-out run.json"
    done = shell(f"{line} {options} {stdout}")

    assert (done.returncode, "Traceback" in done.stderr) == (verdict, False)
    assert len(json.loads(Path("run.json").read_text())["results"]) == 60
