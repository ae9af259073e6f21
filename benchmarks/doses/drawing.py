"""The questions: of the split drawn anew, and refusals written apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import yaml

from reference_app.training.corpus import SEED, build_corpus
from reference_app.training.example import Example, read_prompt
from reference_app.training.golden import draw_fresh
from reference_app.training.plans import write_plan

REFUSALS = Path(__file__).parent / "refusals.yaml"


def draw_plans() -> list[Example]:
    """The plans of the test split with other names and numbers, none of them a question of that split."""
    return [one for one in draw_fresh(build_corpus()["test"]) if one.task == "plan"]


def load_refusals() -> list[Example]:
    """Questions to refuse that were written after a training and without a look at its phrasings."""
    system = read_prompt("adapter-planner")
    texts = yaml.safe_load(REFUSALS.read_text(encoding="utf-8"))
    plan = write_plan([("refuse", {})])
    return [Example("plan", "refuse", text, system, text, plan) for text in texts]


def choose(examples: Sequence[Example], count: int) -> list[Example]:
    """So many of them, the same at every call; more of them begin with the same ones."""
    return Random(SEED).sample(list(examples), len(examples))[:count]  # noqa: S311 - a fixed seed is wanted
