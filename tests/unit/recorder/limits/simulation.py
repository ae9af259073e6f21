"""Providers and a run of calls in a time that only this module counts."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_llmops.recorder.limits.controller import START, Controller
from pytest_llmops.recorder.limits.quota import Quota


def named(wait_s: float) -> float | None:
    return float(math.ceil(wait_s))


def exact(wait_s: float) -> float | None:
    return wait_s


def unsaid(_: float) -> float | None:
    return None


Says = Callable[[float], float | None]


class Provider:
    """Lets everything through."""

    def refuse_s(self, _: float) -> float | None:
        """Return the seconds until a call would be let through, or None where this one is."""
        return None

    def end(self) -> None:
        """A call is over."""

    def quota(self, _: float) -> Quota | None:
        """Return what the headers of an answer leave."""
        return None


@dataclass
class AtOnce(Provider):
    most: int
    then: int = 0
    after: int = -1
    out: int = 0

    def refuse_s(self, _: float) -> float | None:
        if self.out >= self.most:
            return 1.0
        self.out += 1
        return None

    def end(self) -> None:
        self.out -= 1
        self.after -= 1
        if self.after == 0:
            self.most = self.then


@dataclass
class Apart(Provider):
    gap_s: float
    next: float = 0.0

    def refuse_s(self, now: float) -> float | None:
        if now < self.next:
            return self.next - now
        self.next = now + self.gap_s
        return None


@dataclass
class Bucket(Provider):
    size: float
    per_s: float
    headers: bool = False
    at: float = 0.0

    def __post_init__(self) -> None:
        self.left = self.size

    def _fill(self, now: float) -> None:
        self.left, self.at = min(self.size, self.left + (now - self.at) * self.per_s), now

    def refuse_s(self, now: float) -> float | None:
        self._fill(now)
        if self.left < 1:
            return (1 - self.left) / self.per_s
        self.left -= 1
        return None

    def quota(self, now: float) -> Quota | None:
        self._fill(now)
        return (
            Quota(calls=math.floor(self.left), reset_s=(self.size - self.left) / self.per_s)
            if self.headers
            else None
        )


@dataclass
class Window(Provider):
    most: int
    length_s: float
    number: int = -1
    used: int = 0

    def refuse_s(self, now: float) -> float | None:
        if (number := int(now // self.length_s)) != self.number:
            self.number, self.used = number, 0
        if self.used < self.most:
            self.used += 1
            return None
        return (number + 1) * self.length_s - now


class Half(Provider):
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - no secret

    def refuse_s(self, _: float) -> float | None:
        return 1.0 if self.chance.random() < 0.5 else None


@dataclass
class Run:
    """Seconds until the last answer, and how many calls were refused."""

    took_s: float
    refused: int


def run(  # noqa: C901, PLR0913 - one loop of events, and what it depends on
    provider: Provider, *, calls: int = 200, latency_s: float = 0.5, says: Says = named, seed: int = 0,
    start: float = START, transit_s: float = 0.003,
) -> Run:  # fmt: skip
    """Send calls through a controller until all are answered."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    controller = Controller(slots=start)
    now, waiting, answered, refused, order = 0.0, calls, 0, 0, 0
    events: list[tuple[float, int, str, Any]] = []

    def add(after_s: float, what: str, value: Any = None) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (now + after_s, order, what, value))

    def send() -> None:
        nonlocal waiting
        while waiting:
            if (wait_s := controller.wait_s(now)) > 1e-9:
                if wait_s < math.inf:
                    add(wait_s, "time")
                return
            add(transit_s * chance.uniform(0.5, 1.5), "asked", controller.send(now))
            waiting -= 1

    send()
    while answered < calls:
        assert events, f"nothing will happen any more: {controller}"
        now, _, what, value = heapq.heappop(events)
        assert now < 3_600, f"it takes an hour: {controller}"
        if what == "asked":
            refuse_s = provider.refuse_s(now)
            if refuse_s is None:
                add(latency_s * chance.uniform(0.9, 1.1), "answered", value)
            else:
                add(transit_s * chance.uniform(0.5, 1.0), "refused", (value, says(refuse_s)))
        elif what == "refused":
            number, pause_s = value
            controller.refused(number, now, pause_s)
            refused, waiting = refused + 1, waiting + 1
        elif what == "answered":
            provider.end()
            controller.let_through(value, now, provider.quota(now))
            controller.end(value)
            answered += 1
        send()
    return Run(now, refused)
