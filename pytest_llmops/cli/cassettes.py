"""
`llmops cassettes`: `prune` takes out recorded calls that no run uses, `check FOLDER` makes a sample again.

The second is for a job that has the key of a model and reads recordings which somebody else made: no code
of theirs is run. Exit 0 where the recordings look like answers of the model, 1 where they do not, 2 where
that is not known, 3 where a call failed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from pytest_llmops.detect.mask import mask
from pytest_llmops.documents.document import SUFFIXES
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.golden import load_golden
from pytest_llmops.printable import counted, printable
from pytest_llmops.recorder.cassettes import Recorded, load_calls, shown_path
from pytest_llmops.recorder.identity import LOOPBACK, is_loopback, key_of, kind_of
from pytest_llmops.recorder.pruning import prune
from pytest_llmops.recorder.reply import read_reply
from pytest_llmops.records import ANCHORS
from pytest_llmops.settings import find_root, load_settings

_URL = "https://api.openai.com/v1"
_LEVEL = 0.05
_SAMPLE, _AGAIN, _TIMEOUT_S, _ATTEMPTS, _SHOWN = 5, 3, 120.0, 4, 200
_HELD, _FORGED, _UNKNOWN, _BROKEN = 0, 1, 2, 3
_SENT = {
    "model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "tools",
    "tool_choice", "parallel_tool_calls", "response_format", "stop", "presence_penalty", "frequency_penalty",
    "logit_bias", "reasoning_effort", "verbosity",
}  # fmt: skip
_FREE = {"stream", "stream_options", "user", "metadata", "store", "n"}
"""Keys of a request that do not change the text of its answer, and are not sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    url: str
    key: str

    @property
    def provider(self) -> str:
        """The host as cassettes name it."""
        place = urlsplit(self.url)
        if is_loopback(place.hostname or ""):
            return LOOPBACK
        usual = place.port in {None, 443 if place.scheme == "https" else 80}
        return place.hostname or "" if usual else f"{place.hostname}:{place.port}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    parser = actions.add_parser(
        "check", help="make a sample of recorded calls again, and compare the answers"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="cassettes that somebody else recorded")
    parser.add_argument("--known", type=Path, metavar="FOLDER", help="cassettes whose calls are left out")
    parser.add_argument(
        "--sample", type=int, default=_SAMPLE, metavar="N", help=f"calls to make again (default {_SAMPLE})"
    )
    parser.add_argument(
        "--base-url", metavar="URL", help=f"the only endpoint called (default: $OPENAI_BASE_URL or {_URL})"
    )
    parser.add_argument(
        "--api-key-env", default="OPENAI_API_KEY", metavar="NAME", help="environment variable of the key"
    )
    parser.set_defaults(do=_check)
    parser = actions.add_parser(
        "prune", help="take out the recorded calls that the last run of each case did not use"
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would be taken out")
    parser.set_defaults(do=_prune)


def _prune(given: argparse.Namespace) -> int:
    settings = load_settings(find_root(Path.cwd()))
    home = settings.path(settings.home)
    folders = [
        folder for folder in (settings.path(settings.cassettes), home / "cassettes") if folder.is_dir()
    ]
    if not folders:
        print(f"no cassettes in {settings.cassettes} or {settings.home}/cassettes")  # noqa: T201 - a command talks
        return 0
    pruned = prune(
        folders,
        home / "explain",
        _Goldens(settings.root).is_gone,
        locks=home / "cassettes",
        write=not given.dry_run,
    )
    verb = "would take out" if given.dry_run else "took out"
    unused = 0
    kept: Counter[str] = Counter()
    for cassette in pruned:
        unused += cassette.unused
        if cassette.left_because:
            kept[cassette.left_because] += 1
        if cassette.unused:
            held = counted(cassette.held, "call")
            print(f"{shown_path(cassette.path)}: {verb} {cassette.unused} of {held}")  # noqa: T201 - a command talks
    print(f"{verb} {counted(unused, 'recorded call')}")  # noqa: T201 - as above
    for why, count in sorted(kept.items()):
        print(f"left {counted(count, 'cassette')} alone: the case {why}")  # noqa: T201 - as above
    return 0


@dataclass(slots=True)
class _Goldens:
    """The golden files that cassettes name."""

    root: Path
    _ids: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def is_gone(self, case: str, at: float) -> bool | None:
        """
        Return whether the golden file of a case lacks it, and has changed since the case was last run.

        None for a case of no golden file: a built-in attack, a call in an ordinary test, a file that is gone.

        Raises:
            GoldenError: The golden file is wrong.
        """
        path, _, name = case.partition("::")
        path = path.removesuffix(ANCHORS)
        file = self.root / path
        if path not in self._ids:
            self._ids[path] = None
            if file.suffix.lower() in SUFFIXES and file.is_file():
                golden = load_golden(path, root=self.root, stamps=False)
                self._ids[path] = frozenset(case.id for case in golden.cases)
        ids = self._ids[path]
        if ids is None or ANCHORS in case:
            return None
        return name.partition("::")[0] not in ids and file.stat().st_mtime > at


def _check(given: argparse.Namespace) -> int:
    url = (given.base_url or os.environ.get("OPENAI_BASE_URL") or _URL).rstrip("/")
    endpoint = _Endpoint(url=url, key=os.environ.get(given.api_key_env, "").strip())
    if urlsplit(url).scheme not in {"http", "https"}:
        raise LLMOpsError(f"--base-url {printable(url)} must begin with https:// or http://")
    if not given.folder.is_dir() or given.sample < 1:
        what = "--sample must be 1 or more" if given.sample < 1 else f"{given.folder} is no folder"
        raise LLMOpsError(what)
    calls = list(_list_new(given.folder, given.known))
    if not calls:
        print(f"{given.folder}: no call that {given.known or 'nobody'} lacks")  # noqa: T201 - a command talks
        return _HELD
    # Nobody may foresee which calls are chosen.
    chosen = random.SystemRandom().sample(calls, min(given.sample, len(calls)))
    refused = {name: why for name, call in chosen if (why := _why_not(call, endpoint))}
    possible = [(name, call) for name, call in chosen if name not in refused]
    for name, why in refused.items():
        print(f"{name}: not made again: {why}")  # noqa: T201 - as above
    # So many further answers that chance alone makes all recorded ones the oddest in 1 of 20 checks.
    times = max(_AGAIN, math.ceil((1 / _LEVEL) ** (1 / max(len(possible), 1)) - 1))
    odd = 0
    for name, call in possible:
        try:
            answers = [_ask(call, endpoint) for _ in range(times)]
        except (HTTPError, URLError, OSError, ValueError) as error:
            reason = printable(mask(str(error)), _SHOWN)
            print(f"{name}: could not be made again: {type(error).__name__}: {reason}")  # noqa: T201 - as above
            return _BROKEN
        recorded = _text_of(call.body)
        is_odd = _is_oddest(recorded, answers)
        odd += is_odd
        print(f"{name}: {'differs from' if is_odd else 'is like'} {counted(times, 'further answer')}")  # noqa: T201
        if is_odd:
            print(f"  recorded {_show(recorded)}\n  now      {_show(answers[0])}")  # noqa: T201 - as above
    return _conclude(odd, len(possible), len(refused), len(calls), times)


def _conclude(odd: int, made: int, refused: int, new: int, times: int) -> int:
    from scipy.stats import binom

    chance = float(binom.sf(odd - 1, made, 1 / (times + 1))) if made else 1.0
    print(  # noqa: T201 - a command talks to its user
        f"{made} of {counted(new, 'new call')} made again: {odd} of the recorded answers "
        f"{'is' if odd == 1 else 'are'} the least like the others, by chance with p = {chance:.3g}"
    )
    if chance <= _LEVEL:
        return _FORGED
    return _UNKNOWN if refused or not made else _HELD


def _list_new(folder: Path, known: Path | None) -> Iterator[tuple[str, Recorded]]:
    """Name and call of each recording that the known cassettes do not hold as it is."""
    for path in sorted(folder.rglob("*.yaml")):
        if not path.resolve().is_relative_to(folder.resolve()):  # a link
            raise LLMOpsError(f"{path} leads out of {folder}")
        name = path.relative_to(folder)
        before = load_calls(known / name) if known else {}
        for number, (place, call) in enumerate(load_calls(path).items(), start=1):
            if before.get(place) != call:
                yield f"{printable(name.as_posix())}, call {number}", call


def _why_not(call: Recorded, endpoint: _Endpoint) -> str:
    if kind_of(call.path) != "chat" or not isinstance(call.request, dict):
        return f"a call of {printable(call.path)} cannot be compared"
    if call.provider != endpoint.provider:
        return f"it went to {printable(call.provider)}, and not to {printable(endpoint.provider)}"
    if key_of(call.provider, call.path, call.request) != call.key:
        return "its key is of another request, or personal data in it was masked"
    if unknown := sorted({*map(str, call.request)} - _SENT - _FREE):
        return f"the request has {printable(', '.join(unknown))}"
    return ""


def _ask(call: Recorded, endpoint: _Endpoint) -> str:
    body = {name: value for name, value in call.request.items() if name in _SENT}
    headers = {"Content-Type": "application/json"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    request = Request(  # noqa: S310 - of a scheme that was checked
        f"{endpoint.url}/chat/completions", data=json.dumps(body).encode(), headers=headers, method="POST"
    )
    retrying = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=0.5, max=30),
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )
    return retrying(_send, request)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, HTTPError):
        return error.code in {408, 429} or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, URLError | TimeoutError)


