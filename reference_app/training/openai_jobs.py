"""
`python -m reference_app.training.openai_jobs`: the adapter's data through OpenAI's fine-tuning jobs.

A supervised job comes first, then DPO on the model it made. Written against the API's documents and tested
against a server on this machine: no paid job was ever run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reference_app.errors import AppError
from reference_app.printable import printable
from reference_app.training.corpus import DATA
from reference_app.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openai import OpenAI

Method = Literal["supervised", "dpo"]

# US dollars per million tokens of training, as published in 2025 for the models that take both methods.
PRICES = {"gpt-4.1-nano-2025-04-14": 1.5, "gpt-4.1-mini-2025-04-14": 5.0, "gpt-4.1-2025-04-14": 25.0}
CHARACTERS_A_TOKEN = 3  # English has about 4; plans in JSON and ids have fewer
MIN_EXAMPLES = 10  # the API refuses fewer
RETRIES, MAX_PAUSE_S, MAX_SHOWN = 8, 60.0, 20
OUTPUTS = ("preferred_output", "non_preferred_output")


class FineTuningError(AppError):
    """The data cannot be used, the endpoint refused, or a job did not end well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A job to be: its file as it is uploaded, and about how many tokens training sees over all epochs."""

    method: Method
    content: bytes
    examples: int
    tokens: int
    hyperparameters: Mapping[str, int | float]


def read_step(method: Method, path: Path, hyperparameters: Mapping[str, int | float]) -> Step:
    """
    Read and check a file of OpenAI's chat or preference format.

    Raises:
        FineTuningError: It is missing, has fewer than 10 examples, or lines that break the format.
    """
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FineTuningError(f"{path}: cannot be read as UTF-8 text: {error}.") from error
    characters, complaints = 0, list[str]()
    for number, line in enumerate(lines, start=1):
        try:
            characters += _count(method, json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            complaints.append(f"{path}:{number}: is no example of {method} training in OpenAI's format")
    if len(lines) < MIN_EXAMPLES:
        complaints.append(f"{path} has {len(lines)} examples; the API takes {MIN_EXAMPLES} or more.")
    if complaints:
        raise FineTuningError("\n".join(complaints[:MAX_SHOWN]))
    tokens = characters * int(hyperparameters["n_epochs"]) // CHARACTERS_A_TOKEN
    return Step(
        method=method, content=content, examples=len(lines), tokens=tokens, hyperparameters=hyperparameters
    )


def _count(method: Method, example: Any) -> int:
    """The characters that training reads; raises where the example is none."""
    if method == "supervised":
        return _count_messages(example["messages"], last="assistant")
    asked = _count_messages(example["input"]["messages"], last="user")
    outputs = [_count_messages(example[side], last="assistant") for side in OUTPUTS]
    if example[OUTPUTS[0]] == example[OUTPUTS[1]]:
        raise ValueError("both outputs are the same")
    return 2 * asked + sum(outputs)  # the question is read with either answer


def _count_messages(messages: Any, *, last: str) -> int:
    roles = [message["role"] for message in messages]
    texts = [message["content"].strip() for message in messages]
    if roles[-1] != last or not set(roles) <= {"system", "user", "assistant"} or not all(texts):
        raise ValueError("roles or texts are wrong")
    return sum(map(len, texts))


class Jobs:
    """The jobs of one folder; what has begun stands in its `jobs.json`, so a killed run is taken up again."""

    def __init__(self, client: OpenAI, folder: Path, request: Mapping[str, Any], poll_s: float) -> None:
        """
        Args:
            request: What makes two runs the same one; a folder holds one run.

        Raises:
            FineTuningError: The folder holds another run, or cannot be read.
        """
        self._client, self._poll_s, self._path = client, poll_s, folder / "jobs.json"
        self._state: dict[str, Any] = {"run": uuid.uuid4().hex, "request": dict(request), "jobs": {}}
        try:
            if self._path.exists():
                self._state = json.loads(self._path.read_text("utf-8"))
            same = self._state["request"] == dict(request) and isinstance(self._state["jobs"], dict)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise FineTuningError(
                f"{self._path} is broken; see at the endpoint whether a job runs, then remove it."
            ) from error
        if not same:
            raise FineTuningError(f"{folder} holds another run; name another --folder for this one.")

    def train(self, step: Step, model: str) -> str:
        """
        The model that the step's job makes of this one, after as long as it takes.

        Raises:
            FineTuningError: The job failed or was cancelled.
            openai.OpenAIError: The endpoint refused, or could not be reached.
        """
        jobs = self._state["jobs"]
        if step.method not in jobs:
            self._save()  # the run's name comes before its job, or a kill in between would hide the job
            jobs[step.method] = self._find(step.method) or self._create(step, model)
            self._save()
        return self._follow(step.method, jobs[step.method])

    def _label(self, method: Method) -> dict[str, str]:
        return {"reference_app_run": self._state["run"], "reference_app_method": method}

    def _find(self, method: Method) -> str | None:
        """The run's job of this method at the endpoint, whoever may have died after asking for it."""
        wanted = self._label(method)
        listed = self._client.fine_tuning.jobs.list(limit=100, metadata=wanted)
        return next((one.id for one in listed if wanted.items() <= (one.metadata or {}).items()), None)

    def _create(self, step: Step, model: str) -> str:
        """Upload the data and ask for the job once: one that is asked for twice would be paid for twice."""
        upload = (f"fellwind-{step.method}.jsonl", step.content, "application/jsonl")
        file = self._client.files.create(file=upload, purpose="fine-tune").id
        method: Any = {"type": step.method, step.method: {"hyperparameters": dict(step.hyperparameters)}}
        create = self._client.with_options(max_retries=0).fine_tuning.jobs.create
        chosen = {name: self._state["request"][name] for name in ("seed", "suffix")}
        label = self._label(step.method)
        return create(model=model, training_file=file, method=method, metadata=label, **chosen).id

    def _follow(self, method: Method, job: str) -> str:
        status, pause_s = "", self._poll_s
        while True:
            found = self._client.fine_tuning.jobs.retrieve(job)
            if found.status != status:
                note(f"{method}: {job} is {found.status}")
                status, pause_s = found.status, self._poll_s
            if status == "succeeded" and found.fine_tuned_model:
                return str(found.fine_tuned_model)
            if status in {"succeeded", "failed", "cancelled"}:
                reason = found.error.message if found.error else "no reason given"
                raise FineTuningError(f"The {method} job {job} is {status}: {reason}")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, MAX_PAUSE_S)

    def _save(self) -> None:
        with replacing(self._path) as part:
            part.write_text(json.dumps(self._state, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done or only estimated, 1 failed, 2 misused, 130 interrupted."""
    import openai

    options = _parse(arguments)
    try:
        _run(options)
    except KeyboardInterrupt:
        note("Interrupted. A job that was begun goes on at the endpoint; the same command follows it.")
        return 130
    except openai.AuthenticationError:  # its message repeats parts of the key
        note("openai_jobs: The endpoint refused the key; check OPENAI_API_KEY.")
        return 1
    except (AppError, OSError) as error:
        note(f"openai_jobs: {error}")
        return 1
    except openai.OpenAIError as error:
        note(f"openai_jobs: {error} The same command goes on from here.")
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m reference_app.training.openai_jobs",
        description="Train an OpenAI model on the adapter's data. Without --yes nothing leaves this machine.",
    )
    add = parser.add_argument
    add("--sft", type=Path, default=DATA / "sft-train.jsonl", help="chat examples as JSONL")
    add("--preferences", type=Path, default=DATA / "dpo-train.jsonl", help="preference pairs as JSONL")
    add("--model", default="gpt-4.1-nano-2025-04-14", help="what is trained (default: %(default)s)")
    add("--suffix", default="fellwind", help="part of the new models' names (default: %(default)s)")
    add("--seed", type=int, default=0)
    add("--epochs", type=int, default=3, help="of the supervised job")
    add("--dpo-epochs", type=int, default=1)
    add("--beta", type=float, default=0.1, help="of DPO: how near the answers stay to the supervised model's")
    add("--price", type=float, metavar="USD", help="your price of a million tokens of training")
    add("--folder", type=Path, default=Path(".finetune"), help="where the jobs' ids are kept")
    add("--poll", type=float, default=5.0, metavar="SECONDS", help="first pause between two looks")
    add("--yes", action="store_true", help="upload and train; whoever owns the key pays")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> None:
    supervised = read_step("supervised", options.sft, {"n_epochs": options.epochs})
    dpo = read_step("dpo", options.preferences, {"n_epochs": options.dpo_epochs, "beta": options.beta})
    price = options.price if options.price is not None else PRICES.get(options.model)
    if price is None:
        raise FineTuningError(f"The price of training {options.model} is not known; give it with --price.")
    for step in (supervised, dpo):
        cost = step.tokens * price / 1e6
        note(f"{step.method}: {step.examples} examples, about {step.tokens:,} tokens, {cost:.2f} USD")
    note("The endpoint counts for itself and bills. No paid job was ever run with this command.")
    if options.yes:
        sys.stdout.write(f"REFERENCE_APP_ADAPTER={_train(options, supervised, dpo)}\n")
    else:
        note("Nothing was uploaded. With OPENAI_API_KEY set and --yes the jobs are started.")


def _train(options: argparse.Namespace, supervised: Step, dpo: Step) -> str:
    from openai import OpenAI

    if not os.environ.get("OPENAI_API_KEY"):
        raise FineTuningError("OPENAI_API_KEY is not set; fine-tuning needs a key, and its owner pays.")
    options.folder.mkdir(parents=True, exist_ok=True)
    with OpenAI(max_retries=RETRIES) as client:
        request = {
            "endpoint": str(client.base_url.copy_with(username=None, password=None)),
            **{name: getattr(options, name) for name in ("model", "suffix", "seed")},
        }
        for step in (supervised, dpo):
            digest = hashlib.sha256(step.content).hexdigest()
            request[step.method] = [digest, dict(step.hyperparameters)]
        jobs = Jobs(client, options.folder, request, options.poll)
        return jobs.train(dpo, jobs.train(supervised, options.model))


def note(line: str) -> None:
    """Say it on stderr, with what could command a terminal written out."""
    sys.stderr.write(printable(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
