"""One call of the app: under the recorder, with its spans caught, inside a time limit."""

from __future__ import annotations

import asyncio
import math
import time
from asyncio import sleep
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pytest_llmops.errors import AnswerError, AppBusyError, AppError, LLMOpsError, describe_error, list_causes
from pytest_llmops.metrics.conversations import join_outputs
from pytest_llmops.protocols import App
from pytest_llmops.recorder import Call, CallLog, CallRules, Recorder
from pytest_llmops.recorder.call import note_calls
from pytest_llmops.recorder.limits.gate import within
from pytest_llmops.recorder.limits.quota import read_pause_s
from pytest_llmops.recorder.providers import WORDLESS
from pytest_llmops.records import (
    GIVEN_UP,
    CaseTurn,
    FailedCall,
    Failure,
    Output,
    Span,
    StateRead,
    ToolCall,
    TurnOutput,
)
from pytest_llmops.runner.app.answers import read_answer
from pytest_llmops.runner.app.conversation import (
    SESSION_PATTERN,
    Over,
    Talk,
    describe_turn,
    find_calling,
    find_session,
    open_session,
)
from pytest_llmops.runner.app.failed_calls import BUSY, find_breaking, is_passing, join_attempts, note_failed
from pytest_llmops.runner.app.inputs import GivenInput
from pytest_llmops.runner.app.place_remedies import find_remedy
from pytest_llmops.runner.app.places import EndedError, Place, Threads, Turn
from pytest_llmops.runner.app.printed import collect
from pytest_llmops.runner.app.process_end import describe, noting
from pytest_llmops.runner.app.returned import Streamed
from pytest_llmops.runner.app.states import StateReader
from pytest_llmops.runner.app.tracebacks import describe_traceback
from pytest_llmops.runner.usage import price_stated, sum_stated, usage_of
from pytest_llmops.traces.capture import CaseSpans, capture, settle
from pytest_llmops.traces.reading import passages_of, run_by, span_of_call, span_of_request, tool_calls_of

_MOST_ATTEMPTS = 3
_LONGEST_WAIT_S = 30.0

Answer = TypeVar("Answer", Output, Failure, Output | Failure)


class Called(NamedTuple):
    """
    What came of one repeat.

    Attributes:
        spans: That the app left, and those of its model calls.
        turns: Of a conversation, those that the app answered.
        state: That it left behind, where a function reads it.
        fault: What its simulated user did wrong, so that the output says nothing of the app; else empty.
    """

    answer: Output | Failure
    spans: tuple[Span, ...] = ()
    turns: tuple[TurnOutput, ...] = ()
    state: StateRead | None = None
    fault: str = ""


