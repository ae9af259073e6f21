"""From phrasings to the committed adapter: data, two stages of training, files, figures and model card."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from reference_app.models.adapter import check_adapter
from reference_app.models.weights import fingerprint
from reference_app.training.evaluation.card import write_card
from reference_app.training.evaluation.cases import load_cases
from reference_app.training.evaluation.comparison import evaluate
from reference_app.training.examples.corpus import (
    APP,
    DATA,
    SEED,
    build_corpus,
    digest_data,
    read_lines,
    write_corpus,
)
from reference_app.training.examples.formats import check_files
from reference_app.training.tuning.checkpoint import Checkpoints, clear_checkpoints
from reference_app.training.tuning.export import write_adapter
from reference_app.training.tuning.loops import Recipe, measure, tune_by_examples, tune_by_preferences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.training.evaluation.comparison import Measure
    from reference_app.training.tuning.policy import Item, Policy

OUT = APP / "adapter"
LIBRARIES = ("torch", "transformers", "peft", "safetensors", "gguf", "xllamacpp")
CURVE_POINTS = 40
SHUFFLED = Recipe(rank=2, alpha=4, sft_epochs=1, dpo_epochs=0)
SHUFFLED_EVERY = 3  # each third example is enough to learn a form

Stage = Callable[[str, int], Callable[..., object]]


def build_adapter(weights: Path, out: Path, work: Path, recipe: Recipe, stage: Stage) -> dict[str, Any]:
    """
    Train, write and measure the adapter.

    Args:
        weights: GGUF file of the base.
        out: Gets the adapter's files, `adapter.json` and the model card.
        work: Keeps the checkpoints; those of the same data, base and recipe are taken up.
        stage: Given a name and a number of steps, returns what is called after each step.

    Returns:
        What `adapter.json` holds.
    """
    started = time.process_time()
    write_corpus(build_corpus(), DATA)
    check_files(DATA)
    base, data = fingerprint(weights), digest_data(DATA)
    policy, items = _open(weights, recipe, stage)
    checkpoints = Checkpoints(work, signature=json.dumps([base, data, asdict(recipe)]))
    train, held = items("sft-train.jsonl"), items("sft-validation.jsonl")
    steps = -(-len(train) // recipe.batch) * recipe.sft_epochs
    sft = tune_by_examples(policy, train, recipe, checkpoints, stage("examples", steps))
    after_sft = measure(policy, held)
    pairs = _read_pairs(policy, stage)
    steps = -(-len(pairs) // max(1, recipe.batch // 2)) * recipe.dpo_epochs
    dpo = tune_by_preferences(
        policy, pairs, train, recipe=recipe, checkpoints=checkpoints, progress=stage("preferences", steps)
    )
    after_dpo = measure(policy, held)
    files = write_adapter(out, policy.state(), policy.config, base=base)
    trained = time.process_time() - started
    summary = {
        "base": {"file": weights.name, "fingerprint": base},
        "data": {"sha256": data, "seed": SEED},
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "recipe": asdict(recipe),
        "versions": {name: version(name) for name in LIBRARIES},
        "half_precision": policy.fast,
        "training_cpu_seconds": round(trained),
        "loss": {"examples": _thin(sft), "preferences": _thin(dpo)},
        "validation": {
            "after_examples": {"loss": round(after_sft[0], 4), "exact": round(after_sft[1], 4)},
            "after_preferences": {"loss": round(after_dpo[0], 4), "exact": round(after_dpo[1], 4)},
        },
    }
    _write_summary(out, summary)
    return measure_adapter(weights, out, stage)


def measure_adapter(weights: Path, out: Path, stage: Stage) -> dict[str, Any]:
    """
    Evaluate the adapter in a folder, and write the figures into its `adapter.json` and model card.

    Raises:
        WeightsError: The folder holds no adapter, or one of another base.
    """
    check_adapter(out / "adapter.gguf", base=fingerprint(weights))
    report = evaluate(out / "adapter.gguf", weights, progress=stage("evaluation", 2 * len(load_cases())))
    summary: dict[str, Any] = json.loads((out / "adapter.json").read_text(encoding="utf-8"))
    summary["test"] = {
        "adapter": _measures(report.adapter),
        "base": _measures(report.base),
        **_measures({"tone_check": report.tone}),
    }
    _write_summary(out, summary)
    write_card(out / "README.md", summary)
    return summary


def build_shuffled(weights: Path, path: Path, work: Path, stage: Stage) -> None:
    """
    Write a small adapter that was trained on answers which belong to other questions.

    Plans are shuffled among plans and answers among answers, so that the form is learnt and the sense is not.
    """
    write_corpus(build_corpus(), DATA)
    policy, _ = _open(weights, SHUFFLED, stage)
    lines = [line["messages"] for line in read_lines(DATA / "sft-train.jsonl")[::SHUFFLED_EVERY]]
    random = Random(SEED)  # noqa: S311 - a fixed seed is wanted
    systems = dict.fromkeys(messages[0]["content"] for messages in lines)
    mixed = []
    for system in systems:
        group = [messages for messages in lines if messages[0]["content"] == system]
        answers = [messages[-1] for messages in group]
        random.shuffle(answers)
        mixed += [[*messages[:-1], answer] for messages, answer in zip(group, answers, strict=True)]
    items = policy.prepare(mixed, stage("shuffled answers", -(-len(mixed) // 16)))
    steps = -(-len(items) // SHUFFLED.batch)
    clear_checkpoints(work)
    checkpoints = Checkpoints(work, signature="shuffled")
    tune_by_examples(policy, items, SHUFFLED, checkpoints, stage("shuffled training", steps))
    write_adapter(work, policy.state(), policy.config, base=fingerprint(weights))
    path.write_bytes((work / "adapter.gguf").read_bytes())


def _open(weights: Path, recipe: Recipe, stage: Stage) -> tuple[Policy, Callable[[str], list[Item]]]:
    from reference_app.training.tuning.policy import Policy

    policy = Policy(weights, rank=recipe.rank, alpha=recipe.alpha, dropout=recipe.dropout, seed=recipe.seed)

    def items(name: str) -> list[Item]:
        lines = [line["messages"] for line in read_lines(DATA / name)]
        return policy.prepare(lines, stage(f"reading {name}", -(-len(lines) // 16)))

    return policy, items


def _read_pairs(policy: Policy, stage: Stage) -> list[tuple[Item, Item]]:
    pairs = read_lines(DATA / "dpo-train.jsonl")
    asked = [pair["input"]["messages"] for pair in pairs]

    def read(side: str) -> list[Item]:
        whole = [[*messages, *pair[side]] for messages, pair in zip(asked, pairs, strict=True)]
        return policy.prepare(whole, stage(f"reading {side}", -(-len(whole) // 16)))

    return list(zip(read("preferred_output"), read("non_preferred_output"), strict=True))


def _write_summary(out: Path, summary: dict[str, Any]) -> None:
    (out / "adapter.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _thin(losses: Sequence[float]) -> list[float]:
    """Means of at most 40 stretches of equal length."""
    width = max(1, -(-len(losses) // CURVE_POINTS))
    parts = [losses[start : start + width] for start in range(0, len(losses), width)]
    return [round(sum(part) / len(part), 4) for part in parts]


def _measures(measures: dict[str, Measure]) -> dict[str, dict[str, float | int]]:
    return {
        name: {
            "value": round(one.value, 4),
            "n": one.n,
            **({} if one.lower is None else {"lower_95": round(one.lower, 4)}),
        }
        for name, one in measures.items()
    }
