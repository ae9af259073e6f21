"""The questions: of the committed split, of the split drawn anew, and refusals written apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml

from reference_app.training.examples.corpus import build_corpus, draw_test
from reference_app.training.examples.records import Example

Question = dict[str, Any]
SEED = 20261127
HERE = Path(__file__).parent
_QUESTION = "\nQuestion: "


def draw_committed() -> list[Question]:
    return [_as_question("committed", place, one) for place, one in enumerate(build_corpus().test)]


def draw_fresh() -> list[Question]:
    """Without those that stand letter by letter in the committed split."""
    names = yaml.safe_load((HERE / "names.yaml").read_text(encoding="utf-8"))
    known = {one.user for one in build_corpus().test}
    drawn = [one for one in draw_test(SEED, names) if one.user not in known]
    return [_as_question("fresh", place, one) for place, one in enumerate(drawn)]


def load_refusals() -> list[Question]:
    texts = yaml.safe_load((HERE / "refusals.yaml").read_text(encoding="utf-8"))
    plan = '{"route":"refuse","calls":[]}'
    return [
        {
            "id": f"refusal-{place}",
            "task": "plan",
            "kind": "refuse",
            "phrasing": text,
            "question": text,
            "passage": "",
            "expected": plan,
            "ids": [],
        }
        for place, text in enumerate(texts)
    ]


def choose(questions: Iterable[Question], count: int) -> list[Question]:
    """So many of them, the same at every call; more of them begin with the same ones."""
    kept = list(questions)
    return Random(SEED).sample(kept, len(kept))[:count]  # noqa: S311 - a fixed seed is wanted


def of_task(questions: Sequence[Question], *, plan: bool) -> list[Question]:
    return [one for one in questions if (one["task"] == "plan") == plan]


def write(questions: Iterable[Question], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in questions)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def _as_question(split: str, place: int, example: Example) -> Question:
    passage, found, question = example.user.partition(_QUESTION)
    return {
        "id": f"{split}-{place}",
        "task": example.task,
        "kind": example.kind,
        "phrasing": example.phrasing,
        "question": question.strip() if found else example.user,
        "passage": passage if found else "",
        "expected": example.assistant,
        "ids": list(example.ids),
    }
