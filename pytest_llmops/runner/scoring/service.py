"""
One scoring service for a session of many processes, so that each model is loaded once.

It runs on threads of the process that holds the session together and listens on a local socket whose
key only its workers are given. Batches of all workers meet in one `Scorer`.
"""

from __future__ import annotations

import pickle
import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge
from typing import Any

from pytest_llmops.protocols import Metric, ScoreBatch
from pytest_llmops.records import Failure, Sample, Score
from pytest_llmops.runner.scoring.scorer import Scorer, score_here

_PATIENCE_S = 5.0


class ScoringService:
    """Listens until closed. `address` and `key` are what a worker needs."""

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
            except Exception:  # noqa: BLE001 - a stranger, whatever it says, ends no session
                return
            with suppress(OSError, EOFError):  # the worker left
                while True:
                    connection.send_bytes(self._score(connection.recv_bytes()))

    def _score(self, request: bytes) -> bytes:
        """The results, pickled; pickled None where the worker has to score for itself."""
        try:
            metric, samples = pickle.loads(request)  # noqa: S301 - from a worker that holds this session's key
            return pickle.dumps(self._scorer.submit(metric, samples).result())
        except Exception:  # noqa: BLE001 - a metric, or evidence, that only lives in the worker
            return pickle.dumps(None)


@dataclass(slots=True)
class RemoteScorer:
    """
    Scores by the session's service; with a metric that only this process knows, right here.

    `here` scores in this process. One connection, used by the worker's scorer thread alone.
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