class _Stay(HTTPRedirectHandler):
    """Follows no redirect: the key is for one host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _send(request: Request) -> str:
    with build_opener(_Stay).open(request, timeout=_TIMEOUT_S) as answer:
        return _text_of(json.loads(answer.read()))


def _text_of(body: Any) -> str:
    """Text and tool calls of an answer."""
    text = read_reply(body).text or ""
    choices = body.get("choices") if isinstance(body, dict) else None
    message = choices[0].get("message") if isinstance(choices, list) and choices else None
    tools = message.get("tool_calls") if isinstance(message, dict) else None
    functions = [call.get("function") for call in tools or () if isinstance(call, dict)]
    return f"{text}{json.dumps(functions, sort_keys=True) if functions else ''}"


def _is_oddest(recorded: str, answers: Sequence[str]) -> bool:
    """
    Return whether the recorded text is less like the others than each of them is.

    If it is an answer of the same model to the same request, all are exchangeable, and it is so with a
    probability of at most one in all of them.
    """
    texts = [recorded, *answers]
    means = [
        sum(_likeness(text, other) for at, other in enumerate(texts) if at != number)
        for number, text in enumerate(texts)
    ]
    return all(means[0] < mean for mean in means[1:])


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()


def _show(text: str) -> str:
    return printable(mask(text), _SHOWN)
