"""
Runs every example that is installed here on its golden file, and writes the tables of docs/variants.md.

    python -m benchmarks.variants                   # live runs of all, one case at a time
    python -m benchmarks.variants lightrag autogen  # of some
    python -m benchmarks.variants --stored          # only the tables, from the runs that are stored
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

from pytest_llmops.gates.case_results import app_breakage
from pytest_llmops.records import Output, Run
from pytest_llmops.reports.files.run_file import load_run, write_run

ROOT = Path(__file__).parents[2]
RUNS, PAGE = Path(__file__).with_name("runs"), ROOT / "docs" / "variants.md"
BEGIN, END = "<!-- tables: python -m benchmarks.variants -->\n", "<!-- end of tables -->"
METRICS = (
    "recall@1",
    "recall@3",
    "recall@5",
    "keywords",
    "faithfulness",
    "semantic",
    "tool_calls",
    "pii_leak",
)
DOCUMENTS, MULTIMODAL = "reference_app/variants/lightrag/golden.yaml", "golden/multimodal.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """
    A system and the golden file that it is asked.

    Attributes:
        golden: Path from the repository's root.
        app: In place of the golden file's own; empty takes that.
        environment: Of `make variant NAME=…`; empty is the app's own.
    """

    name: str
    title: str
    golden: str
    app: str = ""
    environment: str = ""

    @property
    def stored(self) -> Path:
        """The file of its run."""
        return RUNS / f"{self.name}.json"

    @property
    def python(self) -> Path:
        """The interpreter that it runs in."""
        return ROOT / f".venv{'-' * bool(self.environment)}{self.environment}" / "bin" / "python"


def _example(name: str, title: str, golden: str = "") -> System:
    """One of `reference_app/variants`, on its own golden file or on another."""
    golden = golden or f"reference_app/variants/{name}/golden.yaml"
    return System(
        name=name, title=title, golden=golden, app=f"reference_app.variants.{name}:answer", environment=name
    )


GROUPS: dict[str, tuple[System, ...]] = {
    "Documents": (
        System(
            name="reference-documents", title="reference app", golden=DOCUMENTS, app="reference_app:answer"
        ),
        _example("lightrag", "LightRAG, mode `mix`"),
        _example("autorag", "AutoRAG's choice"),
    ),
    "Tables, pictures and equations": (
        System(
            name="reference-multimodal", title="reference app", golden=MULTIMODAL, app="reference_app:answer"
        ),
        _example("raganything", "RAG-Anything, mode `mix`", MULTIMODAL),
    ),
    "Orders and products": (_example("autogen", "AutoGen agent, Qwen2.5-Coder-1.5B"),),
    "Everything, with tools from an MCP server": (
        System(name="reference-support", title="reference app", golden="golden/support.yaml"),
        _example("mcp", "reference app on MCP", "golden/support.yaml"),
    ),
}
SYSTEMS = {system.name: system for systems in GROUPS.values() for system in systems}


def main() -> int:
    """0, or 1 if a system is not installed or its run broke."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants")
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(SYSTEMS))
    parser.add_argument("--stored", action="store_true")
    given = parser.parse_args()
    if unknown := sorted(set(given.systems) - set(SYSTEMS)):
        parser.error(f"there is no system {unknown[0]}; there are {', '.join(SYSTEMS)}")
    failed = False
    for name in () if given.stored else given.systems or SYSTEMS:
        said = run(SYSTEMS[name])
        failed |= bool(said)
        print(f"{name}: {said or 'stored'}", flush=True)
    PAGE.write_text(insert(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return int(failed)


def run(system: System) -> str:
    """Run the system live, one case at a time, and store its scores; what went wrong, or nothing."""
    if not system.python.exists():
        return f"not installed; run `make variant NAME={system.environment}`"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        command = [
            system.python,
            *("-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"),
        ]
        command += ["--llm-golden", system.golden, "--llm-concurrency", "1", f"--llm-out={out}"]
        command += [f"--llm-app={system.app}"] if system.app else []
        command += ["--llm-record", "new" if system.name == "autogen" else "all"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if not out.exists():
            return (done.stdout + done.stderr)[-2000:]
        store(load_run(out), system)
    return ""


def store(run: Run, system: System) -> None:
    """Keep what the tables and `make variant` need of a run: scores, checks, seconds and tokens, no texts."""
    results = tuple(
        replace(
            result,
            outputs=tuple(
                Output(text="", repeat=one.repeat, usage=one.usage, latency_s=round(one.latency_s, 3))
                for one in result.outputs
            ),
            scores=tuple(
                replace(score, reason="", evidence=()) for score in result.scores if score.metric in METRICS
            ),
            checks=tuple(check for check in result.checks if check.metric in METRICS),
        )
        for result in run.results
    )
    write_run(replace(run, results=results), system.stored)
    compact = json.dumps(json.loads(system.stored.read_bytes()), separators=(",", ":"))
    system.stored.write_text(compact + "\n", encoding="utf-8")


def render() -> str:
    """A table for each golden file of which a run is stored."""
    parts = []
    for title, systems in GROUPS.items():
        runs = {system.title: load_run(system.stored) for system in systems if system.stored.exists()}
        if runs:
            cases = len(next(iter(runs.values())).results)
            parts.append(
                f"## {title}\n\n`{systems[0].golden}`, {cases} cases.\n\n" + "\n".join(_table(runs)) + "\n"
            )
    return "\n".join(parts)


def insert(page: str) -> str:
    """The page with the tables of the stored runs."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{render()}\n{END}{rest.partition(END)[2]}"


def _table(runs: dict[str, Run]) -> list[str]:
    scored = {score.metric for run in runs.values() for result in run.results for score in result.scores}
    metrics = [name for name in METRICS if name in scored]
    head = ["system", "errors", *metrics, "seconds, median", "tokens, mean"]
    return [
        _line(head),
        "|" + "---|" * len(head),
        *(_line(_row(title, run, metrics)) for title, run in runs.items()),
    ]


def _row(title: str, run: Run, metrics: list[str]) -> list[str]:
    """Means over cases; one that broke counts as a miss where it has the metric's check."""
    errors = sum(app_breakage(result) != "" for result in run.results)
    cells = [title, str(errors)]
    for name in metrics:
        values = [score.value for result in run.results for score in result.scores if score.metric == name]
        missed = sum(
            app_breakage(result) != "" and any(check.metric == name for check in result.checks)
            for result in run.results
        )
        cells.append(f"{fmean([*values, *[0.0] * missed]):.3f}" if values else "")
    outputs = [output for result in run.results for output in result.outputs]
    tokens = [(one.usage.prompt_tokens or 0) + (one.usage.completion_tokens or 0) for one in outputs]
    return [*cells, f"{median(one.latency_s for one in outputs):.2f}", f"{fmean(tokens):.0f}"]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
