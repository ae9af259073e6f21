"""Which systems are compared, and one golden run of each, whose scores are stored in `runs/`."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_llmops.errors import RunFileError
from pytest_llmops.records import Output, Run
from pytest_llmops.reports.files.run_file import load_run, write_run

ROOT = Path(__file__).parents[2]
RUNS = Path(__file__).with_name("runs")
DOCUMENTS = "reference_app/variants/lightrag/golden.yaml"
TIMEOUT_S = 900
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
    name = variant if variant in DOCUMENTS else f"{variant}-documents"
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
"""By what they are asked; the first of each group is what the others are compared with."""


def run(system: System, folder: Path) -> str:
    """Ask the system every case, live and one at a time, and store its scores; returns the summary line."""
    out = folder / f"{system.name}.json"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [
            str(ROOT / system.environment / "bin" / "python"),
            *("-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"),
            *("--llm-golden", system.golden, *(("--llm-app", system.app) if system.app else ())),
            *("--llm-record", "all", "--llm-concurrency", "1", f"--llm-out={out}"),
        ],
        cwd=ROOT,
        env={**os.environ, "REFERENCE_APP_INDEX": str(folder / "index")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    lines = done.stdout.splitlines() or done.stderr.splitlines() or ["no output"]
    try:
        write_run(_reduced(load_run(out)), system.stored)
        compact = json.dumps(json.loads(system.stored.read_bytes()), separators=(",", ":"))
        system.stored.write_text(compact + "\n", encoding="utf-8")
    except RunFileError as error:
        return f"not stored: {error}; {lines[-1]}"
    return next((line for line in lines if line.endswith(" error")), lines[-1])


def _reduced(run: Run) -> Run:
    """What the tables are made of: scores by `METRICS`, failures, and what the answers took."""
    return replace(
        run,
        results=tuple(
            replace(
                result,
                outputs=tuple(
                    Output(text="", repeat=each.repeat, usage=each.usage, latency_s=round(each.latency_s, 3))
                    for each in result.outputs
                ),
                scores=tuple(
                    replace(each, reason="", evidence=()) for each in result.scores if each.metric in METRICS
                ),
                checks=tuple(each for each in result.checks if each.metric in METRICS),
            )
            for result in run.results
        ),
    )
