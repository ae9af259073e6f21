"""One embedded endpoint for all processes of a user: the first starts it, the others find it."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.errors import EndpointError
from reference_app.models.weights import PINNED

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from reference_app.models.endpoint import Endpoint
    from reference_app.models.weights import Weights

FIND_S, HEALTH_S, POLL_S = 60.0, 5.0, 0.05


class Meeting:
    """
    Where processes with the same user and weights meet: a folder with a lock and, beside it, the address.

    The owner of the endpoint holds the lock for as long as it lives; the system frees it when the owner
    dies, however that happens, and the next process that finds nobody answering takes over.
    """

    def __init__(self, weights: Weights) -> None:
        names = (weights.chat_name, weights.encoder_name, weights.tuned_name, weights.search_name)
        pinned = tuple(pinned.name for pinned in PINNED.values())
        identity = json.dumps([str(weights.folder.resolve()), str(weights.adapter), *names, *pinned])
        self._weights = weights
        self._name = hashlib.sha256(identity.encode()).hexdigest()[:16]
        self._inside = threading.Lock()
        self._address: str | None = None
        self._endpoint: Endpoint | None = None
        self._lock: BaseFileLock | None = None
        self._path: Path | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def address(self, *, failed: str | None = None) -> str:
        """
        The URL of an endpoint that answers, started here where no process has one.

        Args:
            failed: A URL that has just broken; it is not believed again before it proves itself.

        Raises:
            EndpointError: None could be found or started within a minute.
        """
        with self._inside:
            if self._address is None or self._address == failed:
                self._address = self._find() if self._endpoint is None else self._endpoint.url
            return self._address

    def close(self) -> None:
        """Stop the endpoint, if it is ours, and leave the place to others; done at the end of the process."""
        endpoint, self._endpoint, self._address = self._endpoint, None, None
        if endpoint is None or self._path is None or self._lock is None:
            return
        atexit.unregister(self._end)
        self._path.unlink(missing_ok=True)
        endpoint.close()
        self._lock.release()

    def _find(self) -> str:
        from filelock import FileLock, Timeout

        folder = _private_folder() / self._name
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            lock = FileLock(folder / "lock", thread_local=False)
            deadline = time.monotonic() + FIND_S
            while time.monotonic() < deadline:
                if (url := _read_address(folder / "endpoint.json")) is not None:
                    return url
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    time.sleep(POLL_S)  # its owner is starting or ending
                    continue
                self._lock = lock
                return self._start(folder / "endpoint.json")
        except OSError as error:
            raise EndpointError(f"The embedded model cannot be served: {error}.") from error
        raise EndpointError(
            f"The process that serves the embedded model does not answer; it holds {folder / 'lock'}. "
            "End that process, or set OPENAI_BASE_URL to use another endpoint."
        )

    def _start(self, path: Path) -> str:
        from reference_app.models.endpoint import Endpoint
        from reference_app.whole_file import replacing

        token = secrets.token_hex(16)
        self._endpoint, self._path = Endpoint(self._weights, token), path
        atexit.register(self._end)
        url = self._endpoint.url
        with replacing(path) as part:
            part.write_text(json.dumps({"url": url, "token": token}), encoding="utf-8")
        sys.stderr.write(f"reference_app: serving the embedded models on {url} (see OPENAI_BASE_URL)\n")
        return url

    def _end(self) -> None:
        with suppress(ValueError):  # atexit can run outside the main thread of an embedded interpreter
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave engines in mid-answer
        self.close()

    def _forget(self) -> None:
        """A forked child has none of the threads that serve, so it asks its parent as a stranger would."""
        self._inside, self._endpoint, self._lock = threading.Lock(), None, None


def _private_folder() -> Path:
    """A folder that only this user can read, under the system's place for such."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    candidates = [Path(runtime) / "reference-app"] if runtime else []
    candidates.append(Path(tempfile.gettempdir()) / f"reference-app-{user}")
    for folder in candidates:
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
            if not hasattr(os, "getuid") or (status.st_uid == user and not status.st_mode & 0o077):
                return folder
    raise EndpointError(f"None of {', '.join(map(str, candidates))} is a folder that only you can read.")


def _read_address(path: Path) -> str | None:
    """The URL in the file, if who listens there knows the token beside it."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        url, token = str(data["url"]), str(data["token"])
        line = HTTPConnection(url.rpartition("//")[2], timeout=HEALTH_S)
        try:
            line.request("GET", "/health")
            answer = json.loads(line.getresponse().read(4096))
        finally:
            line.close()
    except (OSError, ValueError, LookupError, TypeError, HTTPException):
        return None
    return url if isinstance(answer, dict) and answer.get("token") == token else None
