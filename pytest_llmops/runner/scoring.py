"""
Scores in full batches, in this process, under a time limit, or by one service for many processes.

The samples that arrive while a metric is busy are its next batch. So a model sees one text when little is to
do and hundreds when much is, and nothing waits for a timer. A metric that waits on an endpoint gains nothing
by a batch: its requests are made at once, in parallel.
"""

from __future__ import annotations

import math
import pickle
import secrets
import threading
from collections import Counter
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge
from numbers import Real
from queue import Empty, SimpleQueue
from typing import Any

from pytest_llmops.errors import LLMOpsError, describe_error
from pytest_llmops.metrics.custom import FunctionMetric
from pytest_llmops.metrics.declared_metric import fail
from pytest_llmops.metrics.sources import sign_source
from pytest_llmops.printable import counted, with_article
from pytest_llmops.protocols import Metric, ScoreBatch, traits_of
from pytest_llmops.recorder.egress import stand_aside
from pytest_llmops.recorder.threads import start_outside
from pytest_llmops.records import Failure, Sample, Score
from pytest_llmops.statistics.summaries import NOISE

Result = Score | Failure
_Job = tuple[Sequence[Sample], "Future[Sequence[Result]]"]
_MOST_REQUESTS = 64
_MOST_HANGS = 3
_SHARE_OF_FURTHER = 0.1  # what each further sample of a batch adds to its time limit
_PATIENCE_S = 5.0


