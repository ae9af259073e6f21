"""
`python -m reference_app.training.openai_jobs`: the adapter's data through OpenAI's fine-tuning jobs.

A supervised job comes first, then DPO on the model it made.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError
from reference_app.training.examples.corpus import DATA
from reference_app.training.openai_jobs.jobs import MAX_WAIT_S, NAME, Jobs, note, read_state, write_whole
from reference_app.training.openai_jobs.steps import FineTuningError, read_step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from openai import OpenAI

    from reference_app.training.openai_jobs.steps import Step

# US dollars per million tokens of training, as published in 2025 for the models that take both methods.
PRICES = {"gpt-4.1-nano-2025-04-14": 1.5, "gpt-4.1-mini-2025-04-14": 5.0, "gpt-4.1-2025-04-14": 25.0}
MAX_PRICE = 1e6
SUFFIX = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
VARIABLE = "REFERENCE_APP_ADAPTER"
NO_PAID_JOB = "No paid job was ever run with this: it is tested against a server on this machine alone."
FAILED = 1
INTERRUPTED = 130


def write_setting(path: Path, model: str) -> None:
    """Name the model in a file of `NAME=value` lines; its other lines stay as they are."""
    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise FineTuningError(f"{path} cannot be read: {error}.") from error
    kept = [line for line in lines if not line.removeprefix("export ").startswith(f"{VARIABLE}=")]
    write_whole(path, "\n".join([*kept, f"{VARIABLE}={model}"]) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done or only estimated, 1 failed, 2 misused, 130 interrupted."""
    import openai

    options = _parse(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except AppError as error:
        return _fail(str(error))
    except openai.AuthenticationError as error:  # its message repeats parts of the key
        return _fail(f"The endpoint refused the key (HTTP {error.status_code}); check OPENAI_API_KEY.")
    except openai.APIStatusError as error:
        return _fail(f"The endpoint answered HTTP {error.status_code}: {error.message[:300]}")
    except (openai.OpenAIError, ValueError) as error:
        cause = error.__cause__ or error
        return _fail(f"The line to the endpoint failed: {cause}; the same command goes on from here.")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m reference_app.training.openai_jobs",
        description="Train an OpenAI model on the adapter's data: a supervised job, then DPO on its model.",
        epilog=f"{NO_PAID_JOB} Without --yes nothing leaves this machine.",
    )
    add = parser.add_argument
    add("--sft", type=Path, default=DATA / "sft-train.jsonl", help="chat examples as JSONL")
    add("--preferences", type=Path, default=DATA / "dpo-train.jsonl", help="preference pairs as JSONL")
    add("--model", default="gpt-4.1-nano-2025-04-14", help="what is trained (default: %(default)s)")
    add("--suffix", default="fellwind", help="part of the new models' names (default: %(default)s)")
    add("--seed", type=int, default=0)
    add("--epochs", type=int, choices=range(1, 51), default=3, metavar="1-50", help="of the supervised job")
    add("--dpo-epochs", type=int, choices=range(1, 51), default=1, metavar="1-50")
    add("--beta", type=float, default=0.1, help="of DPO: how near the answers stay to the supervised model's")
    add("--price", type=float, metavar="USD", help="your price of a million tokens of training")
    add("--folder", type=Path, default=Path(".finetune"), help="where the jobs' ids are kept")
    add("--settings", type=Path, help=f"a file of NAME=value lines that gets {VARIABLE}")
    add("--poll", type=float, default=5.0, metavar="SECONDS", help="first pause between two looks")
    add("--yes", action="store_true", help="upload and train; whoever owns the key pays")
    add("--cancel", action="store_true", help="cancel the folder's running job")
    options = parser.parse_args(arguments)
    if not SUFFIX.fullmatch(options.suffix):
        parser.error("--suffix takes 1 to 64 of a-z, 0-9 and -")
    if not NAME.fullmatch(options.model):
        parser.error("--model is no name of a model")
    if not (0.001 <= options.poll <= MAX_WAIT_S and 0 < options.beta <= 2):  # noqa: PLR2004 - shown in the line below
        parser.error("--poll takes 0.001 to 60, --beta more than 0 and at most 2")
    if options.price is not None and not 0 <= options.price < MAX_PRICE:
        parser.error(f"--price takes 0 to {MAX_PRICE:g}")
    return options


