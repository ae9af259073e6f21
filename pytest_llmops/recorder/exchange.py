"""One repeat of a case under way, and each of its model calls from request to last byte."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_llmops.detect.value_lists import show_address
from pytest_llmops.errors import CassetteError, StopAppError
from pytest_llmops.printable import printable
from pytest_llmops.recorder.bodies import encode_body
from pytest_llmops.recorder.call import (
    Call,
    CallBudget,
    CallLog,
    CallOutcome,
    CallRules,
    Elsewhere,
    ReplySource,
    count_calls,
)
from pytest_llmops.recorder.cassettes import CassetteSession, Recorded
from pytest_llmops.recorder.explanation import explain_miss
from pytest_llmops.recorder.identity import (
    LOOPBACK,
    Identity,
    identify_body,
    key_of,
    name_place,
    place_of,
    rule_of,
)
from pytest_llmops.recorder.limits.gate import Limits, Turn
from pytest_llmops.recorder.limits.quota import REFUSALS
from pytest_llmops.recorder.mcp_messages import has_answer, with_id
from pytest_llmops.recorder.processes import Watch
from pytest_llmops.recorder.providers import LISTED, MCP, WORDLESS
from pytest_llmops.recorder.redaction import Redaction
from pytest_llmops.recorder.reply import Reply, read_answer, read_reply
from pytest_llmops.settings import RecordMode

_OK, _REDIRECTED, _REFUSED = 200, 300, 400
_NO_SESSION = {400, 404}  # of a tool server that does not know the session of a message, or gets none
_RECORD = "Record it with --llm-record new."
_STAMPED = re.compile(
    r"[-@:](?=[0-9]*[a-f])[0-9a-f]{8,64}\Z"
)  # a name with the digest of the weights, and no date


@dataclass(slots=True, eq=False, kw_only=True)
class Recording:
    """
    Answers, counts and logs the model calls of one repeat.

    Attributes:
        lines: One for each call, for `llmops explain`.
        began: Of the monotonic clock; a call's offset counts from here.
        replies: Sees the replies, and may give others.
        keeps: Whether answers that are made go into the cassettes.
        limits: Where calls wait for their providers; None lets each go at once.
        shared: The calls are an app's, and not a judge's.
        services: On this machine, without a stamp of their weights: whether any call of the run was made.
        watch: Finds what leaves on connections that no seam sees.
        late: Takes the place of what its threads and tasks send from now on, since no check sees it.
        ended: The repeat is over.
    """

    log: CallLog
    local: CassetteSession
    committed: CassetteSession
    mode: RecordMode
    redaction: Redaction
    late: Callable[[str], None]
    rules: CallRules
    budget: CallBudget | None = None
    replies: ReplySource | None = None
    keeps: bool = True
    shared: bool = True
    limits: Limits | None = None
    services: dict[str, bool] = field(default_factory=dict)
    watch: Watch = field(default_factory=Watch)
    ended: bool = False
    lines: list[dict[str, Any]] = field(default_factory=list)
    open: set[Exchange] = field(default_factory=set)
    began: float = field(default_factory=time.perf_counter)
    _numbers: dict[str, set[int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, identity: Identity, host: str, port: int | None) -> Exchange:
        """
        Begin a call, and replay it if it is recorded.

        Raises:
            CassetteError: The call is not recorded and may not be made.
        """
        identity = self._without_ignored(identity)
        if self.ended:
            self.late(name_place(host, port))
        with self._lock:
            number = self._claim_number(identity.key)
        live = self.rules.why_live(host, port)
        exchange = Exchange(self, self._session(identity), identity, number, live=live)
        exchange.look_up()
        if exchange.replay is None and self.limits is not None and identity.kind not in LISTED:
            exchange.turn = self.limits.turn(
                name_place(host, port), identity.model or "", self.log.pauses, lambda: self.ended
            )
        if self.shared and self._may_be_tested(identity, host, port):
            place = name_place(host, port)
            self.services[place] = self.services.get(place, False) or exchange.replay is None
        return exchange

    def _may_be_tested(self, identity: Identity, host: str, port: int | None) -> bool:
        """Return whether a call is of a service on this machine that is not known to serve a model alone."""
        if identity.provider != LOOPBACK or _STAMPED.search(identity.model or ""):
            return False
        return not self.rules.records("POST", host, port, identity.path)

    def replay(self, host: str, port: int | None, path: str, body: Any) -> bytes | None:
        """Return the recorded answer to a JSON request, and log the call; None where there is none."""
        identity = self._without_ignored(identify_body(host, port, path, body))
        if self.ended or self.rules.why_live(host, port):
            return None
        session = self._session(identity)
        with self._lock:
            if (identity.key, self.log.repeat, self._next_number(identity.key)) not in session.calls:
                return None
            number = self._claim_number(identity.key)
        exchange = Exchange(self, session, identity, number)
        exchange.look_up()
        _, answer = exchange.replay or ("", None)
        return answer

    def note_unattributed(self, error: CassetteError | None) -> None:
        """Note a call that may be this case's or another's; with an error where it is not made."""
        self.log.is_whole = False
        self.refuse(error)

    def refuse(self, error: CassetteError | None) -> None:
        self.log.error = self.log.error or error

    def leave(self, left: Elsewhere, host: str, port: int | None) -> None:
        """
        Note what leaves for another machine and is no model call.

        Raises:
            CassetteError: Under none, where the golden file does not list the destination.
        """
        if not self.shared:
            return
        allowed = self.rules.allows(host, port, host if left.sent is None else "")
        show_address(host)
        if self.ended and not allowed:
            self.late(left.host)
        if self.mode == "none" and not allowed:
            error = CassetteError(refuse_elsewhere(self.log.case, left.host))
            self.refuse(error)
            raise error
        self.log.elsewhere.append(replace(left, allowed=allowed))

    def note_leaving(self, address: str, port: int, host: str) -> None:
        """Note a connection to an address, of that host, on which something was sent already."""
        allowed = self.rules.allows(host, port, address)
        show_address(host)
        place = name_place(host, port)
        if self.mode == "none" and not allowed:
            self.refuse(CassetteError(refuse_sent(self.log.case, place)))
        self.log.elsewhere.append(Elsewhere(host=place, allowed=allowed))

    def end(self) -> None:
        """Close open calls; a call that outlives its case is not kept."""
        self.ended = True
        for exchange in tuple(self.open):
            if exchange.leave is not None:
                exchange.leave()
            exchange.fail("the case ended before the answer came")

    def release_number(self, key: str, number: int) -> None:
        """Free the number of a failed call, for its next attempt."""
        with self._lock:
            self._numbers[key].discard(number)

    def _without_ignored(self, identity: Identity) -> Identity:
        """Return the identity with a key that leaves out what the rules ignore of the body."""
        if not self.rules.ignored:
            return identity
        body = self.rules.without_ignored(identity.body)
        return replace(identity, key=key_of(identity.provider, identity.path, body))

    def _session(self, identity: Identity) -> CassetteSession:
        return self.local if identity.provider == LOOPBACK else self.committed

    def _claim_number(self, key: str) -> int:
        number = self._next_number(key)
        self._numbers.setdefault(key, set()).add(number)
        return number

    def _next_number(self, key: str) -> int:
        """Return the first number that no answered or running equal call has."""
        taken = self._numbers.get(key, ())
        return next(number for number in range(len(taken) + 1) if number not in taken)


def refuse_elsewhere(case: str, host: str) -> str:
    """Say why nothing may leave for a host."""
    return (
        f"{case}: the app wants to send something to {host} that is no model call, and --llm-record none "
        f"lets nothing out. If it may, list the host under `record: {{allow: [{rule_of(host)}]}}` of the "
        "golden file, or the request under `also`, to have it recorded and replayed."
    )


def refuse_sent(case: str, destination: str) -> str:
    """Say that something left under none which nobody could refuse."""
    return (
        f"{case}: something was sent to {destination} by a child process, by native code or on a "
        "connection that was open before, which --llm-record none cannot refuse. If it may, list the host "
        f"under `record: {{allow: [{rule_of(destination)}]}}` of the golden file."
    )


class Exchange:
    """
    One model call.

    Attributes:
        replay: Content type and bytes of the recorded answer, when there is one.
        turn: Its way through the limits of its provider; None where nobody waits.
        leave: Ends a stream that is still being read when the recording ends.
        duration_s: Seconds from request to complete answer, at the time it was made.
    """

    def __init__(
        self, recording: Recording, session: CassetteSession, identity: Identity, nth: int, *, live: str = ""
    ) -> None:
        """
        Open a call of a recording.

        Args:
            live: Why the call is made whatever the cassettes hold; empty where they decide.
        """
        self.replay: tuple[str, bytes] | None = None
        self.turn: Turn | None = None
        self.leave: Callable[[], None] | None = None
        self.duration_s = 0.0
        self._recording, self._session, self._identity, self._nth = recording, session, identity, nth
        self._live, self._reason = live, live
        self._cached = False
        self._budget: CallBudget | None = None  # of a call that it permitted
        self._differences: list[str] = []
        self._started = time.time()
        self._clock = time.perf_counter()
        self._offset_s = self._clock - recording.began
        recording.open.add(self)

    def look_up(self) -> None:
        """
        Find the recorded answer, or find out why there is none and whether the call may be made.

        Raises:
            CassetteError: The call may not be made.
        """
        place = (self._identity.key, self._recording.log.repeat, self._nth)
        if self._give_other_reply():
            return
        recorded = None if self._live else self._session.calls.get(place)
        if recorded is not None:
            self._offset_s, self.duration_s = recorded.offset_s, recorded.duration_s
            body = with_id(recorded.body, self._identity.message_id) if self._is_mcp else recorded.body
            self.replay = (recorded.content_type, encode_body(body, recorded.content_type))
            self._cached = recorded.cached
            self._close("replayed", recorded.body, read_reply(recorded.body), _OK)
            self._note(recorded.content_type, recorded.body)
        else:
            self._reason = self._live or self._why_missing()
            self._permit()

    def wait(self) -> None:
        """Wait on a thread until the provider's limits let the call out; its clock begins then."""
        if self.turn is not None:
            self.turn.wait()
            self._restart()

    async def wait_async(self) -> None:
        """The same on an event loop."""
        if self.turn is not None:
            await self.turn.wait_async()
            self._restart()

    def goes_now(self) -> bool:
        """Return whether the call need not wait."""
        return self.turn is None or self.turn.go_now()

    def is_refused(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the head of an answer refuses the call for a limit, so that its body decides."""
        return self.turn is not None and self.turn.is_refused(status, headers)

    def goes_again(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether a refused call is to wait and to be sent again; if not, the app gets the refusal."""
        return self.turn is not None and self.turn.goes_again(headers, body)

    def _restart(self) -> None:
        """Begin to count time: what was waited for a limit is none of the provider's answer."""
        self._started, self._clock = time.time(), time.perf_counter()
        self._offset_s = self._clock - self._recording.began - self._recording.log.pauses.total_s()

    def answer(
        self, status: int, content_type: str, content: bytes, *, whole: bool = True, cached: bool = False
    ) -> None:
        """
        Log and keep an answer.

        Args:
            whole: False when the app stopped reading.
            cached: By its headers it came out of a cache.
        """
        if self not in self._recording.open:
            self._leave_line()  # it may have been sent while its case ended
            return
        if _REDIRECTED <= status < _REFUSED:  # the client asks again elsewhere, and that is the call
            self._recording.open.discard(self)
            self._recording.release_number(self._identity.key, self._nth)
            self._leave_line()
            return
        if self._identity.kind in LISTED and _OK <= status < _REDIRECTED:
            status = _OK
        self._cached = cached
        self.duration_s = time.perf_counter() - self._clock
        body, reply, fault = read_answer(status, content_type, content, whole=whole, kind=self._identity.kind)
        if fault:
            if status in _NO_SESSION and self._began_in_replay():
                why = f"is not recorded, and its server (status {status}) knows no session that was replayed"
                self._recording.refuse(self._refusal(why, "Record the case anew with --llm-record all."))
            self.fail(fault, status=status)
            return
        if self._is_mcp:  # clients leave the stream behind their answer unread
            reply = replace(reply, ended=has_answer(body, self._identity.message_id))
        if not reply.ended:
            self._reason += " (the app left the stream unread, so it is not kept)"
        elif not self._live and self._recording.keeps:
            recorded = self._recorded(self._identity.body, content_type, body)
            self._session.made.append((self._clock, recorded))
        self._close("made", body, reply, status)
        if reply.ended:
            self._note(content_type, body)

    def fail(self, error: BaseException | str, *, status: int | None = None) -> None:
        """Log a call that brought no answer; its next attempt is the same call."""
        self._end_without_answer("failed", error, status)

    def _began_in_replay(self) -> bool:
        """The session of this message began with a replayed answer, so its server knows nothing of it."""
        return self._is_mcp and any(
            (call.kind, call.outcome) == (MCP, "replayed")
            and (call.provider, call.path) == (self._identity.provider, self._identity.path)
            and call.request.get("method") == "initialize"
            for call in self._recording.log.calls
        )

    @property
    def _is_mcp(self) -> bool:
        return self._identity.kind == MCP

    def _give_other_reply(self) -> bool:
        """Return whether the app gets a reply that neither a cassette nor a provider gave."""
        recording = self._recording
        if recording.replies is None:
            return False
        log = recording.log
        try:
            reply = recording.replies.replace(log.case, log.repeat, self._identity, self._nth)
        except (CassetteError, StopAppError) as error:
            # Not of the log: an app that goes on has an answer to be judged.
            self._end_without_answer("refused", str(error))
            raise
        if reply is None:
            return False
        content_type, body = reply
        self.replay = (content_type, encode_body(body, content_type))
        self._close("replayed", body, read_reply(body), _OK)
        return True

    def _note(self, content_type: str, body: Any) -> None:
        recording = self._recording
        if recording.replies is not None:
            log = recording.log
            recording.replies.note(log.case, log.repeat, self._identity, self._nth, (content_type, body))

    def _permit(self) -> None:
        """Raise where neither the mode nor the budget allows to make the call."""
        recording = self._recording
        if recording.mode == "none" if self._live else self._session.sealed:
            missing = "is never replayed" if self._live else "is not recorded"
            rule = "--llm-record none makes no calls"
            if recording.mode == "once":
                rule = "--llm-record once adds nothing to a cassette that is there"
            error = self._refusal(f"{missing}, and {rule}")
            recording.refuse(error)
            self._end_without_answer("refused", f"it {missing}, and {rule}: {self._reason}")
            raise error
        if recording.budget is not None and self._identity.kind not in LISTED:
            try:
                recording.budget.permit(self._identity.provider, self._identity.model)
            except CassetteError as error:
                recording.refuse(error)
                self._end_without_answer("refused", str(error))
                raise
            self._budget = recording.budget

    def _end_without_answer(
        self, outcome: CallOutcome, error: BaseException | str, status: int | None = None
    ) -> None:
        if self not in self._recording.open:
            self._leave_line()  # it may have been sent while its case ended
            return
        self.duration_s = time.perf_counter() - self._clock
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}".rstrip(" :")
        if self.turn is not None and self.turn.given_up and status in REFUSALS:
            self._recording.log.limited = self._recording.log.limited or self.turn.given_up
            text = f"{self.turn.given_up}: {text}"
        self._reason = printable(" ".join(self._recording.redaction.shown(text).split()))
        self._recording.release_number(self._identity.key, self._nth)
        self._close(outcome, None, Reply(), status)

    def _recorded(self, request: Any, content_type: str = "", body: Any = None) -> Recorded:
        return Recorded(
            provider=self._identity.provider,
            path=self._identity.path,
            request=request,
            key=self._identity.key,
            repeat=self._recording.log.repeat,
            nth=self._nth,
            offset_s=self._offset_s,
            duration_s=self.duration_s,
            content_type=content_type,
            body=body,
            cached=self._cached,
        )

    def _why_missing(self) -> str:
        session = self._session
        if self._recording.mode == "all":
            return "--llm-record all makes every call again"
        if not session.calls:
            if session.stamp:
                return f"{session.name} holds no call"
            moved = session.describe_moved(self._identity.key) if session.sealed else ""
            return f"there is no {session.name} yet{moved}"
        try:
            wanted = self._recorded(self._recording.redaction.value(self._identity.body))
        except Exception as failure:  # noqa: BLE001  # a redaction is anybody's code
            return f"it is not recorded (redacting it raised {type(failure).__name__})"
        reason, self._differences = explain_miss(wanted, session.calls.values(), session.name)
        return reason

    def _refusal(self, why: str, remedy: str = "") -> CassetteError:
        identity = self._identity
        model = self._shown(identity.model) or "no named model"
        place = place_of(identity.provider, self._shown(identity.path) or "")
        what = (
            f"the request {place}"
            if identity.kind in LISTED
            else f"a {identity.kind} call of {model} at {place}"
        )
        detail = f"{self._reason} {'; '.join(self._differences)}".rstrip()
        if self._live:
            remedy = "Run with --llm-record new, or leave the case out."
        return CassetteError(f"{self._recording.log.case}: {what} {why}: {detail}. {remedy or _RECORD}")

    def _shown(self, text: str | None) -> str | None:
        return text and self._recording.redaction.shown(text)

    def _leave_line(self) -> None:
        if self.turn is not None:
            self.turn.end()

    def _close(self, outcome: CallOutcome, body: Any, reply: Reply, status: int | None) -> None:
        self._recording.open.discard(self)
        self._leave_line()
        identity, log = self._identity, self._recording.log
        call = Call(
            provider=identity.provider,
            path=identity.path,
            kind=identity.kind,
            model=identity.model,
            key=identity.key,
            outcome=outcome,
            model_reported=reply.model,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            status=status,
            request=identity.body,
            repeat=log.repeat,
            nth=self._nth,
            reason=self._reason,
            sent=identity.sent,
            response=body,
            text=reply.text if identity.kind not in WORDLESS else None,
            fingerprint=reply.fingerprint,
            answer_id=reply.id,
            cached=self._cached,
            finish=reply.finish,
            started=self._started,
            offset_s=self._offset_s,
            duration_s=self.duration_s,
            waited_s=time.perf_counter() - self._clock,
        )
        log.calls.append(call)
        if self._budget is not None:
            self._budget.charge(call)
        self._recording.lines.append({
            "kind": identity.kind, "model": self._shown(identity.model), "provider": identity.provider,
            "path": self._shown(identity.path), "key": identity.key, "nth": self._nth, "outcome": outcome,
            "reason": self._reason, "differences": self._differences, "file": self._session.name,
            "duration_s": self.duration_s, "waited_s": call.waited_s,
        })  # fmt: skip


