"""
All that a run needs, found before the app is called: app, rival, keys of judges, weights, libraries.

Libraries are imported first because worker threads would otherwise import them at their first use. While one
thread imports a library, another may find it half made in `sys.modules`. The `openai` client looks there for
`httpx`, which Presidio imports: the app's calls under way would then raise, and it would be blamed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops import cache
from pytest_llmops.detect.recognizers import numbers
from pytest_llmops.errors import AppError, LLMOpsError, MetricOptionError, MissingExtraError, WeightsError
from pytest_llmops.golden.apps import name_app
from pytest_llmops.golden.files import shown_path
from pytest_llmops.judges.model import EMBEDDED, JudgeModel
from pytest_llmops.models import weights
from pytest_llmops.models.encoders import EncoderChoice
from pytest_llmops.protocols import App, Metric
from pytest_llmops.recorder.cassettes import cassette_path, load_calls
from pytest_llmops.recorder.identity import is_loopback
from pytest_llmops.records import Golden, RunsOn
from pytest_llmops.runner.app.remote.opening import open_app
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.settings import RecordMode, Settings

_MOST_IMPORTS = 2
_CACHED = ("vector", "match", "injection")  # of models, by earlier runs
_MASKING = ("presidio_analyzer.predefined_recognizers", "phonenumbers", "tldextract")
_OF_WEIGHTS = {
    "minilm": ("numpy", "safetensors.numpy", "tokenizers"),
    "injection": ("numpy", "onnxruntime", "tokenizers"),
}


class NotReadyError(LLMOpsError):
    """A run lacks something that no case could do without."""


@contextmanager
def importing(golden: Golden, settings: Settings, store: SharedStore | None) -> Iterator[None]:
    """Refuse an import that ended several processes of a run, before it ends this one too."""
    if store is None:
        yield
        return
    apps = " or ".join(name_app(app) for app in (app_path(golden, settings), golden.rival) if app)
    with store.survived(f"import {apps}") as ended:
        if ended >= _MOST_IMPORTS:
            raise AppError(f"importing {apps} ended the process {ended} times; import it alone to see why")
        yield


def app_path(golden: Golden, settings: Settings) -> str | Mapping[str, Any] | None:
    """Return how a golden file's app is named: by the flag, else by the file, else by the setting."""
    if "app" in settings.flagged:
        return settings.app
    return golden.app or settings.app


def find_place(golden: Golden | None, settings: Settings) -> RunsOn:
    """Return where the app is called: by the flag, else as the golden file says, else by the setting."""
    written = golden.runs_on if golden and "runs_on" not in settings.flagged else None
    return written or settings.runs_on or "threads"


def named_app(golden: Golden, settings: Settings, *, otherwise: str) -> App:
    """
    Import the app by its path.

    Args:
        otherwise: Another way to name an app where the run was begun, for the message of one that has none.

    Raises:
        AppError: None is named, or it cannot be imported.
    """
    written = app_path(golden, settings)
    if written is not None:
        return open_app(written, settings)
    if golden.path.endswith(".jsonl"):
        raise AppError(f"{golden.path} names no app, and a .jsonl file cannot; {otherwise}")
    raise AppError(f"{golden.path} names no app; {otherwise}, or write `app: module:attribute` into it")


def named_rival(golden: Golden, settings: Settings) -> App | None:
    """
    Import the app that the golden file names to be compared with; None where it names none.

    Raises:
        AppError: It cannot be imported.
    """
    if golden.rival is None:
        return None
    try:
        return open_app(golden.rival, settings)
    except AppError as error:
        raise AppError(f"the rival {str(error).removeprefix('the app ')}") from error


def check_ready(
    golden: Golden, tasks: Iterable[Task], settings: Settings, store: SharedStore | None = None
) -> None:
    """
    Check that the rival can be imported, judges have their keys and models their weights.

    A key is missed only by a case of which no answer of that judge is recorded, weights of an encoder only
    where nothing was ever cached.

    Args:
        store: Knows of processes of the same run that the rival's import ended.

    Raises:
        NotReadyError: The first thing that is missing, with the case that needs it and the remedy.
    """
    try:
        with importing(golden, settings, store):
            named_rival(golden, settings)
    except AppError as error:
        raise NotReadyError(f"{golden.path}: {error}") from error
    checked: set[tuple[JudgeModel | str, str]] = set()
    for task in tasks:
        for name, need in _list_needs(task):
            # Without its key a judge may still be answered by the recordings of some cases.
            by_case = isinstance(need, JudgeModel) and not _has_key(need)
            key = (need, task.id if by_case else "")
            if key in checked:
                continue
            if lack := _find_lack(need, task, settings):
                source = task.case.source
                place = f"{source.path}:{source.line}" if source else golden.path
                raise NotReadyError(f"{place}: {task.case.id}: {name}: {lack}")
            checked.add(key)


