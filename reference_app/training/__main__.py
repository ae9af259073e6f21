"""`python -m reference_app.training`: builds the adapter."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import Progress

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """The process's exit code: 0, or 2 for a mistake that the message explains."""
    options = _parse(arguments)
    try:
        _build(options)
    except AppError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command line's voice
        return 2
    except KeyboardInterrupt:
        print("Stopped. Go on with --resume.", file=sys.stderr)  # noqa: T201 - the command line's voice
        return 130
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m reference_app.training", description=__doc__)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--evaluate", action="store_true", help="measure the adapter that is there, and stop")
    parser.add_argument("--data", action="store_true", help="write and check the data, and stop")
    parser.add_argument("--out", type=Path, help="folder of the adapter (default: reference_app/adapter)")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build" / "adapter", help="folder of the checkpoints"
    )
    parser.add_argument(
        "--shuffled", type=Path, metavar="FILE", help="write an adapter trained on shuffled answers, and stop"
    )
    return parser.parse_args(arguments)


def _build(options: argparse.Namespace) -> None:
    if options.data:
        from reference_app.training.examples.corpus import DATA, build_corpus, describe, write_corpus
        from reference_app.training.examples.formats import check_files

        corpus = build_corpus()
        write_corpus(corpus, DATA)
        check_files(DATA)
        for part, counts in describe(corpus).items():
            print(part, counts)  # noqa: T201 - the command line's voice
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from reference_app.models.weights import find_weights
    from reference_app.settings import read_settings

    if not options.evaluate:
        _require_libraries()
    weights = find_weights(read_settings({}).weights).chat
    columns = (TextColumn("{task.description:34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        _train(options, weights, progress)


def _train(options: argparse.Namespace, weights: Path, progress: Progress) -> None:
    from reference_app.training import building
    from reference_app.training.tuning.checkpoint import clear_checkpoints
    from reference_app.training.tuning.loops import Recipe

    if not options.resume and not options.evaluate:
        clear_checkpoints(options.work)

    def stage(name: str, steps: int) -> Callable[..., Any]:
        task = progress.add_task(name, total=steps)
        return lambda *_: progress.advance(task)

    if options.shuffled:
        building.build_shuffled(weights, options.shuffled, options.work / "shuffled", stage)
        return
    out = options.out or building.OUT
    if options.evaluate:
        summary = building.measure_adapter(weights, out, stage)
    else:
        summary = building.build_adapter(weights, out, options.work, Recipe(), stage)
    for name, measure in summary["test"]["adapter"].items():
        progress.console.print(f"{name:22} {measure['value']:.3f}  n={measure['n']}")


def _require_libraries() -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("torch", "transformers", "peft", "gguf") if find_spec(name) is None]:
        raise AppError(
            f"Training needs {', '.join(missing)}. Install the extra: pip install -e '.[app,train]'."
        )


if __name__ == "__main__":
    sys.exit(main())
