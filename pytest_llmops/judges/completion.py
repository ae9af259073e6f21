"""
Requests for chat completions: one `openai` client an endpoint, retries and time limits of our own.

A request without a result (the endpoint is busy, broke, cut off, sent no JSON) is retried, after the pause
that the endpoint names or one that doubles. A request that it refuses is not.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import re
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import CassetteError, MissingExtraError, describe_error
from pytest_llmops.judges.model import JudgeModel
from pytest_llmops.printable import counted, printable
from pytest_llmops.recorder import CallLog, current_log, replay
from pytest_llmops.recorder.identity import is_loopback
from pytest_llmops.recorder.limits.gate import within
from pytest_llmops.recorder.limits.quota import read_pause_s
from pytest_llmops.recorder.loop_thread import LoopThread

if TYPE_CHECKING:
    import openai

Result = TypeVar("Result")

# Escapes of JSON and Python; left so, `\n` would hide where a key begins.
_ESCAPE = re.compile(r"""\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrtbf"'/\\]))""")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""Limit of our own pauses, and of those that an endpoint names."""

_SHOWN = 200
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_REFUSALS = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.NOT_IMPLEMENTED}

_endpoints: dict[tuple[str, str, int], _Endpoint] = {}
"""By address, variable of the key and limit of concurrency; only the loop's thread uses them."""

_WIND_DOWN_S = 2.0
_lock = threading.Lock()
_running: list[LoopThread] = []
_closers: list[Callable[[], None]] = []


class JudgeError(Exception):
    """No verdict came. The message may be shown."""


@dataclass
class RefusedError(JudgeError):
    """
    The endpoint does not take the request in this form.

    Attributes:
        message: The endpoint's own words, masked.
        parameter: Named by the endpoint as the cause, or empty.
    """

    status: int
    message: str
    parameter: str = ""

    def __str__(self) -> str:
        return f"the endpoint refused the request with status {self.status}: {self.message}"


class NoVerdictError(JudgeError):
    """The model answered without a verdict; a replay of its answer never has one."""


class UnusableAnswerError(NoVerdictError):
    """The answer is not allowed by the schema, or no JSON; the message names the fault."""


def quote(text: str, limit: int) -> str:
    """Prepare a text for a message: masked, on one line, and cut after about `limit` characters."""

    def unescape(match: re.Match[str]) -> str:
        digits = match[1] or match[2]
        return chr(int(digits, 16)) if digits else _ESCAPED.get(match[3], match[3])

    return printable(mask(_ESCAPE.sub(unescape, text)), limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    One chat completion.

    Attributes:
        arguments: Of each tool call, as text.
        finish: The reason of its end, `stop`, `length`, `content_filter` …
        model: Named in the answer; `fingerprint` is the provider's mark of weights and settings.
        tokens: Of `text`, each with `token`, `logprob` and `top_logprobs`, where the endpoint gave them.
    """

    text: str = ""
    arguments: tuple[str, ...] = ()
    refusal: str = ""
    finish: str = ""
    model: str = ""
    fingerprint: str | None = None
    tokens: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True)
class _Endpoint:
    client: openai.AsyncOpenAI
    key: str
    slots: asyncio.Semaphore


class _PassingError(Exception):
    """An attempt had no result; another may. `after_s` is the pause that the endpoint names."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


@cache
def require_client() -> None:
    """Look for the client without the second that its import takes, which no replay needs."""
    if find_spec("openai") is None:
        raise MissingExtraError("a judge", "judge")


async def complete(judge: JudgeModel, request: Mapping[str, Any]) -> Reply:
    """
    One completion of `judge.model`, however many attempts it takes.

    Raises:
        JudgeError: No answer came; `RefusedError` where the request itself was refused.
        CassetteError: It is not recorded and may not be made.
    """
    recorded = _replay(judge, request)
    if recorded is not None:
        with suppress(_PassingError):  # it counts as the first attempt then
            return _read_reply(judge, recorded)
    await asyncio.sleep(0)  # from here on the loop's thread; not below, since tenacity counts by thread
    attempts = AsyncRetrying(
        stop=stop_after_attempt(judge.attempts),
        retry=retry_if_exception_type(_PassingError),
        wait=_pause,
        reraise=True,
    )
    try:
        async for attempt in attempts:
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    recorded = _replay(judge, request)
                content = await _fetch(judge, request) if recorded is None else recorded
                return _read_reply(judge, content)
    except _PassingError as error:
        tried = counted(judge.attempts, "attempt")
        raise JudgeError(f"no answer of {judge.model} after {tried}: {error}") from None
    raise AssertionError  # the loop above returns or raises


def _endpoint(judge: JudgeModel) -> _Endpoint:
    import openai

    place = (judge.url, judge.api_key_env, judge.concurrency)
    if place not in _endpoints:
        key = _key(judge)
        is_far = not is_loopback(urlsplit(judge.url).hostname or "")

        async def require_key(_request: object) -> None:
            """Runs when a request really goes out, since a recorded answer needs no key."""
            if is_far and not key:
                raise JudgeError(
                    f"the endpoint of {judge.model} needs a key: set the environment variable "
                    f"{judge.api_key_env}, or name another one as api_key_env"
                )

        client = openai.AsyncOpenAI(
            base_url=judge.url,
            api_key=key or "none",
            max_retries=0,
            timeout=None,  # each attempt has a limit that covers all of it
            # A redirect would take the text to an endpoint that no setting names.
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False, timeout=None, event_hooks={"request": [require_key]}
            ),
        )
        _endpoints[place] = _Endpoint(client, key, asyncio.Semaphore(judge.concurrency))
    return _endpoints[place]


