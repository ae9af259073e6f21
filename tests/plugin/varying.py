"""A project whose app misses one answer in ten, by the case and by how often it was asked."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest  # noqa: TC002 - a dataclass reads its annotations

from pytest_llmops.records import OUTCOMES, STATUSES
from tests.plugin.conftest import Project

APP = """
    import os
    import signal
    from pathlib import Path

    VARIES = True

    def answer(question):
        number = int(question.split()[1])
        log = Path("asked") / str(number)  # one worker does a case, so that nobody else writes here
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as asked:
            asked.write(b".")
            nth = asked.tell() - 1
        if Path(f"broken-{number}").exists():
            return f"bad {nth}" if VARIES else "bad"
        if Path(f"deadly-{number}-{nth}").exists():
            Path(f"deadly-{number}-{nth}").unlink()
            os.kill(os.getpid(), signal.SIGKILL)  # which no guard in the process can catch
        return "bad" if VARIES and (number + nth) % 10 == 3 else "good"
"""
STEADY = APP.replace("VARIES = True", "VARIES = False")
IN_TURN = ("--llm-concurrency", "1")
"""A case's repeats one after the other, so that the app knows each by its count."""


def golden_text(cases: int = 12, head: str = "", **own: str) -> str:
    lines = "".join(
        f"  - {{id: case-{number}, input: question {number}, checks: {{keywords: {{all: [good]}}}}"
        f"{own.get(f'case_{number}', '')}}}\n"
        for number in range(cases)
    )
    suite = "suite: {keywords: {mean: '>= 0.5', max_drop: 0.05}}\n"
    return f"version: 1\napp: capitals:answer\n{head}{suite}cases:\n{lines}"


@dataclass(frozen=True, slots=True)
class Varying:
    """The project, and what was asked of its app in the last run."""

    project: Project
    cases: int = 12

    @property
    def path(self) -> Path:
        return self.project.path

    @property
    def baseline(self) -> Path:
        return self.path / "golden" / "baseline.json"

    def start_over(self) -> None:
        """Let the app forget how often it was asked."""
        shutil.rmtree(self.path / "asked", ignore_errors=True)

    def ask(self, *arguments: str, workers: int = 0) -> pytest.RunResult:
        """A run from the start."""
        self.start_over()
        if workers:
            arguments = ("-n", str(workers), *arguments)
        return self.project.run_here(*IN_TURN, *arguments)

    def asked(self) -> dict[int, int]:
        return {int(log.name): log.stat().st_size for log in sorted((self.path / "asked").iterdir())}

    def break_case(self, *numbers: int) -> None:
        for number in numbers:
            (self.path / f"broken-{number}").touch()


def outcomes_of(result: pytest.RunResult) -> Counter[str]:
    """The counts of the last line, zeros included but for known failures."""
    counts = {"errors": 0, **result.parseoutcomes()}
    counts["error"] = counts.pop("errors")
    return Counter({name: counts.get(name, 0) for name in STATUSES if name in counts or name in OUTCOMES})


def scores_in(path: Path) -> dict[str, list[tuple[str, int, float]]]:
    """Case to (metric, repeat, value) of a run file, in its order."""
    run = json.loads(path.read_text())
    return {
        each["case"]: [(score["metric"], score["repeat"], score["value"]) for score in each["scores"]]
        for each in run["results"]
    }
