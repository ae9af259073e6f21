"""
The app with its model, with its model muted in three ways, and without a model: what each gets right.

Runs both golden sets under each of them. Recorded calls of the model are replayed, and others are made
(`llmops models pull large`). Rewrites the tables of README.md and docs/reference-app.md.
Usage: python -m benchmarks.columns
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.questions.figures import Share
from benchmarks.questions.scoring import INDEPENDENT, load_questions, score
from pytest_llmops.bounds import holds
from pytest_llmops.golden.loader import load_golden
from reference_app.app import SupportApp
from reference_app.models.client import Models, open_models
from reference_app.models.weights import find_weights
from reference_app.settings import read_settings

ROOT = Path(__file__).parents[1]
CURATED, APART = "golden/support.yaml", "golden/independent.yaml"
PAGES = (ROOT / "README.md", ROOT / "docs" / "reference-app.md")
BEGIN, END = "<!-- figures: python -m benchmarks.columns -->", "<!-- end of figures -->"
APPS = {
    "model on": "reference_app:answer",
    "muted: empty": "benchmarks.columns:empty",
    "muted: rubbish": "benchmarks.columns:rubbish",
    "muted: a refusal": "benchmarks.columns:refuse",
    "extractive": "reference_app.extractive:answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Muted(Models):
    """The app's models, of which the chat model always says the same."""

    reply: str = ""

    def complete(self, *_: Any, **__: Any) -> str:
        return self.reply


def empty(given: Any) -> dict[str, Any]:
    return _open("").answer(given)


def rubbish(given: Any) -> dict[str, Any]:
    return _open("zqx 17 ## lorem").answer(given)


def refuse(given: Any) -> dict[str, Any]:
    return _open("I'm sorry, but I can't help with that.").answer(given)


@cache
def _open(reply: str) -> SupportApp:
    settings = read_settings()
    models = open_models(settings, find_weights(settings.weights, settings.adapter))
    parts = {name: getattr(models, name) for name in Models.__dataclass_fields__}
    return SupportApp(settings, Muted(**parts, reply=reply))


def run(golden: str, app: str) -> list[Mapping[str, Any]]:
    """The results of a golden set with this app, as its run file has them."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        command = [sys.executable, "-m", "pytest", "--llm-golden", golden, "--llm-app", app, "-q"]
        command += ["--llm-baseline", "none", "--llm-repeats", "1", "-p", "no:hypothesispytest"]
        command += ["-o", "llm_timeout_s=900", "--llm-out", str(out)]
        subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - red is a result
        results: list[Mapping[str, Any]] = json.loads(out.read_text(encoding="utf-8"))["results"]
    return results


def count_green(golden: str, results: list[Mapping[str, Any]]) -> Share:
    """How many cases pass all their checks."""
    by_case = {result["case"]: result for result in results}
    cases = load_golden(golden, root=ROOT).cases
    return Share(
        name="green",
        count=sum(_passes(case, by_case[f"{golden}::{case.id}"]) for case in cases),
        of=len(cases),
    )


def _passes(case: Any, result: Mapping[str, Any]) -> bool:
    values: dict[str, list[float]] = {}
    for each in result["scores"]:
        values.setdefault(each["metric"], []).append(each["value"])
    checks = [check for check in case.checks if not check.record_only]
    return not result["failures"] and all(
        values.get(check.metric) and all(holds(value, check) for value in values[check.metric])
        for check in checks
    )


def count_right(results: list[Mapping[str, Any]]) -> tuple[Share, Share]:
    """Of the independent questions how many were answered right, and how many wrong."""
    answers = {
        result["case"].partition("::")[2]: result["outputs"][0] for result in results if result["outputs"]
    }
    questions = load_questions(INDEPENDENT)
    outcomes = [score(question, answers.get(question["id"])).outcome for question in questions]
    wrong = sum(outcome == "wrong" for outcome in outcomes)
    return (
        Share(name="right", count=outcomes.count("right"), of=len(outcomes)),
        Share(name="wrong", count=wrong, of=len(outcomes), fewer_is_better=True),
    )


def show(share: Share) -> str:
    low, high = share.interval
    return f"{share.count}/{share.of} ({share.value:.2f}, {low:.2f} to {high:.2f})"


def main() -> None:
    rows = [
        "| | golden set: green | independent questions: right | wrong |",
        "|---|---|---|---|",
    ]
    for name, app in APPS.items():
        right, wrong = count_right(run(APART, app))
        rows.append(
            f"| {name} | {show(count_green(CURATED, run(CURATED, app)))} | {show(right)} | {show(wrong)} |"
        )
        print(rows[-1], flush=True)
    for page in PAGES:
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{BEGIN}\n\n" + "\n".join(rows) + f"\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