def _key(judge: JudgeModel) -> str:
    return os.environ.get(judge.api_key_env, "").strip()


def _read_reply(judge: JudgeModel, content: bytes) -> Reply:
    try:
        return _parse_completion(json.loads(content))
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        shown = _show(content.decode("utf-8", "replace"), _key(judge))
        raise _PassingError(f"the endpoint sent no chat completion: {shown}") from None


def _replay(judge: JudgeModel, request: Mapping[str, Any]) -> bytes | None:
    """The recorded answer, read without the client, which would cost more than all else."""
    return replay(f"{judge.url.rstrip('/')}/chat/completions", _body(judge, request))


def _body(judge: JudgeModel, request: Mapping[str, Any]) -> dict[str, Any]:
    body = {"model": judge.model, **request}
    further: Mapping[str, Any] = body.pop("extra_body", {})
    return {**body, **further}


async def _fetch(judge: JudgeModel, request: Mapping[str, Any]) -> bytes:
    import openai

    endpoint, log = _endpoint(judge), current_log() or CallLog(case="", repeat=0)
    try:
        async with endpoint.slots:
            # `chat.completions.create` would go through request and answer by schema, a third of the call.
            post = endpoint.client.post("/chat/completions", body=_body(judge, request), cast_to=bytes)
            posting = asyncio.ensure_future(post)
            try:
                if await within(posting, judge.timeout_s, log.pauses):
                    return posting.result()
                raise TimeoutError
            finally:
                posting.cancel()
    except (CassetteError, JudgeError):
        raise
    except openai.APIStatusError as error:
        translated = _translate_status(error, endpoint.key)
        if log.limited and isinstance(translated, _PassingError):
            translated = JudgeError(f"no answer of {judge.model}: {log.limited}: {translated}")
        raise translated from None
    except TimeoutError:
        raise _PassingError(f"none came within {judge.timeout_s:g} s") from None
    except openai.APIConnectionError as error:
        raise _PassingError(
            f"the line broke: {_show(describe_error(error.__cause__ or error), endpoint.key)}"
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever breaks in the client, there is no verdict
        raise JudgeError(
            f"{judge.model} cannot be asked: {_show(describe_error(error), endpoint.key)}"
        ) from None


def _parse_completion(body: Any) -> Reply:
    """Raises any error of access where the body has another shape."""
    choice = body["choices"][0]
    message = choice["message"]
    tools = message.get("tool_calls") or ()
    logprobs = choice.get("logprobs") or {}
    return Reply(
        text=str(message.get("content") or ""),
        arguments=tuple(str(tool["function"]["arguments"]) for tool in tools),
        refusal=str(message.get("refusal") or ""),
        finish=str(choice.get("finish_reason") or ""),
        model=str(body.get("model") or ""),
        fingerprint=body.get("system_fingerprint"),
        tokens=tuple(token for token in logprobs.get("content") or () if isinstance(token.get("token"), str)),
    )


def _translate_status(error: openai.APIStatusError, key: str) -> Exception:
    body = error.body if isinstance(error.body, Mapping) else {}
    text = str(body.get("message") or error.message)
    if body.get("type") == "cassette_error":  # the recorder's answer to a client that it must not let out
        return CassetteError(text)
    message = _show(text, key)
    if error.status_code in _REFUSALS:
        parameter = body.get("param")
        return RefusedError(error.status_code, message, parameter if isinstance(parameter, str) else "")
    is_passing = error.status_code in _PASSING or error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    if is_passing and error.code != "insufficient_quota":
        after_s = read_pause_s(error.response.headers.get("retry-after"))
        return _PassingError(f"status {error.status_code}, {message}", after_s)
    return JudgeError(f"the endpoint answered with status {error.status_code}: {message}")


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, _PassingError) and error.after_s is not None:
        return min(error.after_s, LONGEST_PAUSE_S)
    doubling = wait_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S)
    return doubling(state) + wait_random(0, FIRST_PAUSE_S / 2)(state)


def _show(text: str, key: str) -> str:
    """Prepare a text of an endpoint or a library for a message: on one line, short, without the key."""
    return quote(text.replace(key, "<API_KEY>") if key else text, _SHOWN)


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """
    Run it in the caller's context up to its first wait, then on the loop's thread, and return its result.

    A verdict that is replayed waits for nothing, so it costs no change of threads. Code that needs the loop
    (a client, `gather`) comes after an `asyncio.sleep(0)`.
    """
    future = _begin(coroutine)
    try:
        return future.result()
    except BaseException:  # an interrupt of the caller ends the task too
        future.cancel()
        raise


async def run_beside(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """As `run`, for a caller on another loop, which goes on meanwhile."""
    return await asyncio.wrap_future(_begin(coroutine))


def _begin(coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
    done: Future[Result] = Future()
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        done.set_result(stopped.value)
        return done
    with _lock:
        if not _running:
            _running.append(LoopThread(name="llmops-judges", at_end=_close_all, wind_down_s=_WIND_DOWN_S))
            atexit.register(close)
        return _running[0].submit(coroutine)


def at_close(closer: Callable[[], None]) -> None:
    """Call it on the loop before that ends; for state that modules keep there."""
    _closers.append(closer)


def close() -> None:
    """
    Cancel all tasks, close all connections and end the thread; a later `run` starts anew.

    Callers that wait in `run` get a CancelledError.
    """
    with _lock:
        running, _running[:] = _running[:], []
    for loop in running:
        loop.close()


async def _close_all() -> None:
    closing = (endpoint.client.close() for endpoint in _endpoints.values())
    await asyncio.gather(*closing, return_exceptions=True)
    _endpoints.clear()
    for closer in _closers:
        closer()