class Scorer:
    """Collects samples and scores them on one thread, metric by metric; judges in threads of their own."""

    def __init__(self, score_batch: ScoreBatch | None = None, here: ScoreBatch | None = None) -> None:
        """
        Start nothing yet.

        Args:
            score_batch: Scores by metrics that compute; by default `here`.
            here: Scores in this process; by default without a time limit.
        """
        self._here = here or score_here
        self._score_batch = score_batch or self._here
        self._waiting: dict[Hashable, tuple[Metric, list[_Job]]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._requests: SimpleQueue[tuple[Metric, _Job] | None] = SimpleQueue()
        self._threads = 0

    @property
    def is_local(self) -> bool:
        """True where metrics that compute do so in this process."""
        return self._score_batch is self._here

    def submit(self, metric: Metric, samples: Sequence[Sample]) -> Future[Sequence[Result]]:
        """Score soon; the future holds one result a sample, in order, and never an exception."""
        future: Future[Sequence[Result]] = Future()
        with self._changed:
            if traits_of(metric).waits:  # scored in this process, which records its calls and loads no model
                self._requests.put((metric, (samples, future)))
                if self._requests.qsize() and self._threads < _MOST_REQUESTS:  # else an idle thread took it
                    self._threads += 1
                    # Daemons, not a pool: the end of the process waits for no slow judge.
                    start_outside(threading.Thread(target=self._answer, name="llmops-judge", daemon=True))
                return future
            self._waiting.setdefault(_key(metric), (metric, []))[1].append((samples, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._score_batches, name="llmops-scorer", daemon=True)
                start_outside(self._thread)
            self._changed.notify()
        return future

    def close(self) -> None:
        """Take no further samples; those being scored end by themselves."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            for _ in range(self._threads):
                self._requests.put(None)

    def _answer(self) -> None:
        stand_aside()
        while (request := self._requests.get()) is not None and not self._closed:
            metric, job = request
            _score_jobs(self._here, metric, [job])

    def _score_batches(self) -> None:
        stand_aside()
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                metric, jobs = self._waiting.pop(next(iter(self._waiting)))
            _score_jobs(self._score_batch, metric, jobs)


def _score_jobs(score_batch: ScoreBatch, metric: Metric, jobs: Sequence[_Job]) -> None:
    results = iter(score_safely(score_batch, metric, [sample for samples, _ in jobs for sample in samples]))
    for samples, future in jobs:
        scored = [next(results) for _ in samples]
        if future.set_running_or_notify_cancel():  # whoever waited may have been stopped
            future.set_result(scored)


def _key(metric: Metric) -> Hashable:
    """Equal metrics share a batch; one whose options cannot be hashed has its batches to itself."""
    try:
        hash(metric)
    except TypeError:
        return id(metric)
    return (metric,)


def score_here(metric: Metric, batch: Sequence[Sample]) -> Sequence[Result]:
    """Score in this process."""
    return metric.score(batch)


def score_safely(score_batch: ScoreBatch, metric: Metric, batch: Sequence[Sample]) -> list[Result]:
    """
    Return one result a sample whatever happens: an exception or a wrong count becomes a `Failure`.

    A batch that raised is scored again one by one, so that one bad sample costs no other case its score.
    """
    try:
        results = list(score_batch(metric, batch))
        if len(results) != len(batch):
            gave = f"{counted(len(results), 'result')} for {counted(len(batch), 'output')}"
            raise ValueError(f"{metric.name} gave {gave}")  # noqa: TRY301
        return [_checked(metric, sample, result) for sample, result in zip(batch, results, strict=True)]
    except BaseException as error:  # noqa: BLE001 - a metric is anybody's code; even its exit is a result
        if len(batch) > 1 and not isinstance(error, LLMOpsError):
            return [score_safely(score_batch, metric, [sample])[0] for sample in batch]
        reason = str(error) if isinstance(error, LLMOpsError) else describe_error(error)
        return [fail(metric, sample, reason) for sample in batch]


def _checked(metric: Metric, sample: Sample, result: Result) -> Result:
    """Return the result under the metric's name and the sample's repeat; no finite number is a failure."""
    if not isinstance(result, Score | Failure):
        raise TypeError(f"{metric.name} gave {with_article(type(result).__name__)}, not a Score or a Failure")
    if isinstance(result, Score):
        if not isinstance(result.value, Real) or not math.isfinite(result.value):
            error = f"{metric.name} gave {result.value!r}, which is no score"
            return fail(metric, sample, error)
        low, high = metric.range
        if not low - NOISE <= result.value <= high + NOISE:
            error = f"{metric.name} gave {result.value!r}, which is outside its range, {low:g} to {high:g}"
            return fail(metric, sample, error)
        result = sign_source(metric, replace(result, value=float(result.value)))
    return replace(result, metric=metric.name, repeat=sample.output.repeat)


@dataclass(slots=True, eq=False)
class TimeLimit:
    """
    Scores in this process, and gives up a metric of the project's own that does not return.

    A function gets one output at a time, so that the one is known at which it hung; another metric gets its
    batch, and after a limit its samples one by one. A thread cannot be ended: one that hangs is left behind.
    Metrics of this package have no limit: they take long where there is much to do.

    Attributes:
        timeout_s: Time limit of one output, in seconds.
    """

    timeout_s: float
    _hung: Counter[str] = field(default_factory=Counter)

    def __call__(self, metric: Metric, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        by_function = isinstance(metric, FunctionMetric)
        if not by_function and type(metric).__module__.startswith("pytest_llmops."):
            return score_here(metric, batch)
        if not by_function and len(batch) > 1:
            limit_s = self.timeout_s * (1 + _SHARE_OF_FURTHER * len(batch))
            if scored := self._score(metric, [batch], limit_s):
                return scored[0]
        results: list[Result] = []
        while len(results) < len(batch):
            left = batch[len(results) :]
            if self._hung[metric.name] >= _MOST_HANGS:
                error = f"{metric.name} hung {_MOST_HANGS} times (timeout_s), so it is not tried again"
                return [*results, *(fail(metric, sample, error) for sample in left)]
            scored = self._score(metric, [[sample] for sample in left], self.timeout_s)
            results += [result for (result,) in scored]
            if len(results) < len(batch):
                error = f"{metric.name} did not return within {self.timeout_s:g} s (timeout_s)"
                results.append(fail(metric, batch[len(results)], error))
        return results

    def _score(
        self, metric: Metric, batches: Sequence[Sequence[Sample]], limit_s: float
    ) -> list[list[Result]]:
        """Return the results of the batches before the first that takes longer than its limit."""
        done: SimpleQueue[list[Result]] = SimpleQueue()
        given_up = threading.Event()

        def score() -> None:
            stand_aside()
            for batch in batches:
                if given_up.is_set():
                    return
                done.put(score_safely(score_here, metric, batch))

        start_outside(threading.Thread(target=score, name="llmops-metric", daemon=True))
        scored: list[list[Result]] = []
        for _ in batches:
            try:
                scored.append(done.get(timeout=limit_s))
            except Empty:
                given_up.set()
                self._hung[metric.name] += 1
                break
        return scored


class ScoringService:
    """
    Scores for all workers of a session, so that each model is loaded once.

    It runs on threads of the process that holds the session together, and listens until closed on a local
    socket. A worker needs its `address` and `key`.
    """

    def __init__(self, here: ScoreBatch | None = None) -> None:
        self.key = secrets.token_hex(32)
        self._listener = Listener()
        self.address: Any = self._listener.address
        self._scorer = Scorer(here=here)
        self._closing = threading.Event()
        self._accepting = threading.Thread(target=self._accept, name="llmops-service", daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """
        Return when nothing accepts any more, and only then close the socket.

        A thread left in `accept` would go on with the number of the closed socket once a stopped process
        is continued, and take the workers of the next service that got this number.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        with suppress(OSError):  # no descriptor is free
            Client(self.address).close()
        self._accepting.join(_PATIENCE_S)
        self._listener.close()
        self._scorer.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:  # one that left before it was taken, or no descriptor is free
                if self._closing.wait(0.05):
                    return
                continue
            if self._closing.is_set():
                connection.close()
                return
            threading.Thread(
                target=self._serve, args=(connection,), name="llmops-worker", daemon=True
            ).start()

    def _serve(self, connection: Connection) -> None:
        with connection:
            try:
                deliver_challenge(connection, self.key.encode())
                answer_challenge(connection, self.key.encode())
            except Exception:  # noqa: BLE001 - a stranger, whatever it sends, ends no session
                return
            with suppress(OSError, EOFError):  # the worker left
                while True:
                    connection.send_bytes(self._score(connection.recv_bytes()))

    def _score(self, request: bytes) -> bytes:
        """Return the results, pickled; pickled None where the worker has to score for itself."""
        try:
            metric, samples = pickle.loads(request)  # noqa: S301 - from a worker that holds this session's key
            return pickle.dumps(self._scorer.submit(metric, samples).result())
        except Exception:  # noqa: BLE001 - a metric, or evidence, that only lives in the worker
            return pickle.dumps(None)


@dataclass(slots=True)
class RemoteScorer:
    """
    Scores by the session's service; with a metric that only this process knows, by `here`.

    Its one connection is used by the worker's scorer thread only.
    """

    address: Any
    key: str
    here: ScoreBatch = score_here
    _connection: Connection | None = field(default=None, repr=False)

    def __call__(self, metric: Metric, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        try:
            request = pickle.dumps((metric, batch))
        except Exception:  # noqa: BLE001 - whatever cannot be pickled cannot travel
            return self.here(metric, batch)
        try:
            if self._connection is None:
                self._connection = Client(self.address, authkey=self.key.encode())
            self._connection.send_bytes(request)
            answer = self._connection.recv_bytes()
        except (OSError, EOFError):  # the service is gone: the session is ending
            self._connection = None
            raise
        results: Sequence[Score | Failure] | None = pickle.loads(answer)  # noqa: S301 - from the session's service
        return self.here(metric, batch) if results is None else results
