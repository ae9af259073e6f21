"""`python -m reference_app.training`: data, training, files, figures, model card and golden files."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import sys
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError
from reference_app.models.adapter import check_adapter
from reference_app.models.weights import fingerprint
from reference_app.training.corpus import DATA, SEED, build_corpus, digest_data, read_lines, write_corpus
from reference_app.training.example import APP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OUT = APP / "adapter"
LIBRARIES = ("torch", "transformers", "peft", "gguf")
CURVE_POINTS = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """The process's exit code: 0, or 2 for a mistake that the message explains."""
    options = _parse(arguments)
    try:
        _run(options)
    except AppError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command line's voice
        return 2
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m reference_app.training", description=__doc__)
    add = parser.add_argument
    add("--data", action="store_true", help="write the data and the golden files, and stop")
    add("--evaluate", action="store_true", help="measure the adapter that is there, and stop")
    add("--out", type=Path, default=OUT, help="folder of the adapter (default: %(default)s)")
    add("--start", type=Path, metavar="FOLDER", help="train on from this adapter instead of a new one")
    add("--epochs", type=int, metavar="N", help="of the first stage (default: 3)")
    add("--every", type=int, default=1, metavar="N", help="measure each Nth case of the test split only")
    add("--rate", type=float, metavar="R", help="of the first stage (default: 0.002)")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> None:
    from reference_app.models.weights import find_weights
    from reference_app.settings import read_settings
    from reference_app.training.golden import write_golden

    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing and not (options.data or options.evaluate):
        raise AppError(f"Training needs {', '.join(missing)}. Install it: pip install -e '.[app,train]'.")
    if not options.evaluate:
        write_corpus(build_corpus())
        write_golden()
    if options.data:
        return
    weights = find_weights(read_settings({}).weights).chat
    if not options.evaluate:
        build_adapter(weights, options)
    summary = measure_adapter(weights, options.out, options.every)
    for name, measure in summary["test"]["adapter"].items():
        _say(f"{name:22} {measure['value']:.3f}  n={measure['n']}")


def build_adapter(weights: Path, options: argparse.Namespace) -> None:
    """Train, and write the adapter's files and `adapter.json` into the folder of the options."""
    from reference_app.training import tuning
    from reference_app.training.export import write_adapter

    given = {"sft_epochs": options.epochs, "sft_rate": options.rate}
    recipe = replace(tuning.Recipe(), **{name: value for name, value in given.items() if value is not None})
    base, started = fingerprint(weights), time.process_time()
    policy = tuning.Policy(weights, recipe, options.start)
    train, held = (
        policy.prepare([line["messages"] for line in read_lines(DATA / f"sft-{part}.jsonl")], _stage(part))
        for part in ("train", "validation")
    )
    sft = tuning.tune_by_examples(policy, train, recipe, _stage("step by examples"))
    after_sft = tuning.measure(policy, held)
    lines = read_lines(DATA / "dpo-train.jsonl")
    preferred, rejected = (
        policy.prepare([[*line["input"]["messages"], *line[side]] for line in lines], _stage(side))
        for side in ("preferred_output", "non_preferred_output")
    )
    pairs = list(zip(preferred, rejected, strict=True))
    dpo = tuning.tune_by_preferences(policy, pairs, train, recipe, _stage("step by preferences"))
    files = write_adapter(options.out, policy.state(), policy.config, base=base)
    summary = {
        "base": {"file": weights.name, "fingerprint": base},
        "start": _digest(options.start / "adapter_model.safetensors") if options.start else None,
        "data": {"sha256": digest_data(), "seed": SEED},
        "files": {path.name: _digest(path) for path in files},
        "recipe": asdict(recipe),
        "versions": {name: version(name) for name in (*LIBRARIES, "xllamacpp")},
        "half_precision": policy.fast,
        "training_cpu_seconds": round(time.process_time() - started),
        "loss": {"examples": _thin(sft), "preferences": _thin(dpo)},
        "validation": {"after_examples": after_sft, "after_preferences": tuning.measure(policy, held)},
    }
    _write_summary(options.out, summary)


def measure_adapter(weights: Path, out: Path, every: int = 1) -> dict[str, Any]:
    """
    Evaluate the adapter in a folder, and write the figures into its `adapter.json` and model card.

    Raises:
        WeightsError: The folder holds no adapter, or one of another base.
    """
    from reference_app.training.card import write_card
    from reference_app.training.measuring import evaluate

    check_adapter(out / "adapter.gguf", base=fingerprint(weights))
    summary: dict[str, Any] = json.loads((out / "adapter.json").read_text(encoding="utf-8"))
    summary["test"] = evaluate(out / "adapter.gguf", weights, every=every, step=_stage("answer"))
    _write_summary(out, summary)
    write_card(out / "README.md", summary)
    return summary


def _stage(name: str) -> Callable[[], object]:
    """Counts, and says each fiftieth."""
    places = itertools.count(1)
    return lambda: None if (place := next(places)) % 50 else _say(f"{name} {place}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command line's voice


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_summary(out: Path, summary: Mapping[str, Any]) -> None:
    (out / "adapter.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _thin(losses: Sequence[float]) -> list[float]:
    """Means of at most 40 stretches of equal length."""
    width = max(1, -(-len(losses) // CURVE_POINTS))
    parts = [losses[start : start + width] for start in range(0, len(losses), width)]
    return [round(sum(part) / len(part), 4) for part in parts]


if __name__ == "__main__":
    sys.exit(main())