def _run(options: argparse.Namespace) -> int:
    if options.cancel:
        return _cancel(options.folder)
    supervised = read_step("supervised", options.sft, {"n_epochs": options.epochs})
    dpo = read_step("dpo", options.preferences, {"n_epochs": options.dpo_epochs, "beta": options.beta})
    _estimate(options, (supervised, dpo))
    if not options.yes:
        note("Nothing was uploaded. With OPENAI_API_KEY set and --yes the jobs are started.")
        return 0
    with _open_client() as client, _locked(options.folder):
        request: dict[str, Any] = {
            "endpoint": _endpoint(client),
            "model": options.model,
            "suffix": options.suffix,
            "seed": options.seed,
            **{step.method: [step.file_name, dict(step.hyperparameters)] for step in (supervised, dpo)},
        }
        jobs = Jobs(client, options.folder, request, options.poll)
        try:
            model = jobs.train(dpo, jobs.train(supervised, options.model))
        except KeyboardInterrupt:
            return _stop(jobs)
    sys.stdout.write(f"{VARIABLE}={model}\n")
    if options.settings:
        write_setting(options.settings, model)
    return 0


def _estimate(options: argparse.Namespace, steps: Sequence[Step]) -> None:
    price = options.price if options.price is not None else PRICES.get(options.model)
    if price is None:
        raise FineTuningError(f"The price of training {options.model} is not known; give it with --price.")
    for step in steps:
        note(
            f"{step.method}: {step.examples} examples, about {step.tokens:,} tokens over all epochs, "
            f"{step.tokens * price / 1e6:.2f} USD"
        )
    total = sum(step.tokens for step in steps) * price / 1e6
    note(
        f"estimate: {total:.2f} USD at {price:g} a million tokens; the endpoint counts for itself and bills."
    )
    note(NO_PAID_JOB)


def _open_client() -> OpenAI:
    from openai import OpenAI

    if not os.environ.get("OPENAI_API_KEY"):
        raise FineTuningError("OPENAI_API_KEY is not set; fine-tuning needs a key, and its owner pays.")
    return OpenAI(max_retries=0, timeout=120.0)


def _endpoint(client: OpenAI) -> str:
    """Without a user and password, which are not for a file."""
    return str(client.base_url.copy_with(username=None, password=None))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two runs in one folder would start every job twice."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        raise FineTuningError(f"Another run is at work in {folder}.") from None
    except OSError as error:
        raise FineTuningError(f"{folder} cannot be used: {error.strerror}.") from error


def _cancel(folder: Path) -> int:
    state = read_state(folder)
    if state is None:
        raise FineTuningError(f"{folder} holds no run.")
    with _open_client() as client:
        jobs = Jobs(client, folder, {"endpoint": _endpoint(client)})
        running = jobs.running()
        if running is None:
            raise FineTuningError(f"No job of {folder} runs.")
        note(f"{running[0]}: {running[1]} is {jobs.cancel(running[1])}")
    return 0


def _stop(jobs: Jobs) -> int:
    """After Ctrl-C: a job goes on at the endpoint, and costs, unless the person says otherwise."""
    try:
        running = jobs.running()
        if running and sys.stdin.isatty():
            sys.stderr.write(f"\nCancel the {running[0]} job {running[1]}? [y/N] ")
            sys.stderr.flush()
            if sys.stdin.readline().strip().lower() in {"y", "yes"}:
                note(f"{running[0]}: {running[1]} is {jobs.cancel(running[1])}")
                return INTERRUPTED
    except KeyboardInterrupt:
        pass
    note("Interrupted. A job that was begun goes on; the same command follows it, --cancel ends it.")
    return INTERRUPTED


def _fail(message: str) -> int:
    note(f"openai_jobs: {' '.join(message.split())}")
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
