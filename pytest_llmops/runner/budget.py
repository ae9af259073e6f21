"""
What model calls may cost: looked at before each one is made.

Calls that are under way count with the most that one has cost so far, and those of every process of a
session count together.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock

from pytest_llmops.errors import BudgetError, SettingsError
from pytest_llmops.printable import printable
from pytest_llmops.recorder import Call
from pytest_llmops.records import Failure
from pytest_llmops.runner.prices import cost_usd

_WRITTEN = re.compile(
    r"\s*(?P<usd>[0-9.]+)\s*(?:usd)?\s*\Z|\s*(?P<calls>[0-9]+)\s*calls?\s*\Z", re.IGNORECASE
)


@dataclass(slots=True)
class _Ledger:
    """
    What was spent.

    Attributes:
        calls: Made, answered or not: whoever counts them, counts those that reached a server.
        under_way: Permitted and not yet booked.
        uncounted: A model that answered without its tokens, so that nobody knows what its calls cost.
        closed: A call was refused; none is permitted after it, so that all processes see one end.
    """

    calls: int = 0
    usd: float = 0.0
    under_way: int = 0
    largest_usd: float = 0.0
    uncounted: str = ""
    closed: bool = False


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
        `2.50` is in US dollars, `500 calls` in calls.

        Raises:
            SettingsError: It is neither.
        """
        matched = _WRITTEN.match(written)
        try:
            if matched and matched["calls"]:
                return cls(calls=int(matched["calls"]), prices=prices, file=file)
            if matched and matched["usd"]:
                return cls(usd=float(matched["usd"]), prices=prices, file=file)
        except ValueError:
            pass
        raise SettingsError(
            f"budget must be US dollars such as 2.50, or calls such as 500 calls, not {written!r}"
        )

    def permit(self, provider: str, model: str | None) -> None:
        """
        Reserve a call that is about to be made.

        Raises:
            BudgetError: It is not allowed any more, or nobody knows what it would cost.
        """
        if self.usd is not None and provider != "loopback" and model not in self.prices:
            raise BudgetError(
                f"a budget in US dollars needs the price of {model!r}: add it to prices in "
                "[tool.pytest-llmops], or give the budget in calls"
            )
        with self._open() as ledger:
            permitted = not self._close_if_spent(ledger)
            ledger.under_way += permitted
            used = self._used(ledger)
        if not permitted:
            raise BudgetError(f"{self._refusal()}: {used}")

    def charge(self, call: Call) -> None:
        """Book a call that was permitted, answered or not."""
        with self._open() as ledger:
            ledger.under_way -= 1
            ledger.calls += 1
            if call.outcome == "made" and self.usd is not None:
                cost = cost_usd(call, self.prices)
                if cost is None:
                    ledger.uncounted = call.model or "-"
                    return
                ledger.usd += cost
                ledger.largest_usd = max(ledger.largest_usd, cost)

    @property
    def is_spent(self) -> bool:
        """Whether no further call is permitted; that stays so."""
        with self._open() as ledger:
            return self._close_if_spent(ledger)

    @property
    def is_blind(self) -> bool:
        """Whether nobody knows yet what a call costs: the first one should be alone."""
        with self._open() as ledger:
            return self.usd is not None and not ledger.calls

    def refused(self, failure: Failure) -> bool:
        """Whether a repeat failed since the budget was spent."""
        return failure.stage == "app" and failure.error.startswith(self._refusal())

    def describe(self) -> str:
        """`41 of 500 calls`, `$0.312 of $2.50`."""
        with self._open() as ledger:
            return self._used(ledger)

    def _close_if_spent(self, ledger: _Ledger) -> bool:
        if self.calls is not None:
            full = ledger.calls + ledger.under_way >= self.calls
        else:
            reserved_usd = ledger.under_way * ledger.largest_usd
            full = bool(ledger.uncounted) or ledger.usd + reserved_usd >= (self.usd or 0.0)
        ledger.closed = ledger.closed or full
        return ledger.closed

    def _refusal(self) -> str:
        return f"the budget of {self._told()} is spent"

    def _told(self) -> str:
        return f"{self.calls} calls" if self.calls is not None else f"${self.usd:g}"

    def _used(self, ledger: _Ledger) -> str:
        begun = ledger.calls + ledger.under_way
        spent = f"{begun}" if self.calls is not None else f"${ledger.usd:.4g}"
        unknown = f"; {printable(ledger.uncounted, 60)} does not report its tokens, so give a budget in calls"
        return f"{spent} of {self._told()}{unknown if ledger.uncounted else ''}"

    @contextmanager
    def _open(self) -> Iterator[_Ledger]:
        """The ledger, for this thread and process alone; what is changed is kept."""
        if self.file is None:
            with self._lock:
                yield self._ledger
            return
        with FileLock(self.file.with_suffix(".lock")):
            ledger = _Ledger(**json.loads(self.file.read_text())) if self.file.exists() else _Ledger()
            yield ledger
            draft = self.file.with_suffix(".draft")  # whoever is killed here leaves a whole ledger behind
            draft.write_text(json.dumps(asdict(ledger)))
            draft.replace(self.file)
