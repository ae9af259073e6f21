"""Which chat model judges, at which endpoint and how patiently it is called."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import SequenceMatcher
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.errors import MetricOptionError, hint
from pytest_llmops.models.chat import model_name
from pytest_llmops.recorder.identity import LOOPBACK, is_loopback

EMBEDDED = "embedded"
"""The model that comes as data with this package; it runs in the process that calls it."""

DEFAULT_URL = "https://api.openai.com/v1"

_FAMILIES: Mapping[str, str] = {
    "gpt": r"gpt|davinci|(?<![a-z0-9])o[1-9](?![0-9])",
    "claude": r"claude",
    "gemini": r"gemini",
    "gemma": r"gemma",
    "llama": r"llama(?!-?cpp)",
    "qwen": r"qwen|qwq",
    "mistral": r"mi[sx]tral|ministral|codestral|magistral|devstral",
    "smollm": rf"smollm|^{EMBEDDED}$",
    "deepseek": r"deepseek",
    "command": r"command-?[ar](?![a-z])",
    "phi": r"(?<![a-z])phi-?[0-9]",
    "grok": r"grok",
    "nova": r"(?<![a-z])nova(?![a-z])",
}
_NAME_OF_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NEAR = 0.85
"""As `difflib` measures: one letter of `embedded` wrong, doubled or left out, and not the name of a model."""

_EXAMPLE = "judge: {model: gpt-4o-mini, api_key_env: OPENAI_API_KEY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeModel:
    """
    A chat model behind an endpoint that speaks OpenAI's protocol.

    Attributes:
        model: As the endpoint names it, or `embedded`.
        base_url: None for `$OPENAI_BASE_URL`, else OpenAI's own.
        api_key_env: The environment variable that holds the key; an endpoint on this machine needs none.
        timeout_s: Of one attempt, from connecting to the last byte.
        attempts: Requests at most for one answer that the endpoint owes: it was busy, broke or was cut off.
        concurrency: Requests in work at that endpoint at once, in each process.
        logprobs: Whether to ask for the tokens' probabilities, from which the expected score comes.
        yes_no: Whether it is asked yes or no and judges by the probability of yes, as models must that are
            too small to weigh and to write JSON; so is the embedded one.
        family: Whose model it is, `gpt`, `claude` …; read off the name where it is not given.
    """

    model: str
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    timeout_s: float = 60.0
    attempts: int = 5
    concurrency: int = 16
    seed: int = 0
    logprobs: bool = True
    yes_no: bool = False
    family: str = ""

    def __post_init__(self) -> None:
        if not self.family:
            object.__setattr__(self, "family", family_of(self.model))

    @property
    def url(self) -> str:
        """Where requests go; of the embedded model nothing is known before it is started."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL

    @property
    def identity(self) -> str:
        """The model, who serves it, how it is called and the seed, for signatures; a port says nothing."""
        if self.model == EMBEDDED:
            return f"{model_name()}@{EMBEDDED}#{self.seed}"
        host = urlsplit(self.url).hostname or ""
        way = "/yes_no" if self.yes_no else ""
        return f"{self.model}@{LOOPBACK if is_loopback(host) else host}{way}#{self.seed}"


def family_of(model: str) -> str:
    """Whose model a name speaks of: a known family wherever it stands in the name, else its first word."""
    name = model.lower().rpartition("/")[2].removeprefix("ft:")
    found = [
        (matched.start(), family)
        for family, pattern in _FAMILIES.items()
        if (matched := re.search(pattern, name))
    ]
    if found:
        return min(found)[1]
    word = re.search(r"[a-z]+", name)
    return word[0] if word else name


def read_judge(written: Mapping[str, Any] | str | JudgeModel | None, name: str) -> JudgeModel:
    """
    The judge that an option, a golden file or the settings write.

    Args:
        written: A mapping of `JudgeModel`'s fields, or the model's name alone.
        name: Of the metric, for messages.

    Raises:
        MetricOptionError: There is none, or a field is unknown or cannot be.
    """
    if isinstance(written, JudgeModel):
        return written
    if written is None or written in ({}, ""):
        raise MetricOptionError(
            f"{name}: no judge is named; write `{_EXAMPLE}` or `judge: {EMBEDDED}` in the golden file, or "
            "a table [tool.pytest-llmops.judge]"
        )
    if isinstance(written, str):
        written = {"model": written}
    if not isinstance(written, Mapping):
        raise MetricOptionError(f"{name}: a judge is a model's name or a mapping, such as `{_EXAMPLE}`")
    known = [each.name for each in fields(JudgeModel)]
    for key, value in written.items():
        if key not in known:
            raise MetricOptionError(
                f"{name}: a judge has no {key!r}.{hint(str(key), known)} It takes: {', '.join(known)}."
            )
        if problem := _PROBLEMS[key](value):
            raise MetricOptionError(f"{name}: judge: {key} {problem}")
    if "model" not in written:
        raise MetricOptionError(f"{name}: the judge has no model; write `{_EXAMPLE}`")
    judge = JudgeModel(**written)
    refuse_near_miss(judge, name)
    if judge.model == EMBEDDED:  # one slot; who waits for it must not use up the time limit
        return replace(judge, base_url=None, concurrency=1, yes_no=True)
    return judge


def refuse_near_miss(judge: JudgeModel, name: str) -> None:
    """
    Raises MetricOptionError for a judge nearly called `embedded` that would be asked of an endpoint.

    With an address of its own a judge may have any name.
    """
    if judge.base_url is None and judge.model != EMBEDDED:
        likeness = SequenceMatcher(None, judge.model.lower(), EMBEDDED).ratio()
        if likeness >= _NEAR:
            raise MetricOptionError(
                f"{name}: no judge is named {judge.model!r}. Did you mean {EMBEDDED!r}? A model of that name "
                "at an endpoint needs its base_url"
            )


def _wrong_text(value: Any) -> str:
    return "" if isinstance(value, str) and value.strip() else f"must be text, not {value!r}"


def _wrong_url(value: Any) -> str:
    if value is None:
        return ""
    try:
        parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return "is no address"
    if parts.username or parts.password:  # not shown: it may hold a password
        return "holds a user or password; give the name of a variable with the key as api_key_env"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return f"must be an address such as {DEFAULT_URL}, not {value!r}"
    return ""


def _wrong_variable(value: Any) -> str:
    if isinstance(value, str) and _NAME_OF_VARIABLE.match(value):
        return ""  # what is no name may be the key itself, so it is not shown
    return "is the name of an environment variable that holds the key, such as OPENAI_API_KEY"


def _wrong_seconds(value: Any) -> str:
    fine = type(value) in {int, float} and 0 < value <= 3600  # noqa: PLR2004
    return "" if fine else f"must be seconds above 0 and at most 3600, not {value!r}"


def _wrong_count(value: Any) -> str:
    fine = type(value) is int and 0 < value <= 1000  # noqa: PLR2004
    return "" if fine else f"must be a whole number from 1 to 1000, not {value!r}"


def _wrong_flag(value: Any) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, not {value!r}"


_PROBLEMS = {
    "model": _wrong_text,
    "base_url": _wrong_url,
    "api_key_env": _wrong_variable,
    "timeout_s": _wrong_seconds,
    "attempts": _wrong_count,
    "concurrency": _wrong_count,
    "seed": lambda value: "" if type(value) is int else f"must be a whole number, not {value!r}",
    "logprobs": _wrong_flag,
    "yes_no": _wrong_flag,
    "family": _wrong_text,
}
