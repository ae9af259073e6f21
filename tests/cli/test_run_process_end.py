"""`llmops run` over an app that ends the process: never exit 0, a run file for every case."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.usefixtures("warm")

GOLDEN = """
version: 1
app: mortal:answer
cases:
  - {id: a, input: hello, checks: {keywords: {all: [echo]}}}
  - {id: b, input: there, checks: {keywords: {all: [echo]}}}
  - {id: c, input: again, checks: {keywords: {all: [echo]}}}
"""
APP = """
import ctypes, os, signal, sys
MODULE

def answer(question):
    if question == "there":
        DEED
    return "echo " + question
"""


def run(
    folder, deed: str, *arguments: str, module: str = "", start: str = "pass"
) -> subprocess.CompletedProcess[str]:
    (folder / "golden").mkdir()
    (folder / "golden" / "g.yaml").write_text(GOLDEN)
    (folder / "mortal.py").write_text(APP.replace("DEED", deed).replace("MODULE", module))
    code = f"import sys; from pytest_llmops.cli import isolation, main; {start}; sys.exit(main())"
    command = [sys.executable, "-c", code, "run", "--out", "run.json", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


def errors(folder) -> dict[str, list[str]]:
    written = json.loads((folder / "run.json").read_text())
    return {
        each["case"].split("::")[1]: [each["error"] for each in each["failures"]]
        for each in written["results"]
    }


@pytest.mark.parametrize("arguments", [(), ("--isolate",)], ids=["guarded", "isolated"])
def test_an_exit_of_the_app_is_an_error_of_its_case(tmp_path, arguments):
    done = run(tmp_path, "os._exit(0)", *arguments)
    assert done.returncode == 3, done.stderr
    assert "2 passed, 0 failed, 0 regressed, 0 undecided, 1 error" in done.stdout
    assert errors(tmp_path)["a"] == errors(tmp_path)["c"] == []
    assert "os._exit(0)" in errors(tmp_path)["b"][0]


def test_what_python_cannot_guard_is_one_error_in_a_process_of_its_own(tmp_path):
    done = run(tmp_path, "ctypes.CDLL(None)._exit(0)", "--isolate")
    assert done.returncode == 3, done.stderr
    assert "2 passed, 0 failed, 0 regressed, 0 undecided, 1 error" in done.stdout
    assert "Traceback" not in done.stderr
    assert errors(tmp_path)["a"] == errors(tmp_path)["c"] == []
    assert "ended the process 3 times" in errors(tmp_path)["b"][0]


def test_an_import_that_ends_every_process_is_a_message(tmp_path):
    done = run(tmp_path, "pass", "--isolate", module="signal.raise_signal(signal.SIGSEGV)")
    assert done.returncode == 4
    assert "importing mortal:answer ended the process 2 times" in done.stderr


def test_a_run_whose_every_process_ends_is_an_error_of_what_is_left(tmp_path):
    end = "(time.sleep(0.3), ctypes.CDLL(None)._exit(0))"
    module = f"import threading, time; threading.Thread(target=lambda: {end}, daemon=True).start()"
    fewer = "isolation._PROCESSES = 4"  # than 30, which is no matter here
    done = run(tmp_path, "import time; time.sleep(60)", "--isolate", module=module, start=fewer)
    assert done.returncode in {3, 4}
    assert "error" in done.stdout + done.stderr or "ended the process" in done.stderr


@pytest.mark.parametrize(
    "deed",
    [
        "sys.stdout = None",
        "sys.stdout.close()",
        "os.close(1)",
        "os.close(1); os.open('taken', os.O_WRONLY | os.O_CREAT)",
    ],
)
def test_an_app_that_closes_its_output_is_no_success_without_a_word(tmp_path, deed):
    done = run(tmp_path, deed)
    assert done.stdout or done.returncode or "what was printed is not complete" in done.stderr
    assert len(errors(tmp_path)) == 3


def test_an_app_that_moves_away_and_removes_our_folder_changes_nothing(tmp_path):
    done = run(tmp_path, "import shutil; shutil.rmtree('.llmops', ignore_errors=True); os.chdir('/')")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(errors(tmp_path)) == 3
