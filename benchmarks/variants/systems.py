"""Which systems are compared, and one golden run of each, whose scores are stored in `runs/`."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_llmops.errors import RunFileError
from pytest_llmops.gates.case_results import app_breakage
from pytest_llmops.records import Output, Run
from pytest_llmops.reports.files.run_file import load_run, write_run

ROOT = Path(__file__).parents[2]
RUNS = Path(__file__).with_name("runs")
OWNER = "lightrag"
DOCUMENTS = f"reference_app/variants/{OWNER}/golden.yaml"
TIMEOUT_S = 900
_COUNTS = re.compile(r"\d+ passed, \d+ failed, ")
METRICS = ("recall@3", "recall@5", "keywords", "faithfulness", "semantic", "facts", "tool_calls", "pii_leak")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """
    A system and the golden file that it is asked.

    Attributes:
        name: Of its stored run.
        app: In place of the golden file's own; empty takes that.
        environment: Folder of the virtual environment that it runs in, made by `make variant`.
    """

    name: str
    title: str
    golden: str
    app: str = ""
    environment: str = ".venv"

    @property
    def stored(self) -> Path:
        return RUNS / f"{self.name}.json"

    @property
    def is_installed(self) -> bool:
        return (ROOT / self.environment / "stamp").exists() or self.environment == ".venv"


def _reference(name: str, golden: str, app: str = "reference_app:answer") -> System:
    return System(name=f"reference-{name}", title="reference app", golden=golden, app=app)


def _documents(variant: str, title: str) -> System:
    """Of the variant whose own golden file this is, the stored run is its baseline."""
    name = variant if variant == OWNER else f"{variant}-documents"
    app = f"reference_app.variants.{variant}:answer"
    return System(name=name, title=title, golden=DOCUMENTS, app=app, environment=f".venv-{variant}")


GROUPS: dict[str, tuple[System, ...]] = {
    "Documents": (
        _reference("documents", DOCUMENTS),
        _documents("lightrag", "LightRAG, mode `mix`"),
        _documents("raganything", "RAG-Anything, mode `mix`"),
        _documents("autorag", "AutoRAG's choice"),
    ),
    "Tables, pictures and equations": (
        _reference("multimodal", "golden/multimodal.yaml"),
        System(
            name="raganything",
            title="RAG-Anything, mode `mix`",
            golden="golden/multimodal.yaml",
            environment=".venv-raganything",
        ),
    ),
    "Tools and orders": (
        _reference("team", "reference_app/variants/autogen/golden.yaml", "golden._attacks.attacked:answer"),
        System(
            name="autogen",
            title="AutoGen team",
            golden="reference_app/variants/autogen/golden.yaml",
            environment=".venv-autogen",
        ),
    ),
    "Everything, with tools from an MCP server": (
        _reference("support", "golden/support.yaml"),
        System(
            name="mcp",
            title="reference app on MCP",
            golden="golden/support.yaml",
            app="reference_app.variants.mcp:answer",
            environment=".venv-mcp",
        ),
    ),
}
"""By their golden file; the first of each group is what the others are compared with."""

BASELINES = (
    System(
        name="autorag",
        title="AutoRAG's choice",
        golden="reference_app/variants/autorag/golden.yaml",
        environment=".venv-autorag",
    ),
)
"""Runs that are stored as the baseline of `make variant` alone."""


class NotStoredError(Exception):
    """The system is not installed, or its run broke or has more errors than the stored one."""


def run(system: System, folder: Path, *, accept: bool = False) -> str:
    """
    Run the system on every case, live and one at a time, and store its scores; returns the summary line.

    Args:
        accept: Store the run even if more of its cases are errors than of the one that is stored.

    Raises:
        NotStoredError: It is not stored, for which the message gives the reason.
    """
    out = folder / f"{system.name}.json"
    if not system.is_installed:
        name = system.environment.removeprefix(".venv-")
        raise NotStoredError(f"not installed; run `make variant NAME={name}`")
    command = [
        str(ROOT / system.environment / "bin" / "python"),
        *("-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"),
        *("--llm-golden", system.golden, *(("--llm-app", system.app) if system.app else ())),
        *("--llm-record", "all", "--llm-concurrency", "1", f"--llm-out={out}"),
    ]
    environment = {**os.environ, "REFERENCE_APP_INDEX": str(folder / "index")}
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        found = load_run(out)
    except subprocess.TimeoutExpired:
        raise NotStoredError(f"it took longer than {TIMEOUT_S} s") from None
    except RunFileError as error:
        raise NotStoredError(f"{error}\n{(done.stdout + done.stderr)[-2000:]}") from None
    errors, known = _count_errors(found), 0
    if system.stored.exists():
        known = _count_errors(load_run(system.stored))
    if errors > known and not accept:
        raise NotStoredError(f"{errors} cases are errors, and {known} of the stored run; --accept stores it")
    write_run(_reduced(found), system.stored)
    compact = json.dumps(json.loads(system.stored.read_bytes()), separators=(",", ":"))
    system.stored.write_text(compact + "\n", encoding="utf-8")
    lines = done.stdout.splitlines()
    return next((line for line in lines if _COUNTS.match(line)), "no summary")


def _count_errors(run: Run) -> int:
    return sum(app_breakage(result) != "" for result in run.results)


def _reduced(run: Run) -> Run:
    """What the tables are made of: scores by `METRICS`, failures, and what the answers took."""
    return replace(
        run,
        results=tuple(
            replace(
                result,
                outputs=tuple(
                    Output(
                        text="",
                        repeat=output.repeat,
                        usage=output.usage,
                        latency_s=round(output.latency_s, 3),
                    )
                    for output in result.outputs
                ),
                scores=tuple(
                    replace(score, reason="", evidence=())
                    for score in result.scores
                    if score.metric in METRICS
                ),
                checks=tuple(check for check in result.checks if check.metric in METRICS),
            )
            for result in run.results
        ),
    )