@dataclass(slots=True, eq=False, kw_only=True)
class _Attempt:
    """
    One attempt of a repeat.

    Attributes:
        ended: How the app tried to end the process.
        turns: Of a conversation, those that were answered.
        seen: Number of spans of earlier turns.
        asked: The turn under way.
        session: That the app gets, if it takes one.
        state: That it left behind, where a function reads it.
        fault: What the simulated user did wrong; empty for nothing.
    """

    case: str
    repeat: int
    log: CallLog
    spans: CaseSpans
    ended: list[str]
    turns: list[TurnOutput] = field(default_factory=list)
    asked: CaseTurn | None = None
    seen: int = 0
    changed_input: bool = False
    session: str = field(default_factory=open_session)
    state: StateRead | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppCaller:
    """
    Calls one app.

    Attributes:
        timeout_s: Time limit of one answer, in seconds, without those that its calls waited for a limit.
        prices: Model to US dollars for a million prompt and completion tokens.
        prompts: Name to version of the app's prompts, for the spans of its model calls.
        root: The project's folder, in which cases' files lie.
        place: Where the app is called.
        raised: The app's last exception by case, for a debugger; None keeps nothing, since a traceback keeps
            every frame alive.
    """

    app: App
    recorder: Recorder
    timeout_s: float
    prices: Mapping[str, tuple[float, float]]
    prompts: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path()
    place: Place = field(default_factory=Threads)
    raised: dict[str, BaseException] | None = None

    async def call(
        self,
        case: str,
        repeat: int,
        question: Any,
        rules: CallRules | None = None,
        reader: StateReader | None = None,
    ) -> Called:
        """
        Return the app's output or a failure, and the spans it left; raises nothing of the app's.

        An app that broke since a provider was busy, out of time or out of reach is called again, twice at
        most, and a conversation begins anew, with another session. Model calls that were answered the first
        time are replayed then, so that nothing is paid twice. Usage and spans are those of all attempts;
        spans of given-up ones are marked. An exception of the app itself is its result.

        Args:
            question: The argument of the app; or a conversation, in which it is called once a turn.
            rules: The golden file's rules for the model calls of the case.
            reader: Reads the state after the last answer.
        """
        rules = rules or CallRules()
        talks = isinstance(question, Talk)
        if talks or find_session(self.app, wanted=_shares_session(reader)):
            rules = replace(rules, ignored=(*rules.ignored, SESSION_PATTERN))
        attempts: list[_Attempt] = []
        answer: Output | Failure
        with collect() as printed:
            for number in range(1, _MOST_ATTEMPTS + 1):
                raised: Exception | None = None
                try:
                    async with self.place.turn() as turn:
                        answer = await self._attempt(turn, case, repeat, question, rules, reader, attempts)
                except LLMOpsError as error:
                    answer = app_failure(repeat, str(error))
                    raised = error if isinstance(error, AppBusyError) else None
                except Exception as error:  # noqa: BLE001 - an app is anybody's code; its exception is a result
                    raised, answer = error, self._raised(case, repeat, error)
                if isinstance(answer, Failure) and attempts and (asked := attempts[-1].asked):
                    place = describe_turn(len(attempts[-1].turns) + 1, asked)
                    answer = replace(answer, error=f"{answer.error}{place}")  # others look at its beginning
                if number == _MOST_ATTEMPTS or not attempts:
                    break
                if not _is_providers(answer, raised, attempts[-1].log, rules):
                    break
                await sleep(_wait_s(raised, number))
        spans = [
            span
            for number, attempt in enumerate(attempts, 1)
            for span in self._all_spans(
                attempt.log, attempt.spans, given_up=number if number < len(attempts) else 0
            )
        ]
        spans += printed.spans()
        if not attempts:  # a broken cassette, so that nothing was called
            return Called(answer, tuple(spans))
        answer = _name_limit(answer, attempts[-1].log)
        changed = any(attempt.changed_input for attempt in attempts)
        if len(attempts) > 1 or changed:
            answer = replace(answer, attempts=len(attempts), changed_input=changed)
        turns = tuple(attempts[-1].turns)
        place = _find_broken_turn(turns, rules)
        answer = self._add_calls(
            answer, join_attempts([attempt.log for attempt in attempts]), rules, place=place
        )
        return Called(answer, tuple(spans), turns, attempts[-1].state, attempts[-1].fault)

    def _add_calls(
        self, answer: Output | Failure, log: CallLog, rules: CallRules, *, place: str
    ) -> Output | Failure:
        """
        Add the usage of the model calls, and those that failed, which may break the answer.

        Args:
            place: Of the turn in which they failed, for the end of the reason.
        """
        failed = note_failed(log.calls)
        if isinstance(answer, Output) and log.elsewhere:
            requests = Counter(left.host for left in log.elsewhere if left.sent is not None or left.allowed)
            unseen = Counter(left.host for left in log.elsewhere if left.sent is None and not left.allowed)
            answer = replace(answer, elsewhere=dict(requests), unseen=dict(unseen))
        answer = self._add_usage(answer, log, failed)
        if isinstance(answer, Output) and (reason := find_breaking(failed, rules.errors)):
            broken = app_failure(answer.repeat, f"{reason}{place}")
            answer = replace(
                broken,
                usage=answer.usage,
                failed_calls=failed,
                attempts=answer.attempts,
                changed_input=answer.changed_input,
            )
        return replace(answer, model_calls=note_calls(log.calls)) if isinstance(answer, Failure) else answer

    def _add_usage(self, answer: Answer, log: CallLog, failed: tuple[FailedCall, ...]) -> Answer:
        """Add the usage of the model calls, or the cost of the tokens that the app counted itself."""
        if any(call.asks_model for call in log.calls) or not log.is_whole:
            return replace(answer, usage=usage_of(log, self.prices), failed_calls=failed)
        return price_stated(answer, self.prices) if isinstance(answer, Output) else answer

    async def _attempt(  # noqa: PLR0913, PLR0917 - one call with all that is known of it
        self,
        turn: Turn,
        case: str,
        repeat: int,
        question: Any,
        rules: CallRules,
        reader: StateReader | None,
        attempts: list[_Attempt],
    ) -> Output | Failure:
        """
        Call the app once, or once a turn, note its model calls and spans, and read the state.

        Raises:
            LLMOpsError: The cassette is broken, or the app can hold no conversation.
            Exception: The app's, but where a call was refused.
        """
        with self.recorder.recording(case, repeat, rules=rules) as log, capture() as spans, noting() as ended:
            attempt = _Attempt(case=case, repeat=repeat, log=log, spans=spans, ended=ended)
            attempts.append(attempt)
            if isinstance(question, Talk):
                answer = await self._converse(turn, question, attempt, required=rules.spans)
            else:
                name = find_session(self.app, wanted=_shares_session(reader))
                app = partial(self.app, **{name: attempt.session}) if name else self.app
                answer = await self._ask(turn, app, question, attempt, required=rules.spans)
        if isinstance(answer, Output) and log.error is not None:  # of what was seen at the end of the case
            return app_failure(repeat, str(log.error))
        if isinstance(answer, Output) and reader is not None and not attempt.fault:
            attempt.state = await self._read_state(turn, reader, answer, attempt, rules)
        return answer

    async def _converse(
        self, turn: Turn, talk: Talk, attempt: _Attempt, *, required: int
    ) -> Output | Failure:
        """Call the app once a turn; the arguments and exceptions are those of `_ask`."""
        log, spans, repeat = attempt.log, attempt.spans, attempt.repeat
        calling = find_calling(self.app)
        app = calling.bind(self.app, attempt.session)
        of_user = CallRules(ignored=(SESSION_PATTERN,))
        calls = partial(self.recorder.recording, attempt.case, repeat, shared=False, rules=of_user)
        while not isinstance(asked := await talk.next_turn(attempt.turns, calls), Over):
            attempt.asked = asked
            made, left, seen = len(log.calls), len(log.elsewhere), len(spans)
            with collect() as printed:
                answer = await self._ask(
                    turn,
                    app,
                    calling.question(asked, talk.history, attempt.turns),
                    attempt,
                    required=required if len(attempt.turns) + 1 == talk.most else 0,
                )
            if isinstance(answer, Failure):
                return answer
            of_turn = replace(log, calls=log.calls[made:], elsewhere=log.elsewhere[left:])
            attempt.turns.append(
                TurnOutput(
                    asked=asked,
                    output=self._add_usage(answer, of_turn, note_failed(of_turn.calls)),
                    spans=(*self._all_spans(of_turn, spans[seen:]), *printed.spans()),
                )
            )
            attempt.asked = None
        attempt.fault = asked.fault
        if asked.broke:
            return Failure(metric="", stage="score", error=asked.broke, repeat=repeat)
        if not attempt.turns:
            return Failure(metric="", stage="user", error=asked.fault, repeat=repeat)
        if not asked.fault and (lost := await settle(spans, required)):
            return app_failure(repeat, lost)
        return replace(
            join_outputs(attempt.turns),
            usage=sum_stated([one.output.usage for one in attempt.turns]),
            failed_calls=(),
            model_calls=note_calls(log.calls),
            user=asked.played,
        )

    async def _read_state(
        self, turn: Turn, reader: StateReader, output: Output, attempt: _Attempt, rules: CallRules
    ) -> StateRead:
        """Call the function of the state where the app is called; what it sends is no call of the app."""
        case, repeat = attempt.case, attempt.repeat
        with self.recorder.recording(case, repeat, shared=False, rules=rules) as log, noting() as ended:
            reading = asyncio.ensure_future(turn.answer(reader.bind(attempt.session), output))
            try:
                await within(reading, self.timeout_s, log.pauses)
            except asyncio.CancelledError:
                reading.cancel()
                raise
        named = f"the function of state {reader.path!r}"
        if unread := self._why_unanswered(case, repeat, reading, ended):
            return StateRead(error=f"{named}: {unread.error}")
        try:
            value = reader.check(reading.result())
        except AppError as error:
            return StateRead(error=str(error))
        except Exception as error:  # noqa: BLE001 - the function is anybody's code
            return StateRead(error=str(log.error) if log.error else f"{named} raised {describe_error(error)}")
        return StateRead(error=str(log.error)) if log.error else StateRead(value=value)

    async def _ask(
        self, turn: Turn, app: App, question: Any, attempt: _Attempt, *, required: int
    ) -> Output | Failure:
        """
        Call the app with a copy of a question.

        Args:
            required: Number of spans that there must be afterwards.

        Raises:
            Exception: The app's, but where a call was refused.
        """
        case, repeat, log, spans = attempt.case, attempt.repeat, attempt.log, attempt.spans
        given, before = GivenInput(question), len(log.calls)
        started_s, paused_s = time.perf_counter(), log.pauses.total_s()
        answering = asyncio.ensure_future(turn.answer(app, given.value))
        try:
            await within(answering, self.timeout_s, log.pauses)
        except asyncio.CancelledError:  # a test that gives up leaves no call of its app behind
            answering.cancel()
            raise
        elapsed_s = time.perf_counter() - started_s - (log.pauses.total_s() - paused_s)
        lost = await settle(spans, required)
        attempt.changed_input = attempt.changed_input or given.is_changed()
        if unanswered := self._why_unanswered(case, repeat, answering, attempt.ended):
            log.broke = True
            return unanswered
        try:
            answer = answering.result()
            output = read_answer(answer)
        except AnswerError as error:
            return app_failure(repeat, str(error))
        except Exception as error:
            if log.error is None:
                raise
            self._raised(case, repeat, error)
            return app_failure(repeat, str(log.error))
        if lost or log.error is not None:  # the app swallowed the error and answered from half a replay
            return app_failure(repeat, lost or str(log.error))
        made, left = log.calls[before:], spans[attempt.seen :]
        attempt.seen = len(spans)
        replayed = [call for call in made if call.outcome == "replayed"]
        waited_s = sum(call.waited_s for call in replayed)
        chats = [call for call in made if call.kind not in WORDLESS and call.model_reported]
        first_token_s = output.first_token_s
        if isinstance(answer, Streamed) and answer.began_at is not None and not replayed:
            before_s = log.pauses.total_s(answer.began_at) - paused_s
            first_token_s = max(answer.began_at - started_s - before_s, 0.0)
        return replace(
            output,
            repeat=repeat,
            passages=passages_of(left) if output.passages is None else output.passages,
            tool_calls=output.tool_calls or choose_calls(tool_calls_of(left), run_by(made)),
            latency_s=max(elapsed_s - waited_s, 0.0) + _busy_s(replayed),
            first_token_s=first_token_s,
            model=output.model or (chats[-1].model_reported if chats else None),
            model_calls=note_calls(made),
        )

    def _why_unanswered(
        self, case: str, repeat: int, answering: asyncio.Future[Any], ended: list[str]
    ) -> Failure | None:
        """Return a failure where there is nothing to read: no answer yet, or an end that none excuses."""
        if not answering.done():
            answering.cancel()
            return app_failure(repeat, f"no answer within {self.timeout_s:g} s (timeout_s)")
        if answering.cancelled():
            reason = describe(ended) if ended else "the app cancelled its own task (CancelledError)"
            return app_failure(repeat, reason)
        if not ended:
            return None
        error = answering.exception()
        failure = self._raised(case, repeat, error) if error else app_failure(repeat, "")
        return replace(failure, error=describe(ended))

    def _raised(self, case: str, repeat: int, error: BaseException) -> Failure:
        """Describe an exception of the app, with the app's part of the traceback."""
        error = error.raised if isinstance(error, EndedError) else error
        if self.raised is not None:
            self.raised[case] = error
        remedy = find_remedy(list_causes(error)) if isinstance(self.place, Threads) else ""
        failure = app_failure(repeat, f"the app raised {describe_error(error)}{remedy and f'; {remedy}'}")
        return replace(failure, traceback=describe_traceback(error))

    def _all_spans(self, log: CallLog, spans: Sequence[Span], *, given_up: int = 0) -> tuple[Span, ...]:
        """
        Return the app's spans of an attempt, and one for each of its model calls and other requests.

        Args:
            given_up: The number of an attempt that another one followed, which marks its spans; else 0.
        """
        calls = (span_of_call(index, call, self.prompts) for index, call in enumerate(log.calls))
        every = (*spans, *calls, *(span_of_request(index, left) for index, left in enumerate(log.elsewhere)))
        if not given_up:
            return every
        return tuple(replace(span, attributes={**span.attributes, GIVEN_UP: given_up}) for span in every)


