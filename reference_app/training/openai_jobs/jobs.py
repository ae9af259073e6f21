"""
One run of jobs at the endpoint: what is created once and followed to its end.

Written against the API's documents and tested against a server on this machine: no paid job was ever run.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import time
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from reference_app.printable import printable
from reference_app.training.openai_jobs.steps import FineTuningError
from reference_app.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from openai import OpenAI
    from tenacity import RetryCallState

    from reference_app.training.openai_jobs.steps import Method, Step

Anything = TypeVar("Anything")

ATTEMPTS = 8
MAX_WAIT_S = 60.0
MAX_RETRY_AFTER_S = 600.0
MAX_LISTED = 10_000
MAX_SAID = 500
NAME = re.compile(r"[A-Za-z0-9][\w.:/-]{0,199}", re.ASCII)


class Jobs:
    """
    The jobs of one folder; what has begun stands in its `jobs.json`, so that a killed run is taken up again.

    Args:
        client: Without retries of its own: a job asked for twice would be paid for twice.
        request: What makes two runs the same one; a folder holds one run.
        poll_s: The first pause between two looks; they grow to a minute while nothing happens.

    Raises:
        FineTuningError: The folder holds another run, or a broken file.
    """

    def __init__(self, client: OpenAI, folder: Path, request: Mapping[str, Any], poll_s: float = 5.0) -> None:
        self._client, self._request, self._poll_s = client, request, poll_s
        self._path = folder / "jobs.json"
        self.state = read_state(folder) or {"run": uuid.uuid4().hex, "request": dict(request), "steps": {}}
        if other := sorted(key for key in request if self.state["request"].get(key) != request[key]):
            raise FineTuningError(
                f"{folder} holds a run with another {', '.join(other)}; name another --folder for this one."
            )

    def train(self, step: Step, model: str) -> str:
        """
        The model that the step's job makes of this one, after as long as it takes.

        Raises:
            FineTuningError: The job failed or was cancelled.
            openai.OpenAIError: The endpoint refused, or could not be reached for minutes.
        """
        known = self.state["steps"].setdefault(step.method, {})
        if "model" in known:
            return str(known["model"])
        if "job" not in known:
            self._save()  # the run's name comes before its job, or a kill in between would hide the job
            file = self._settle(lambda: self._find_file(step) or self._upload(step))
            known["job"] = self._settle(lambda: self.find_job(step.method) or self._create(step, model, file))
            self._save()
            note(f"{step.method}: job {known['job']}")
        return self._follow(step.method, known)

    def find_job(self, method: Method) -> str | None:
        """The run's job of this method at the endpoint, whoever may have died after asking for it."""
        wanted = self._label(method)
        listed = self._client.fine_tuning.jobs.list(limit=100, metadata=wanted)
        for job in itertools.islice(listed, MAX_LISTED):
            if wanted.items() <= (getattr(job, "metadata", None) or {}).items():
                return _name(job, "id")
        return None

    def running(self) -> tuple[Method, str] | None:
        """The last job asked for, unless its model is there."""
        methods: tuple[Method, ...] = ("dpo", "supervised")
        for method in methods:
            known = self.state["steps"].get(method)
            if known is not None:
                if "model" in known:
                    return None
                job = known.get("job") or self._settle(partial(self.find_job, method))
                return (method, job) if job else None
        return None

    def cancel(self, job: str) -> str:
        """The job's status afterwards."""
        return _name(self._settle(lambda: self._client.fine_tuning.jobs.cancel(job)), "status")

    def _label(self, method: Method) -> dict[str, str]:
        return {"reference_app_run": self.state["run"], "reference_app_method": method}

    def _find_file(self, step: Step) -> str | None:
        listed = self._client.files.list(purpose="fine-tune", limit=10_000)
        for file in itertools.islice(listed, MAX_LISTED):
            same = (file.filename, file.bytes) == (step.file_name, len(step.content))
            if same and file.status != "error":
                return _name(file, "id")
        return None

    def _upload(self, step: Step) -> str:
        upload = (step.file_name, step.content, "application/jsonl")
        return _name(self._client.files.create(file=upload, purpose="fine-tune"), "id")

    def _create(self, step: Step, model: str, file: str) -> str:
        method: Any = {"type": step.method, step.method: {"hyperparameters": dict(step.hyperparameters)}}
        job = self._client.fine_tuning.jobs.create(
            model=model,
            training_file=file,
            method=method,
            seed=self._request["seed"],
            suffix=self._request["suffix"],
            metadata=self._label(step.method),
        )
        return _name(job, "id")

    def _follow(self, method: Method, known: dict[str, Any]) -> str:
        status, pause_s = "", self._poll_s
        while True:
            # The status is asked first, so that the events that led to it are all there.
            job = self._settle(lambda: self._client.fine_tuning.jobs.retrieve(known["job"]))
            before, status = status, _name(job, "status")
            events = self._settle(lambda: self._list_events(known["job"], known.get("event")))
            for event in events:
                note(f"{method}: {str(event.message)[:MAX_SAID]}")
            if status != before:
                note(f"{method}: {status}")
            if events:
                known["event"] = _name(events[-1], "id")
                self._save()
            if status == "succeeded":
                known["model"] = _name(job, "fine_tuned_model")
                self._save()
                return str(known["model"])
            if status in {"failed", "cancelled"}:
                said = str(getattr(job.error, "message", None) or "the endpoint gave no reason")[:MAX_SAID]
                code = getattr(job.error, "code", None)
                how = "has failed" if status == "failed" else "was cancelled"
                raise FineTuningError(
                    f"The {method} job {known['job']} {how}: {said}{f' ({code})' if code else ''}; "
                    "to start anew, name another --folder."
                )
            pause_s = self._poll_s if events or status != before else min(pause_s * 1.5, MAX_WAIT_S)
            time.sleep(pause_s)

    def _list_events(self, job: str, last: str | None) -> list[Any]:
        """Those after the last one told; the endpoint gives the newest first."""
        listed = self._client.fine_tuning.jobs.list_events(job, limit=100)
        new = itertools.takewhile(lambda event: event.id != last, itertools.islice(listed, MAX_LISTED))
        return list(new)[::-1]

    def _settle(self, call: Callable[[], Anything]) -> Anything:
        """Call until the endpoint answers; what creates looks first whether an unheard answer created it."""
        from tenacity import Retrying, retry_if_exception, stop_after_attempt

        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=self._choose_pause,
            retry=retry_if_exception(_is_passing),
            reraise=True,
        )
        return retrying(call)

    def _choose_pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = getattr(getattr(error, "response", None), "headers", {}).get("retry-after", "")
        if re.fullmatch(r"\d{1,6}(\.\d+)?", asked, re.ASCII):
            return min(float(asked), MAX_RETRY_AFTER_S)
        return min(float(self._poll_s * 2 ** (state.attempt_number - 1)), MAX_WAIT_S)

    def _save(self) -> None:
        write_whole(self._path, json.dumps(self.state, indent=2) + "\n")


