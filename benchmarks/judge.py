"""
A thousand judge calls at an endpoint that answers in 200 ms, with and without faults, beside their waits.

One call of five meets the fault, once; the last line's meet one of all kinds for good. The limit is what
the waits alone take: every call's own chain (answer, time limit, pause that was asked for, the request
again) on as many slots as may be used at once, computed without a network. Prints a line for each fault
with wall seconds, the ratio to the limit, and how many ended as what.
Usage: python benchmarks/judge.py [CALLS]
"""

from __future__ import annotations

import heapq
import math
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

sys.path.insert(0, str(Path(__file__).parents[1]))

from pytest_llmops.judges import completion
from pytest_llmops.judges import completion as client
from pytest_llmops.judges.model import JudgeModel
from pytest_llmops.judges.rubric import Judge
from pytest_llmops.records import Output, Sample, Score
from tests.judge_server import FINAL, JudgeServer, graded

LATENCY_S = 0.2
TIMEOUT_S = 1.0
RETRY_AFTER_S = 0.5
CONCURRENCY = 16
ATTEMPTS = 3
SHARE = 5
OWED = ("429", "500", "cut", "slow", "malformed body")
ANSWERS = ("malformed JSON", "truncated", "NaN", "out of range", "wrong language", "empty")
KINDS = (*OWED, *ANSWERS, *FINAL)
LASTING = "all of them, for good"

Chain = list[tuple[float, float]]
"""Of one call: seconds that each request holds a slot, and the pause after it."""


def kind_of(number: int, kind: str) -> str:
    if number % SHARE or kind == "none":
        return ""
    return KINDS[number // SHARE % len(KINDS)] if kind == LASTING else kind


def chain_of(number: int, kind: str) -> Chain:
    """What a call has to wait for, however good the client is."""
    fault, good = kind_of(number, kind), (LATENCY_S, 0.0)
    lasting = kind == LASTING
    if fault in OWED:
        held = TIMEOUT_S if fault == "slow" else LATENCY_S
        times = ATTEMPTS if lasting else 1
        jitter = client.FIRST_PAUSE_S / 4  # on the average
        own = [client.FIRST_PAUSE_S * 2**attempt + jitter for attempt in range(times)]
        pauses = [RETRY_AFTER_S] * times if fault == "429" else own
        broken = [(held, pause) for pause in pauses]
        return [*broken[:-1], (held, 0.0)] if lasting else [*broken, good]
    return [good, good] if fault in ANSWERS else [good]


def limit_s(chains: list[Chain]) -> float:
    """When the last chain ends, if whoever has waited longest gets the next free slot."""
    ready = [(0.0, number, 0) for number in range(len(chains))]
    waiting: deque[tuple[int, int]] = deque()
    free, end = [0.0] * CONCURRENCY, 0.0
    heapq.heapify(ready)
    while ready or waiting:
        now = max(free[0], ready[0][0] if ready and not waiting else 0.0)
        while ready and ready[0][0] <= now:
            waiting.append(heapq.heappop(ready)[1:])
        number, step = waiting.popleft()
        held, pause = chains[number][step]
        done = heapq.heappop(free), now
        heapq.heappush(free, max(done) + held)
        end = max(end, max(done) + held)
        if step + 1 < len(chains[number]):
            heapq.heappush(ready, (max(done) + held + pause, number, step + 1))
    return end


def serve(kind: str) -> None:
    """In a process of its own, until its input ends."""
    seen: Counter[int] = Counter()

    def meet(request: Mapping[str, Any], _number: int) -> str | None:
        number = int(request["messages"][1]["content"].partition("number ")[2].split()[0])
        seen[number] += 1
        return kind_of(number, kind) if seen[number] == 1 or kind == LASTING else None

    server = JudgeServer(
        latency_s=LATENCY_S, retry_after_s=RETRY_AFTER_S, meet=meet, verdict=lambda _: graded(4), slow_s=60.0
    )
    with server:
        print(server.url, flush=True)
        sys.stdin.read()


def measure(kind: str, calls: int) -> None:
    command = [sys.executable, __file__, "--serve", kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        judge = JudgeModel(
            model="small",
            base_url=cast("IO[str]", server.stdout).readline().strip(),
            timeout_s=TIMEOUT_S,
            attempts=ATTEMPTS,
            concurrency=CONCURRENCY,
        )
        metric = Judge(judge=judge, criteria="accuracy")
        samples = [
            Sample(input=f"number {number} ", output=Output(text="60 days")) for number in range(calls)
        ]
        started, spent = time.perf_counter(), time.process_time()
        results = metric.score(samples)
        wall_s, spent_s = time.perf_counter() - started, time.process_time() - spent
        completion.close()
        cast("IO[str]", server.stdin).close()
    ends = Counter("score" if isinstance(result, Score) else "failure" for result in results)
    bad = sum(
        isinstance(result, Score) and not (math.isfinite(result.value) and result.value == 4)
        for result in results
    )
    limit = limit_s([chain_of(number, kind) for number in range(calls)])
    print(
        f"{kind:24} {wall_s:6.2f} s, limit {limit:6.2f} s, ratio {wall_s / limit:.2f}, "
        f"{1000 * spent_s / calls:.1f} ms of CPU a call; {ends['score']} scores, {ends['failure']} failures, "
        f"{bad} wrong numbers, {calls - len(results)} lost",
        flush=True,
    )


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
        return
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    client.require_client()
    for kind in ("none", *KINDS, LASTING):
        measure(kind, calls)


if __name__ == "__main__":
    main()