@dataclass(slots=True, eq=False, kw_only=True)
class MetricCalls:
    """Model calls of metrics, such as an encoder's: counted and charged to the budget, but not recorded."""

    mode: RecordMode
    redaction: Redaction
    budget: CallBudget | None = None
    limits: Limits | None = None
    _counts: Counter[CallOutcome] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, identity: Identity, host: str, port: int | None) -> Exchange:
        """
        Begin a call.

        Raises:
            CassetteError: No call may be made at all, or the budget is spent.
        """
        if self.mode == "none":
            raise CassetteError(
                f"record none allows no call, and vectors of {identity.model or identity.provider} are "
                "kept in no cassette but in the cache of .llmops; fill it with --llm-record new"
            )
        nowhere = CassetteSession(path=Path(), calls={}, stamp=None, sealed=False)
        recording = Recording(
            log=CallLog(case="", repeat=0),
            local=nowhere,
            committed=nowhere,
            mode=self.mode,
            redaction=self.redaction,
            late=lambda _: None,
            rules=CallRules(live=True),
            budget=self,
            limits=self.limits,
        )
        return recording.begin(identity, host, port)

    def permit(self, provider: str, model: str | None) -> None:
        if self.budget is not None:
            self.budget.permit(provider, model)

    def charge(self, call: Call) -> None:
        with self._lock:
            self._counts[call.outcome] += 1
        if self.budget is not None:
            self.budget.charge(call)

    def describe(self) -> list[str]:
        """A sentence on the calls, where there were any."""
        made, failed = self._counts["made"], self._counts["failed"]
        return [f"metrics: {count_calls(made, 0, failed)}"] if made or failed else []
