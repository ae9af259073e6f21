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
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from pytest_llmops.protocols import Metric, ScoreBatch
from pytest_llmops.records import Failure, Sample, Score
from pytest_llmops.runner.scoring.scorer import Scorer, score_here


class ScoringService:
    """Listens until closed. `address` and `key` are what a worker needs."""

    def __init__(self, here: ScoreBatch | None = None) -> None:
        self.key = secrets.token_hex(32)
        self._listener = Listener(authkey=self.key.encode())
        self._scorer = Scorer(here=here)
        threading.Thread(target=self._accept, name="llmops-service", daemon=True).start()

    @property
    def address(self) -> Any:
        return self._listener.address

    def close(self) -> None:
        self._scorer.close()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError):
                if getattr(self._listener, "_listener", None) is None:
                    return
                continue
            except Exception:  # noqa: BLE001, S112 - a stranger with a wrong key ends no session
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="llmops-service", daemon=True
            ).start()

    def _serve(self, connection: Connection) -> None:
        with connection:
            while True:
                try:
                    request = connection.recv_bytes()
                except (OSError, EOFError):
                    return
                connection.send_bytes(self._score(request))

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
