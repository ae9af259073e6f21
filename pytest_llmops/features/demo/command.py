"""`llmops demo [FOLDER]`: a regression of a small project is caught. Exit 0, or 3 if it was not."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import webbrowser
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp

from pytest_llmops.errors import LLMOpsError

_BROKEN = 3
_PROMPT = "prompts/answer.md"
_REPORT = "report.html"
_STARTS = {
    "pytest": ("-m", "pytest"),
    "llmops": ("-c", "from pytest_llmops.cli import main; raise SystemExit(main())"),
}
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")
_CHANGE = (
    ("version: 1.0.0", "version: 1.1.0"),
    ("with the rule that applies and all of its conditions.", "with the rule that applies. Keep it short."),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", metavar="FOLDER", help="a new folder for the project (default: a temporary one)"
    )
    parser.add_argument("--no-open", action="store_true", help="do not open the report in a browser")
    parser.set_defaults(do=_demo)


def _demo(given: argparse.Namespace) -> int:
    folder = _make_project(given.folder)
    _say(f"A shop's assistant and its golden set of five questions, in {folder}")
    _say("\n1. They pass, and are accepted as the baseline.\n")
    codes = [_start(folder, "pytest -q --llm-golden --llm-repeats 3 --llm-out good.json")]
    codes.append(_start(folder, "llmops accept good.json --with-outputs"))
    _say("\n2. Somebody wants shorter answers, and changes the prompt.\n")
    _say(_change_prompt(folder))
    _say("\n3. The new answers read well. The gate says what customers do not learn any more.\n")
    codes.append(_start(folder, f"pytest -q --llm-golden --llm-html {_REPORT} --llm-out run.json"))
    codes.append(_start(folder, "llmops compare golden/baseline.json run.json --format json", shows=False))
    report = folder / _REPORT
    if codes != [0, 0, 1, 1] or not report.exists():  # 1 of `llmops compare` is a regression, and no error
        print(f"the demonstration did not work, by its exit codes {codes}", file=sys.stderr)  # noqa: T201 - a command talks to its user
        return _BROKEN
    _say(f"\nThe report, with each answer before and after: {report.as_uri()}")
    _say("Your own app: llmops init")
    if not given.no_open and _has_screen():
        webbrowser.open(report.as_uri())
    return 0


def _make_project(named: str | None) -> Path:
    """
    Copy the project into a new folder.

    Raises:
        LLMOpsError: The folder is there already, or cannot be made.
    """
    folder = Path(named).absolute() if named else Path(mkdtemp(prefix="llmops-demo-"), "shop")
    if folder.exists():
        raise LLMOpsError(f"{named} is there already; name a new folder")
    try:
        with as_file(files("pytest_llmops.features.demo") / "project") as project:
            copytree(project, folder)
        (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    except OSError as error:
        raise LLMOpsError(f"{folder} cannot be made: {error.strerror}") from None
    return folder


def _change_prompt(folder: Path) -> str:
    """Change the prompt as a person would, and return the difference."""
    path = folder / _PROMPT
    text = path.read_text(encoding="utf-8")
    lines = [_PROMPT]
    for before, after in _CHANGE:
        text = text.replace(before, after)
        lines += [f"  - {before}", f"  + {after}"]
    path.write_text(text, encoding="utf-8")
    return "\n".join(lines)


def _start(folder: Path, command: str, *, shows: bool = True) -> int:
    """Run a command there with this Python, as it is shown, and return its exit code."""
    if shows:
        _say(f"$ {command}")
    verb, *words = command.split()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(  # noqa: S603 - words of this module
        [sys.executable, *_STARTS[verb], *words],
        cwd=folder,
        env=environment,
        stdout=None if shows else subprocess.DEVNULL,
        check=False,
    ).returncode


def _has_screen() -> bool:
    return sys.stdout.isatty() and (sys.platform == "darwin" or any(map(os.environ.get, _SCREENS)))


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - as above
