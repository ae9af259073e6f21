"""Questions put to the reference app, a few at once; answers are written as they come."""

from __future__ import annotations

import contextvars
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.questions.scoring import Record

_CHAT = "chat "  # how the app's spans of a chat model's calls begin


def ask_all(
    questions: Sequence[Record], path: Path, *, workers: int, heard: Callable[[Record], None]
) -> dict[str, Record]:
    """
    The answers, also written to the path, one JSON line each.

    Args:
        heard: Is called with each answer as it comes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    answers: dict[str, Record] = {}
    with path.open("w", encoding="utf-8") as file, ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(contextvars.Context().run, ask, question) for question in questions]
        for future in as_completed(waiting):
            answer = future.result()
            file.write(json.dumps(answer, ensure_ascii=False) + "\n")
            file.flush()
            answers[answer["id"]] = answer
            heard(answer)
    return answers


def ask(question: Record) -> Record:
    """The app's answer with `seconds` and `calls` of the chat model; of an error, an empty text."""
    from reference_app.tracing.steps import record_steps

    started = time.perf_counter()
    with record_steps() as steps:
        answer = _answer(question["input"])
    return {
        "id": question["id"],
        **answer,
        "seconds": round(time.perf_counter() - started, 3),
        "calls": sum(step.name.startswith(_CHAT) for step in steps),
    }


def _answer(given: Any) -> dict[str, Any]:
    """Of an app that takes no list of turns, the answer to the last one, marked as such."""
    import reference_app
    from reference_app.errors import QuestionError

    try:
        try:
            return reference_app.answer(given)
        except QuestionError:
            if not isinstance(given, list):
                raise
            return {**reference_app.answer(given[-1]), "last_turn_alone": True}
    except Exception as error:  # noqa: BLE001 - an app that fails has answered nothing
        return {"text": "", "error": f"{type(error).__name__}: {error}"}
