"""One question to the app: under the recorder, with its spans caught, inside a time limit."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.protocols import App
from pytest_llmops.recorder import Call, Recorder
from pytest_llmops.records import Failure, Output, Span, Usage
from pytest_llmops.runner.app import read_answer
from pytest_llmops.traces.capture import capture
from pytest_llmops.traces.reading import passages_of, tool_calls_of

_BUSY = frozenset({429, 500, 502, 503, 504, 529})
_ATTEMPTS = 3
_LONGEST_WAIT_S = 30.0
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """
    What every question of a run shares.

    Attributes:
        timeout_s: Time limit of one question, retries included, in seconds.
        prices: Model to US dollars for a million prompt and completion tokens.
    """

    app: App
    recorder: Recorder
    timeout_s: float
    prices: Mapping[str, tuple[float, float]]

    async def ask(self, case: str, repeat: int, question: Any) -> tuple[Output | Failure, tuple[Span, ...]]:
        """The app's output or why there is none, and the spans it left; raises nothing of the app's."""
        try:
            with self.recorder.recording(case, repeat) as log, capture() as spans:
                answering = asyncio.ensure_future(self._answer(question))
                await asyncio.wait({answering}, timeout=self.timeout_s)
                if not answering.done():
                    answering.cancel()
                    return _broken(repeat, f"no answer within {self.timeout_s:g} s (timeout_s)"), tuple(spans)
                try:
                    answer, elapsed_s = answering.result()
                    output = read_answer(answer)
                except Exception as error:  # noqa: BLE001 - an app is anybody's code; what it raises is a result
                    reason = log.error or f"the app raised {type(error).__name__}: {error}"
                    return _broken(repeat, str(reason)), tuple(spans)
        except LLMOpsError as error:
            return _broken(repeat, str(error)), ()
        if log.error is not None:  # the app swallowed it and answered from half a replay
            return _broken(repeat, str(log.error)), tuple(spans)
        calls = tuple(log.calls)
        trace = (*spans, *(_call_span(index, call) for index, call in enumerate(calls)))
        saved_s = sum(call.duration_s - call.waited_s for call in calls if call.outcome == "replayed")
        return (
            replace(
                output,
                repeat=repeat,
                passages=passages_of(spans) if output.passages is None else output.passages,
                tool_calls=output.tool_calls or tool_calls_of(spans),
                usage=_usage(calls, self.prices),
                latency_s=elapsed_s + saved_s,
                model=output.model or _reported_model(calls),
            ),
            trace,
        )

    async def _answer(self, question: Any) -> tuple[Any, float]:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(_is_busy),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=_wait_s,
            reraise=True,
        ):
            with attempt:
                started = time.perf_counter()
                answer = await _call(self.app, question)
                return answer, time.perf_counter() - started
        raise AssertionError("unreachable: the last attempt returns or raises")


def _broken(repeat: int, reason: str) -> Failure:
    return Failure(metric="", stage="app", error=reason, repeat=repeat)


async def _call(app: App, question: Any) -> Any:
    """Await an async app; run a sync one on a daemon thread, since a thread that hangs cannot be ended."""
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        return await app(question)  # type: ignore[misc]
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(answer: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(answer)
        else:
            done.set_exception(error)

    def work() -> None:
        answer: Any = None
        error: Exception | None = None
        try:
            answer = context.run(app, question)
        except StopIteration as stop:  # a future cannot carry it
            error = RuntimeError(f"the app raised StopIteration: {stop}")
        except BaseException as raised:  # noqa: BLE001 - also SystemExit: an app may not end the run
            error = raised if isinstance(raised, Exception) else RuntimeError(f"the app raised {raised!r}")
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer, error)

    threading.Thread(target=work, name="llmops-app", daemon=True).start()
    answer = await done
    return await answer if inspect.isawaitable(answer) else answer


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "status_code", None) in _BUSY


def _wait_s(state: RetryCallState) -> float:
    """Seconds to wait: what the provider asks for by Retry-After, else 1, 2, 4 …"""
    error = state.outcome.exception() if state.outcome else None
    headers = getattr(getattr(error, "response", None), "headers", {})
    try:
        asked_s = float(headers["retry-after"])
    except (KeyError, ValueError):
        asked_s = 2.0 ** (state.attempt_number - 1)
    return min(max(asked_s, 0.0), _LONGEST_WAIT_S)


def _reported_model(calls: Sequence[Call]) -> str | None:
    chats = [call for call in calls if call.kind != "embeddings" and call.model_reported]
    return chats[-1].model_reported if chats else None


def _usage(calls: Sequence[Call], prices: Mapping[str, tuple[float, float]]) -> Usage:
    answered = [call for call in calls if call.outcome != "failed"]
    return Usage(
        calls=len(answered),
        replayed=sum(call.outcome == "replayed" for call in answered),
        prompt_tokens=_sum([call.prompt_tokens for call in answered]),
        completion_tokens=_sum([_completion_tokens(call) for call in answered]),
        cost_usd=_sum([_cost_usd(call, prices) for call in answered]),
    )


def _sum(values: Sequence[Any]) -> Any:
    """The sum, or None when any part is not known: half a bill is no bill."""
    return None if any(value is None for value in values) else sum(values)


def _completion_tokens(call: Call) -> int | None:
    return 0 if call.kind == "embeddings" else call.completion_tokens


def _cost_usd(call: Call, prices: Mapping[str, tuple[float, float]]) -> float | None:
    if call.provider == "loopback":
        return 0.0
    price = prices.get(call.model_reported or "") or prices.get(call.model or "")
    completion_tokens = _completion_tokens(call)
    if price is None or call.prompt_tokens is None or completion_tokens is None:
        return None
    return (price[0] * call.prompt_tokens + price[1] * completion_tokens) / _MILLION


def _call_span(index: int, call: Call) -> Span:
    """A model call as a span, so that an app which traces nothing still shows what it sent."""
    return Span(
        span_id=f"call-{index}",
        parent_id=None,
        name=f"{call.kind} {call.model}",
        kind="llm",
        start=call.started,
        end=call.started + call.duration_s,
        attributes={"request": call.request, "response": call.text or ""},
        status=call.outcome,
    )