def read_state(folder: Path) -> dict[str, Any] | None:
    """
    What the folder's `jobs.json` holds; None where there is none.

    Raises:
        FineTuningError: It is broken; only a person can know whether its jobs still run.
    """
    path = folder / "jobs.json"
    try:
        state = json.loads(path.read_text("utf-8"))
        sound = all(isinstance(state[key], kind) for key, kind in (("run", str), ("request", dict)))
        steps = [state["steps"].get(method, {}) for method in ("supervised", "dpo")]
        names = [value for step in steps for value in step.values()]
        if sound and all(isinstance(name, str) and NAME.fullmatch(name) for name in names):
            return dict(state)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass
    raise FineTuningError(f"{path} is broken; see at the endpoint whether a job runs, then remove it.")


def write_whole(path: Path, text: str) -> None:
    """
    Raises:
        FineTuningError: The text cannot be written; the file is as it was.
    """
    try:
        with replacing(path) as part, part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FineTuningError(f"{path} cannot be written: {error.strerror}.") from error


def _is_passing(error: BaseException) -> bool:
    import openai

    if isinstance(error, openai.APIStatusError):
        passing = error.status_code in {408, 409, 429} or error.status_code >= 500  # noqa: PLR2004 - HTTP's own
        return passing and error.code != "insufficient_quota"
    return isinstance(error, openai.APIConnectionError)


def _name(reply: Any, field: str) -> str:
    """A field that goes into files, addresses and a terminal; the client itself checks no reply."""
    value = getattr(reply, field, None)
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise FineTuningError(f"The endpoint's reply has no usable {field!r}; check OPENAI_BASE_URL.")
    return value


def note(line: str) -> None:
    """Say it on stderr, with what could command a terminal written out."""
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()
