"""
The limit on model calls, or their cost, checked before each call; all processes of a session share it.

A budget in calls is never exceeded. One in dollars is exceeded by at most the calls under way when it is
spent, since the price of an answer is unknown before it is there: the first call is made by itself, and no
more are open after it than the money left pays for at the price of the dearest call so far.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.file_lock import hold_lock
from pytest_llmops.errors import BudgetError, SettingsError
from pytest_llmops.printable import counted, printable
from pytest_llmops.recorder import Call
from pytest_llmops.records import Failure
from pytest_llmops.runner.usage import cost_usd, find_price
from pytest_llmops.settings import Settings

_WRITTEN = re.compile(
    r"\s*(?P<usd>[0-9.]+)\s*(?:usd)?\s*\Z|\s*(?P<calls>[0-9]+)\s*calls?\s*\Z", re.IGNORECASE
)
_REFUSED = 400  # an HTTP status from which on nothing is billed
_POLL_S = 0.002


@dataclass(slots=True)
class _Ledger:
    """
    The spending so far.

    Attributes:
        calls: Made, answered or not.
        under_way: Permitted and not yet booked.
        uncounted: A model that answered without its tokens, so that the cost of its calls is unknown.
        ended: A call was refused, or further repeats were given up.
    """

    calls: int = 0
    usd: float = 0.0
    under_way: int = 0
    largest_usd: float = 0.0
    uncounted: str = ""
    ended: bool = False


@dataclass(slots=True, kw_only=True)
class Budget:
    """
    One budget, of dollars or of calls.

    Attributes:
        usd: None when calls are counted; so for `calls`.
        prices: Model to US dollars for a million prompt and completion tokens.
        file: Where several processes keep one ledger; None keeps it in memory.
    """

    usd: float | None = None
    calls: int | None = None
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    file: Path | None = None
    _ledger: _Ledger = field(default_factory=_Ledger)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def read(
        cls, written: str, prices: Mapping[str, tuple[float, float]], file: Path | None = None
    ) -> Budget:
        """
        Read `2.50` as US dollars, `500 calls` as calls.

        Raises:
            SettingsError: It is neither.
        """
        match = _WRITTEN.match(written)
        try:
            if match and match["calls"]:
                return cls(calls=int(match["calls"]), prices=prices, file=file)
            if match and match["usd"]:
                return cls(usd=float(match["usd"]), prices=prices, file=file)
        except ValueError:
            pass
        raise SettingsError(
            f"budget must be US dollars such as 2.50, or calls such as 500 calls, not {written!r}"
        )

    def permit(self, provider: str, model: str | None) -> None:
        """
        Reserve a call that is about to be made.

        Raises:
            BudgetError: It is not allowed any more, or its cost is unknown.
        """
        if self.usd is not None and provider != "loopback" and find_price(self.prices, model) is None:
            raise BudgetError(
                f"a budget in US dollars needs the price of {model!r}: add it to prices in "
                "[tool.pytest-llmops], or give the budget in calls"
            )
        with self._open(change=True) as ledger:
            permitted = not self._is_spent(ledger)
            ledger.under_way += permitted
            ledger.ended = ledger.ended or not permitted
            used = self._used(ledger)
        if not permitted:
            raise BudgetError(f"{self._refusal()}: {used}")

    def charge(self, call: Call) -> None:
        """Book a call that was permitted; one without an answer may be billed, and counts as the dearest."""
        with self._open(change=True) as ledger:
            ledger.under_way -= 1
            ledger.calls += 1
            if self.usd is None or (call.status is not None and call.status >= _REFUSED):
                return
            cost = cost_usd(call, self.prices) if call.outcome == "made" else ledger.largest_usd
            if cost is None:
                ledger.uncounted = call.model or "-"
                return
            ledger.usd += cost
            ledger.largest_usd = max(ledger.largest_usd, cost)

    def may_go_on(self) -> bool:
        """True while further repeats may be run; if not, the summary reports it."""
        with self._open() as ledger:
            if not self._is_spent(ledger):
                return True
        with self._open(change=True) as ledger:
            ledger.ended = True
        return False

    def is_crowded(self, running: int, *, learned: bool) -> bool:
        """
        Return True where another call of the app has to wait for one of those under way to end.

        Args:
            running: Calls of the app that this process has under way.
            learned: One has ended, so that the price of a call may be known.
        """
        if self.usd is None or not running:
            return False
        with self._open() as ledger:
            reserved_usd = (running + 1) * ledger.largest_usd
            return not learned or self.usd - reserved_usd <= ledger.usd < self.usd

    @property
    def ended(self) -> bool:
        """True once it kept anything from being called."""
        with self._open() as ledger:
            return ledger.ended

    def refused(self, failure: Failure) -> bool:
        """True for a repeat that failed since the budget was spent."""
        return failure.stage == "app" and failure.error.startswith(self._refusal())

    def describe(self) -> str:
        """`41 of 500 calls`, `$0.312 of $2.50`."""
        with self._open() as ledger:
            return self._used(ledger)

    def _is_spent(self, ledger: _Ledger) -> bool:
        if self.calls is not None:
            return ledger.calls + ledger.under_way >= self.calls
        return bool(ledger.uncounted) or ledger.usd >= (self.usd or 0.0)

    def _refusal(self) -> str:
        return f"the budget of {self._limit()} is spent"

    def _limit(self) -> str:
        return counted(self.calls, "call") if self.calls is not None else f"${self.usd:g}"

    def _used(self, ledger: _Ledger) -> str:
        begun = ledger.calls + ledger.under_way
        spent = f"{begun}" if self.calls is not None else f"${ledger.usd:.4g}"
        unknown = f"; {printable(ledger.uncounted, 60)} does not report its tokens, so give a budget in calls"
        return f"{spent} of {self._limit()}{unknown if ledger.uncounted else ''}"

    @contextmanager
    def _open(self, *, change: bool = False) -> Iterator[_Ledger]:
        """Open the ledger; where it is to be changed, exclusively, and write it back."""
        if self.file is None:
            with self._lock:
                yield self._ledger
        elif not change:
            yield _read(self.file)
        else:
            with hold_lock(self.file.with_suffix(".lock"), poll_s=_POLL_S):
                ledger = _read(self.file)
                yield ledger
                write_atomically(self.file, json.dumps(asdict(ledger)).encode(), durable=False)


def _read(file: Path) -> _Ledger:
    try:
        return _Ledger(**json.loads(file.read_text()))
    except FileNotFoundError:
        return _Ledger()


def open_budget(settings: Settings, file: Path | None = None) -> Budget | None:
    """Open the budget that the settings name; `file` is shared by the processes of a session."""
    if not settings.budget:
        return None
    budget = Budget.read(settings.budget, settings.prices, file)
    return None if settings.record == "none" else budget  # which makes no call that could cost anything


def describe_budget(budget: Budget | None) -> list[str]:
    """Return a sentence for the summary where a budget ended the run's repeats."""
    if budget is None or not budget.ended:
        return []
    return [f"the budget is spent: {budget.describe()}; verdicts that were open then stay so"]
