"""The environment of processes that the app starts, which leads their requests to the proxy."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.features.proxy.certificates import STORES
from pytest_llmops.recorder import egress
from pytest_llmops.recorder.threads import is_inherited, looked_at

BASE = "llmops"
"""The first step of a path that holds a case's token and the address of another host."""

NO_CASE = "0"

# Clients without proxies (aiohttp, Java, Go to this machine) are led by the address of their provider.
_BASE_URLS = (
    "OPENAI_BASE_URL", "OPENAI_API_BASE", "AZURE_OPENAI_ENDPOINT", "ANTHROPIC_BASE_URL",
    "GOOGLE_GEMINI_BASE_URL", "MISTRAL_BASE_URL", "CO_API_URL", "GROQ_BASE_URL", "DEEPSEEK_BASE_URL",
    "TOGETHER_BASE_URL", "OPENROUTER_BASE_URL", "LITELLM_BASE_URL", "OLLAMA_BASE_URL", "LLM_BASE_URL",
)  # fmt: skip
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_PRELOAD = Path(__file__).with_name("preload.cjs")


@dataclass(slots=True, eq=False, kw_only=True)
class Children:
    """
    Gives each process an address by which its requests are known to be its case's.

    Attributes:
        port: Of the proxy.
        certificates: The file of those to trust.
    """

    port: int
    certificates: Path
    _contexts: dict[str, Context] = field(default_factory=dict)
    _tokens: dict[int, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def context_of(self, token: str) -> Context:
        """Return the context in which a process was started; an empty one where no case did."""
        context = self._contexts.get(token)
        return context.copy() if context is not None else Context()

    def prepare(self, _: subprocess.Popen[Any], arguments: dict[str, Any]) -> None:
        """Change the environment of a process that is about to be started."""
        given = arguments.get("env")
        before = os.environ if given is None else given
        if isinstance(before, Mapping):  # else `Popen` refuses it
            named = {os.fsdecode(name): os.fsdecode(value) for name, value in before.items()}
            arguments["env"] = self.environment(named)

    def environment(self, before: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a process that this context starts."""
        token = self._token()
        credentials = "" if token == NO_CASE else f"{token}:x@"
        proxy = f"http://{credentials}127.0.0.1:{self.port}"
        variables = dict(before)
        for name in _PROXIES:
            variables[name] = variables[name.lower()] = proxy
        variables["NO_PROXY"] = variables["no_proxy"] = ",".join(_list_direct(before))
        variables.update(dict.fromkeys(STORES, str(self.certificates)))
        for name in _BASE_URLS:
            if address := self._wrap(token, before.get(name, "")):
                variables[name] = address
        options = [before.get("NODE_OPTIONS", ""), f"--require {json.dumps(str(_PRELOAD))}"]
        variables["NODE_OPTIONS"] = " ".join(filter(None, options))
        return variables

    def _wrap(self, token: str, address: str) -> str:
        """Return the address by which a request for another one comes here; empty if it is none of HTTP."""
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            return ""
        user, at, host = parts.netloc.rpartition("@")
        return f"http://{user}{at}127.0.0.1:{self.port}/{BASE}/{token}/{parts.scheme}/{host}{parts.path}"

    def _token(self) -> str:
        recording = egress.current.get()
        if recording is None or recording.ended:
            return NO_CASE
        with self._lock:
            if (token := self._tokens.get(id(recording))) is None:
                self._forget_ended()
                token = self._tokens[id(recording)] = token_hex(8)
                context = copy_context()
                context.run(is_inherited.set, True)  # noqa: FBT003 - as for threads, see `recorder/threads.py`
                context.run(looked_at.set, "")
                self._contexts[token] = context
            return token

    def _forget_ended(self) -> None:
        """Forget the cases that are over: their processes may serve other cases by now."""
        for number, token in list(self._tokens.items()):
            recording = self._contexts[token].get(egress.current)
            if recording is None or recording.ended:
                del self._tokens[number], self._contexts[token]


def _list_direct(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the hosts that need no proxy by the user's own setting, and that the golden file lists too."""
    recording = egress.current.get()
    for name in (environment.get("NO_PROXY") or environment.get("no_proxy") or "").split(","):
        host = name.strip()
        if recording is not None and host and recording.rules.allows(host, None):
            yield host
