"""
Puts questions to one adapter, or to its base with its own prompts, and keeps each answer as it comes.

A process of its own for each adapter, since the endpoint that serves it lives as long as the process does.
What was answered before is not asked again. Usage: REFERENCE_APP_ADAPTER=… python -m benchmarks.doses.asking
QUESTIONS ANSWERS [--base]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.doses.drawing import Question

ROOT = Path(__file__).parents[2]
WORKERS = 2
Answer = dict[str, Any]


def ask_adapter(adapter: Path, questions: Path, answers: Path, *, base: bool = False) -> dict[str, Answer]:
    """
    The answers by the questions' ids.

    Args:
        base: Ask the chat model without the adapter, with the prompts and the examples for such a model.
    """
    command = [sys.executable, "-m", "benchmarks.doses.asking", str(questions), str(answers)]
    environment = {**os.environ, "REFERENCE_APP_ADAPTER": str(adapter)}
    subprocess.run([*command, *(["--base"] if base else [])], cwd=ROOT, env=environment, check=True)  # noqa: S603
    return read_answers(answers)


def read_answers(path: Path) -> dict[str, Answer]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["id"]: row for row in rows}


def main(arguments: Sequence[str]) -> None:
    from reference_app.graph import open_app
    from reference_app.settings import open_redact, read_settings

    questions, answers = map(Path, arguments[:2])
    asked = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    known = read_answers(answers)
    waiting = [one for one in asked if one["id"] not in known]
    if not waiting:
        return
    settings = read_settings()
    if "--base" in arguments:
        settings = replace(settings, tuned=False)
    app, redact = open_app(settings), open_redact(settings)
    answers.parent.mkdir(parents=True, exist_ok=True)
    with answers.open("a", encoding="utf-8") as file, ThreadPoolExecutor(WORKERS) as pool:
        for done in as_completed([pool.submit(_answer, app, redact, one) for one in waiting]):
            file.write(json.dumps(done.result(), ensure_ascii=False) + "\n")
            file.flush()


def _answer(app: Any, redact: Callable[[str], str], question: Question) -> Answer:
    text = question["question"]
    if question["task"] != "plan":
        return {"id": question["id"], "text": app.parts.answerer.ask(question["passage"], text)}
    raw = _draft(app, text)
    return {"id": question["id"], "text": raw, **_use(app, redact(text), {text: raw})}


def _draft(app: Any, text: str) -> str:
    _, plan = app.parts.planner.draft(text, app.models.embed_query(text))
    return str(plan)


def _use(app: Any, text: str, drafts: dict[str, str]) -> Answer:
    """Routes and calls as the app goes on with them: behind the input guard, each question settled."""
    from reference_app.dialogue.intents import read_intents
    from reference_app.nodes.guards import suspect
    from reference_app.state import Plan
    from reference_app.tools.plans import PlanError, read_plan

    if suspect(text):
        return {"routes": ["refuse"], "calls": [], "guarded": True}
    plans = []
    for intent in read_intents(text):
        draft = drafts.get(intent.text) or _draft(app, intent.text)
        try:
            plan = read_plan(draft)
        except PlanError:
            plan = Plan(route="documents")
        plans.append(app.parts.planner.settle(plan, intent))
    calls = [{"name": call.name, "arguments": call.arguments} for plan in plans for call in plan.calls]
    return {"routes": [plan.route for plan in plans], "calls": calls, "guarded": False}


if __name__ == "__main__":
    main(sys.argv[1:])
