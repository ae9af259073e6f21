"""What a run needs other than the app, checked before the app is called: its rival, judges, weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from urllib.parse import urlsplit

from pytest_llmops import cache
from pytest_llmops.errors import AppError, LLMOpsError, MissingExtraError, WeightsError
from pytest_llmops.golden.files import shown_path
from pytest_llmops.judges.model import EMBEDDED, JudgeModel
from pytest_llmops.models import weights
from pytest_llmops.protocols import App
from pytest_llmops.recorder.cassettes import cassette_path, load_calls
from pytest_llmops.recorder.identity import is_loopback
from pytest_llmops.records import Golden
from pytest_llmops.runner.app.importing import resolve_app
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.settings import Settings

_MOST_IMPORTS = 2
_CACHED = ("vector", "match", "injection")  # what models may have made of texts in an earlier run


class NotReadyError(LLMOpsError):
    """A run lacks something that no case could do without."""


def check_ready(
    golden: Golden, tasks: Iterable[Task], settings: Settings, store: SharedStore | None = None
) -> None:
    """
    Whether the rival can be imported, judges have their keys and models their weights.

    What a recording or the cache may answer is not needed: a key is missed only by a case of which no
    answer of that judge is recorded, weights of an encoder only where nothing was ever cached.

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
    seen: set[tuple[JudgeModel | str, str]] = set()
    for task in tasks:
        for name, metric in task.metrics:
            needed: list[JudgeModel | str] = [*getattr(metric, "judges", ()), *getattr(metric, "weights", ())]
            for each in needed:
                by_case = isinstance(each, JudgeModel) and not _has_key(each)  # what is recorded may do
                key = (each, task.id if by_case else "")
                if key not in seen and (lack := _lack(each, task, settings)):
                    source = task.case.source
                    place = f"{source.path}:{source.line}" if source else golden.path
                    raise NotReadyError(f"{place}: {task.case.id}: {name}: {lack}")
                seen.add(key)


@contextmanager
def importing(golden: Golden, settings: Settings, store: SharedStore | None) -> Iterator[None]:
    """Refuses an import that ended several processes of a run, before it ends this one too."""
    if store is None:
        yield
        return
    apps = " or ".join(filter(None, (settings.app or golden.app, golden.rival)))
    with store.survived(f"import {apps}") as ended:
        if ended >= _MOST_IMPORTS:
            raise AppError(f"importing {apps} ended the process {ended} times; import it alone to see why")
        yield


def named_rival(golden: Golden, settings: Settings) -> App | None:
    """
    The app that the golden file names to be compared with; None where it names none.

    Raises:
        AppError: It cannot be imported.
    """
    if golden.rival is None:
        return None
    try:
        return resolve_app(golden.rival, settings.root)
    except AppError as error:
        raise AppError(f"the rival {str(error).removeprefix('the app ')}") from error


def _lack(needed: JudgeModel | str, task: Task, settings: Settings) -> str:
    """What is missing and what to do; empty where nothing is."""
    if isinstance(needed, str):
        lack = _lack_of_weights(needed)
        cached = lack and cache.holds_any(settings.path(settings.home).absolute() / "cache", _CACHED)
        return "" if cached else lack
    if find_spec("openai") is None:
        return str(MissingExtraError("a judge", "judge"))
    if needed.model == EMBEDDED:
        if find_spec("xllamacpp") is None:
            return str(MissingExtraError("the embedded chat model", "chat"))
        return _lack_of_weights("smollm2")
    is_enough = _has_key(needed) or _may_replay(needed, task, settings)
    return "" if is_enough else _lack_of_key(needed, settings)


def _has_key(judge: JudgeModel) -> bool:
    """Whether the judge can be called: one on this machine needs no key."""
    is_here = is_loopback(urlsplit(judge.url).hostname or "")
    return is_here or bool(os.environ.get(judge.api_key_env, "").strip())


def _lack_of_weights(name: str) -> str:
    try:
        weights.find(name)
    except WeightsError as error:
        return str(error)
    return ""


def _lack_of_key(judge: JudgeModel, settings: Settings) -> str:
    folder = shown_path(settings.path(settings.cassettes), settings.root)
    return (
        f"{judge.model} at {urlsplit(judge.url).hostname} needs a key, and {judge.api_key_env} is not set; "
        f"set it, or name another variable as api_key_env (no answer for this case is recorded in {folder}/)"
    )


def _may_replay(judge: JudgeModel, task: Task, settings: Settings) -> bool:
    """Whether answers of that judge for this case are recorded, or no call may be made anyway."""
    if settings.record in {"none", "all"}:
        return settings.record == "none"
    path = cassette_path(settings.path(settings.cassettes), task.id)
    try:
        calls = load_calls(path).values()
    except LLMOpsError:  # a broken cassette is reported where it is read for good
        return True
    models = {call.request.get("model") for call in calls if isinstance(call.request, dict)}
    return judge.model in models or (settings.record == "once" and path.exists())
