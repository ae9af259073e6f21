"""
The number of calls of one model at one host that may be out, and the time from one to the next.

A provider limits calls at once, or calls or tokens in a time, and seldom says which. A refusal tells by what
was let through around it:

- *at once*: others are out. No more than these may be.
- *apart*: even a call by itself is refused, and none was let through closer to another. A gap between calls
  is searched for by halving.
- *in bursts*: closer ones were let through before, so the host counts calls in a time. The pause that it
  names is waited for, then as many follow as were let through at a stretch.

Pauses are often named in whole seconds where a place is free in milliseconds, so that a call now and then is
sent within a pause, unless there are bursts. If it is let through, the pause counts no more.

No clock and no thread here: every method takes the time, in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from pytest_llmops.recorder.limits.quota import Quota

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 30.0
"""Pauses of our own, where a provider names none."""

START = 20.0

_GROWTH = 1.5  # of a pause of our own that was too short
_MANY = 12  # calls let through after a pause of our own that was too long
_PROBES = 3  # within a pause, at equal distances
_MISSED, _MOST_MISSED = 3, 12  # refusals in a row after which a pause counts again
_CLOSE = 1.03  # the shortest gap that is let through, as a share of the longest that is not: near enough
_SLACK = 1.01  # calls take a little more or less to arrive
_SLOW = 3  # times as long as any refusal took: it is none
_LONGER, _SHORTER = 0.04, 0.85
_STRIKES, _HITS, _MISSES, _MOST_DOUBTS = 6, 2, 4, 32
_MOST_BAD_LUCK = 30
_STEADY, _MOST_STEADY = 16, 256  # calls that are let through before a shorter gap is tried
_MOST_WINDOWS = 16
_ALONE = 4


@dataclass(slots=True)
class _Sent:
    """
    A call that is out.

    Attributes:
        since_s: Seconds from the one before that was not refused.
        answered: How many calls had been let through when it was sent.
        among: How many others were out then.
    """

    at: float
    since_s: float
    answered: int
    among: int
    is_probe: bool
    is_let_through: bool = False


@dataclass(slots=True)
class Controller:
    """
    Decides when the next call may be sent.

    Attributes:
        slots: How many calls may be out at once.
        gap_s: Seconds from one call to the next; 0 unless they are to be apart.
        until: The end of the host's pause.
        is_limited: The host refused a call, or named how few it takes.
        refusals: In a row.
    """

    slots: float = START
    gap_s: float = 0.0
    until: float = -math.inf
    is_limited: bool = False
    refusals: int = 0
    kind: Literal["at once", "apart", "in bursts", "at random"] = "at once"
    _out: dict[int, _Sent] = field(default_factory=dict)
    _number: int = 0
    _answered: int = 0
    _last: float = -math.inf  # when a call was sent that was not refused
    _tightest: float = math.inf  # between two that were let through
    _left: float = math.inf  # how many may follow before an answer says more
    # What headers leave.
    _quota_of: int = 0  # the call whose answer had them
    _tokens: float = math.inf
    _cost: float = 0.0  # tokens of a call
    # The pause.
    _pause_s: float = 0.0
    _began: float = -math.inf
    _own_s: float = FIRST_PAUSE_S
    _probed: int = 0
    _answered_before: int = 0
    _refused_s: float = 0.0  # how long the slowest refusal took
    _is_coarse: bool = False
    # At once.
    _refused_at: float = math.inf  # slots that were too many
    _window: int = 0
    _windows: int = 1
    _is_single: bool = False
    # Apart.
    _searched: int = 0  # the last call that was sent before
    _high: float = 0.0
    _low: float = 0.0
    _steady: int = 0
    _patience: int = _STEADY
    _strikes: float = 0.0
    _beside: int = 0
    _beside_at: int = -1
    # At random.
    _bad_luck: int = 0
    # In bursts.
    _burst: int = 0
    _most: float = 1.0
    _hits: float = 0.0  # calls let through within pauses, which bursts do not explain
    _misses: int = 0
    _skip: int = 1
    _doubts: int = 0  # pauses to come in which none is sent

    @property
    def out(self) -> int:
        return len(self._out)

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next call may be sent, infinite where an answer has to come first."""
        if self.out >= self.slots or (self._left < 1 and self.out):
            return math.inf
        at = max(self._last + self.gap_s, now)
        self._look_at_probe(now)
        if now < self.until:
            at = max(at, self._probe_at())
        return at - now

    def _probe_at(self) -> float:
        if (sent := self._probe()) is not None:
            return min(sent.at + _SLOW * self._refused_s, self.until)
        part_s = self._pause_s / (_PROBES + 1)
        match self.kind:
            case "in bursts":
                may, at = not (self._probed or self._doubts), self._began + part_s
            case "apart":
                may, at = self._last > -math.inf, self._last + self.gap_s
            case _:
                is_freed = self._answered > self._answered_before
                may, at = is_freed or self._is_coarse, self._began + self._probed * part_s
        return min(at, self.until) if may and self._probed < _PROBES else self.until

    def _probe(self) -> _Sent | None:
        """Return the call that was sent within the pause, while it is not known what became of it."""
        return next((sent for sent in self._out.values() if sent.at >= self._began and sent.is_probe), None)

    def _look_at_probe(self, now: float) -> None:
        """End the pause if a call within it is not refused in the time that refusals take."""
        if now < self.until and (sent := self._probe()) and now >= sent.at + _SLOW * self._refused_s:
            self._end_pause(now)

    def _end_pause(self, now: float) -> None:
        """End a pause within which a call was let through."""
        self.until, self._is_coarse = now, True
        if self.kind == "in bursts":
            self._hits += 1
            if self._hits >= _HITS:
                self.kind, self._left = "at random", math.inf

    def send(self, now: float) -> int:
        """Count a call as sent, and return its number."""
        self._number += 1
        is_probe = now < self.until
        self._probed += is_probe
        self._out[self._number] = _Sent(now, now - self._last, self._answered, self.out, is_probe)
        self._last = now
        self._left -= 1
        return self._number

    def let_through(self, number: int, now: float, quota: Quota | None = None) -> None:
        """Take the beginning of an answer that is no refusal."""
        sent = self._out.get(number)
        if sent is None or sent.is_let_through:
            return
        sent.is_let_through = True
        self._answered += 1
        self._tightest = min(self._tightest, sent.since_s)
        if sent.at >= self._began:
            self.refusals = 0
            if self.kind != "in bursts":
                self._own_s = FIRST_PAUSE_S
        if sent.is_probe and now < self.until:
            self._end_pause(now)
        match self.kind:
            case "at once":
                self._widen()
            case "apart" if number > self._searched:
                self._shorten(sent)
            case "at random":
                self._bad_luck = max(self._bad_luck - 2, 0)
            case "in bursts":
                self._burst += 1
                self._left = max(self._left + 2, self._most - self._burst)
        self._note_quota(quota, number, now)

    def refused(self, number: int, now: float, pause_s: float | None = None) -> None:
        """
        Take a refusal, whose call is out no more; of one that was out no more before, nothing.

        Args:
            pause_s: Named by the provider.
        """
        sent = self._out.pop(number, None)
        if sent is None:  # its case ended before
            return
        if self._last == sent.at:
            self._last = max((other.at for other in self._out.values()), default=sent.at - sent.since_s)
        self.is_limited = True
        self.refusals += 1
        self._refused_s = max(self._refused_s, now - sent.at)
        around = self.out + self._answered - sent.answered
        if self.kind == "at once" and (sent.at >= self._began or not self._is_coarse):
            self._narrow(sent, around, pause_s)
        elif self.kind == "at random":
            self._bad_luck += 1
            if self._bad_luck >= _MOST_BAD_LUCK:
                self.kind, self._bad_luck = "at once", 0
        elif self.kind == "apart" and number > self._searched:
            self._lengthen(sent, pause_s)
        self._rest(sent, now, pause_s)

    def end(self, number: int) -> None:
        """Count a call as out no more; a second time does nothing."""
        self._out.pop(number, None)

    def _rest(self, sent: _Sent, now: float, pause_s: float | None) -> None:
        """Begin a pause of the host, or go on with it."""
        named_s = self._own_s if pause_s is None else pause_s
        if now < self.until:
            is_longer = now + named_s > self.until and (not sent.is_probe or named_s > self._pause_s)
            if pause_s is not None and is_longer and not self._is_coarse:
                self.until = now + named_s
            if sent.is_probe and self.kind == "in bursts":
                self._misses, self._hits = self._misses + 1, max(self._hits - 0.5, 0.0)
                if self._misses >= _MISSES and not self._hits:
                    self._skip = self._doubts = min(self._skip * 2, _MOST_DOUBTS)
            elif sent.is_probe and self._probed >= _PROBES:
                self._is_coarse = False
            return
        missed = _MOST_MISSED if self.kind == "at random" else _MISSED
        if self.kind != "in bursts" and self._is_coarse and self.refusals < missed:
            return
        passed = self._answered - self._answered_before
        self._begin_pause(now, named_s)
        if pause_s is None and not passed and not self.out:
            self._own_s = min(self._own_s * _GROWTH, LONGEST_PAUSE_S)
        elif passed > _MANY:
            self._own_s = max(self._own_s / _GROWTH, FIRST_PAUSE_S)
        if self.kind == "in bursts":
            self._most = max(self._burst, self._most * 0.5)
            self._left = self._burst + 1
            self._doubts = max(self._doubts - 1, 0)
            self._burst = 0

    def _begin_pause(self, now: float, pause_s: float) -> None:
        self._began, self._pause_s, self.until, self._probed = now, pause_s, now + pause_s, 0
        self._answered_before = self._answered

    def _widen(self) -> None:
        """Allow one more at once: after each answer until the first refusal, then after windows of them."""
        if not self.is_limited:
            self.slots += 1
            return
        self._window += 1
        is_known = self.slots < self._refused_at <= self.slots + 1
        if self._window >= self.slots * (self._windows if is_known else 1):
            if self.slots >= self._refused_at:  # a whole window was let through
                self._refused_at, self._windows = math.inf, 1
            self.slots, self._window = max(self.slots + 1, self.slots * 1.1), 0

    def _narrow(self, sent: _Sent, around: int, pause_s: float | None) -> None:
        self.slots = max(min(self.slots - 1, around), 1.0)
        self._refused_at, self._window = self.slots + 1, 0
        self._windows = min(self._windows * 2, _MOST_WINDOWS)
        if self.slots > 1 or (self._is_single and around):
            return
        self.slots = START
        if sent.since_s > 2 * self._tightest:
            self.kind, self._left = "in bursts", 1.0
        else:
            self.kind = "apart"
            self._searched = self._number
            self._low = 0.0 if math.isinf(sent.since_s) else sent.since_s
            self._high = max(self._low + (FIRST_PAUSE_S if pause_s is None else pause_s), 0.01)
            self._steady = self._beside = 0
            self._set_gap()

    def _shorten(self, sent: _Sent) -> None:
        """Take a gap that was long enough."""
        if sent.among:
            self._beside = 0
        if sent.since_s < self._high:
            self._high = max(sent.since_s, self._low)
            self._set_gap()
        self._steady += 1
        self._strikes = max(self._strikes - 0.25, 0.0)
        if self._steady >= self._patience:
            self._low *= _SHORTER
            self._steady, self._patience = 0, min(self._patience * 2, _MOST_STEADY)
            self._set_gap()

    def _lengthen(self, sent: _Sent, pause_s: float | None) -> None:
        """Take a gap that was too short; where all before it were refused, there was none."""
        if math.isinf(sent.since_s):
            return
        self._steady = 0
        if not sent.among:
            self._beside = 0
        elif self._answered != self._beside_at:
            self._beside, self._beside_at = self._beside + 1, self._answered
        if self._beside >= _ALONE:  # a second one is never let through, however long the gap
            self.kind, self.slots, self.gap_s, self._is_single = "at once", 1.0, 0.0, True
            return
        enough_s = math.inf if pause_s is None else (sent.since_s + pause_s) * _SLACK
        is_near = enough_s <= self._high * _CLOSE  # by the provider's own count
        if sent.since_s > self._high / _CLOSE and not is_near:  # it was long enough before
            self._strikes += 1
            if self._strikes >= _STRIKES:
                self.kind, self.gap_s, self.slots = "at random", 0.0, START
                return
            self._high = max(sent.since_s, 0.001) * (1 + _LONGER * 2**self._strikes)
            self._patience = _STEADY
        self._low = max(self._low, sent.since_s) if sent.since_s < self._high else self._low
        high_s = max(self._high, enough_s) if is_near else min(self._high, enough_s)
        self._high = min(max(high_s, 0.001), LONGEST_PAUSE_S)
        self._low = min(self._low, self._high)
        self._set_gap()

    def _set_gap(self) -> None:
        is_found = self._high <= self._low * _CLOSE
        self.gap_s = self._high if is_found else math.sqrt(max(self._low, self._high / 8) * self._high)

    def _note_quota(self, quota: Quota | None, number: int, now: float) -> None:
        """Take what an answer's headers leave, less the calls that were sent after its own."""
        if quota is None:
            self._left = self._left if self.kind == "in bursts" else math.inf
            return
        if number < self._quota_of:
            return  # an answer that comes late knows less
        used = (self._tokens - quota.tokens) / max(number - self._quota_of, 1)
        if math.isfinite(used) and used > 0:
            self._cost = used if self._cost == 0 else (self._cost + used) / 2
        self._quota_of, self._tokens = number, quota.tokens
        by_tokens = quota.tokens / self._cost if self._cost else math.inf if quota.tokens else 0.0
        self._left = min(quota.calls, by_tokens) - sum(other > number for other in self._out)
        if self._left < 1 and quota.reset_s > 0:
            self.is_limited = True
            if now >= self.until:
                self._begin_pause(now, quota.reset_s)