def _shares_session(reader: StateReader | None) -> bool:
    """Return whether the function of the state has to know the session of the app."""
    return reader is not None and bool(reader.session)


def choose_calls(traced: tuple[ToolCall, ...], ran: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    """Return the tool calls of spans, or of MCP's messages where the spans have names alone, as its SDK's."""
    bare = not any(call.arguments for call in traced)
    alike = sorted(call.name for call in traced) == sorted(call.name for call in ran)
    return ran if ran and bare and (alike or not traced) else traced


def app_failure(repeat: int, error: str) -> Failure:
    return Failure(metric="", stage="app", error=error, repeat=repeat)


def _name_limit(answer: Output | Failure, log: CallLog) -> Output | Failure:
    """Name the limit of a provider that the last attempt ended by, if it did."""
    if isinstance(answer, Failure) and log.limited:
        return replace(answer, error=f"{log.limited}: {answer.error}")
    return answer


def _is_providers(
    answer: Output | Failure, raised: BaseException | None, log: CallLog, rules: CallRules
) -> bool:
    """
    True if an attempt broke by a failure of a provider that may pass by itself.

    The recorder knows the calls that failed; of a client that it does not know the exception shows it.
    """
    if log.error is not None or log.limited or _retried(log.calls):
        return False
    failed = note_failed(log.calls)
    if isinstance(answer, Output):
        return bool(find_breaking([call for call in failed if is_passing(call)], rules.errors))
    if failed:
        return all(is_passing(call) for call in failed if not call.retried)
    return raised is not None and any(map(_is_out_of_reach, list_causes(raised)))


def _find_broken_turn(turns: Sequence[TurnOutput], rules: CallRules) -> str:
    """Name the first answered turn that failed model calls break; empty for none."""
    broken = (
        describe_turn(number, turn.asked)
        for number, turn in enumerate(turns, 1)
        if find_breaking(turn.output.failed_calls, rules.errors)
    )
    return next(broken, "")


def _is_out_of_reach(error: BaseException) -> bool:
    """True if an exception shows a busy endpoint, a lost connection or a time limit of a client."""
    statuses = {getattr(part, "status_code", None) for part in (error, getattr(error, "response", None))}
    return bool(statuses & BUSY) or isinstance(error, (ConnectionError, TimeoutError))


def _retried(calls: Sequence[Call]) -> bool:
    """True where the app's own client retried; then it has waited long enough."""
    failed = [call.key for call in calls if call.outcome == "failed"]
    return len(failed) > len(set(failed))


def _wait_s(error: Exception | None, attempt: int) -> float:
    """Seconds until the next attempt: by the provider's Retry-After, else 1, 2, 4 …"""
    wait_s = getattr(error, "retry_after_s", None)
    with suppress(Exception):  # the error is any app's, and so is its response
        wait_s = read_pause_s(error.response.headers["retry-after"])  # type: ignore[union-attr]  # as above
    return min(2.0 ** (attempt - 1) if wait_s is None else wait_s, _LONGEST_WAIT_S)


def _busy_s(calls: Sequence[Call]) -> float:
    """Seconds in which at least one of the calls was under way, when they were made."""
    total_s, until_s = 0.0, -math.inf
    for begin_s, duration_s in sorted((call.offset_s, call.duration_s) for call in calls):
        end_s = begin_s + duration_s
        total_s += max(end_s - max(begin_s, until_s), 0.0)
        until_s = max(until_s, end_s)
    return total_s