def import_libraries(
    metrics: Iterable[Metric] = (),
    *,
    users: bool = False,
    record: RecordMode = "none",
    scores_here: bool = True,
) -> None:
    """
    Import the libraries of masking, judges and encoders that a run uses, and no others.

    A library that is missing or broken is reported by its first use. The one of sentence-transformers is not
    imported ahead: it takes many seconds, and a run whose vectors are cached needs none of it.

    Args:
        metrics: Of the run's cases.
        users: Some case has a simulated user.
        record: With `none`, judges are answered from cassettes, without their client.
        scores_here: Metrics that compute do so in this process, and not in the session's scoring service.
    """
    names = set(_MASKING if numbers.is_installed() else ())
    if users and record != "none":
        names.add("openai")
    for metric in metrics:
        for judge in getattr(metric, "judges", ()) if record != "none" else ():
            names |= {"openai", "xllamacpp"} if judge.model == EMBEDDED else {"openai"}
        if scores_here:
            for weight in getattr(metric, "weights", ()):
                names.update(_OF_WEIGHTS.get(weight, ()))
            encoder = getattr(metric, "encoder", None)
            if isinstance(encoder, EncoderChoice) and encoder.is_endpoint:
                names |= {"numpy", "openai"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries' own imports
        for name in sorted(names):
            with suppress(Exception):
                import_module(name)


def _list_needs(task: Task) -> Iterator[tuple[str, JudgeModel | str]]:
    """Yield the chat models and weights of a task, each behind the name of what needs it."""
    for name, metric in task.metrics:
        for need in (*getattr(metric, "judges", ()), *getattr(metric, "weights", ())):
            yield name, need
    if task.case.user:
        from pytest_llmops.judges.user import UserPlayer  # which brings the client of judges

        with suppress(MetricOptionError):  # which is reported where the app is opened
            yield "user", UserPlayer.open(task.case.user).judge


def _find_lack(need: JudgeModel | str, task: Task, settings: Settings) -> str:
    """Describe a lack and its remedy; empty where there is none."""
    if isinstance(need, str):
        lack = _find_lack_of_weights(need)
        cached = lack and cache.holds_any(settings.path(settings.home).absolute() / "cache", _CACHED)
        return "" if cached else lack
    if find_spec("openai") is None:
        return str(MissingExtraError("a judge", "judge"))
    if need.model == EMBEDDED:
        if find_spec("xllamacpp") is None:
            return str(MissingExtraError("the embedded chat model", "chat"))
        return _find_lack_of_weights("smollm2")
    if _has_key(need) or _may_replay(need, task, settings):
        return ""
    folder = shown_path(settings.path(settings.cassettes), settings.root)
    return (
        f"{need.model} at {urlsplit(need.url).hostname} needs a key, and {need.api_key_env} is not set; "
        f"set it, or name another variable as api_key_env (no answer for this case is recorded in {folder}/)"
    )


def _has_key(judge: JudgeModel) -> bool:
    is_here = is_loopback(urlsplit(judge.url).hostname or "")  # which needs no key
    return is_here or bool(os.environ.get(judge.api_key_env, "").strip())


def _find_lack_of_weights(name: str) -> str:
    try:
        weights.find(name)
    except WeightsError as error:
        return str(error)
    return ""


def _may_replay(judge: JudgeModel, task: Task, settings: Settings) -> bool:
    """True where answers of that judge for this case are recorded, or no call may be made anyway."""
    if settings.record in {"none", "all"}:
        return settings.record == "none"
    path = cassette_path(settings.path(settings.cassettes), task.id)
    try:
        calls = load_calls(path).values()
    except LLMOpsError:  # a broken cassette is reported where it is read for good
        return True
    models = {call.request.get("model") for call in calls if isinstance(call.request, dict)}
    return judge.model in models or (settings.record == "once" and path.exists())
