"""The chat model of a judge, its endpoint, and the limits of its calls."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Annotated, Any
from urllib.parse import urlsplit

from pytest_llmops.documents.reading import (
    positive,
    read_address,
    read_name,
    read_variable,
    reader_of,
    refused_as,
    whole,
)
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.models.chat import model_name
from pytest_llmops.recorder.identity import LOOPBACK, is_loopback

EMBEDDED = "embedded"
"""The packaged model; it runs in the process that calls it."""

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
        api_key_env: The environment variable of the key; an endpoint on this machine needs none.
        timeout_s: Of one attempt, from connecting to the last byte.
        attempts: Limit of requests for one answer, where the endpoint is busy, breaks or is cut off.
        concurrency: Limit of requests at that endpoint at once, in each process.
        logprobs: Request the tokens' probabilities, from which the expected score comes.
        yes_no: Judge by the probability of a yes, as is needed for models too small to weigh and to write
            JSON, the embedded one among them.
        family: `gpt`, `claude` …; read off the name where it is empty.
    """

    model: Annotated[str, read_name]
    base_url: Annotated[str, read_address] | None = None
    api_key_env: Annotated[str, read_variable] = "OPENAI_API_KEY"
    timeout_s: Annotated[float, positive("seconds", 3600)] = 60.0
    attempts: Annotated[int, whole(1, 1000)] = 5
    concurrency: Annotated[int, whole(1, 1000)] = 16
    seed: Annotated[int, whole()] = 0
    logprobs: bool = True
    yes_no: bool = False
    family: Annotated[str, read_name] = ""

    def __post_init__(self) -> None:
        if not self.family:
            object.__setattr__(self, "family", family_of(self.model))

    @property
    def url(self) -> str:
        """The address of the endpoint; that of the embedded model is unknown before its start."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL

    @property
    def identity(self) -> str:
        """Model, host, form and seed, for signatures; a port makes no difference."""
        if self.model == EMBEDDED:
            return f"{model_name()}@{EMBEDDED}#{self.seed}"
        host = urlsplit(self.url).hostname or ""
        way = "/yes_no" if self.yes_no else ""
        return f"{self.model}@{LOOPBACK if is_loopback(host) else host}{way}#{self.seed}"


def family_of(model: str) -> str:
    """The family of a model: a known one anywhere in its name, else the first word of the name."""
    name = model.lower().rpartition("/")[2].removeprefix("ft:")
    matches = [
        (match.start(), family)
        for family, pattern in _FAMILIES.items()
        if (match := re.search(pattern, name))
    ]
    if matches:
        return min(matches)[1]
    word = re.search(r"[a-z]+", name)
    return word[0] if word else name


def read_judge(written: Mapping[str, Any] | str | JudgeModel | None, name: str) -> JudgeModel:
    """
    Read a judge from an option, a golden file or the settings.

    Args:
        written: A mapping of `JudgeModel`'s fields, or only the model's name.
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
    with refused_as(
        MetricOptionError, f"{name}: judge: ", f"; write `{_EXAMPLE}`" * ("model" not in written)
    ):
        judge: JudgeModel = reader_of(JudgeModel)(dict(written))
    refuse_near_miss(judge, name)
    if judge.model == EMBEDDED:  # one slot; waiting for it must not use up the time limit
        return replace(judge, base_url=None, concurrency=1, yes_no=True)
    return judge


def refuse_near_miss(judge: JudgeModel, name: str) -> None:
    """
    Raise MetricOptionError for a judge nearly called `embedded` that would go to the usual endpoint.

    With its own address a judge may have any name.
    """
    if judge.base_url is None and judge.model != EMBEDDED:
        likeness = SequenceMatcher(None, judge.model.lower(), EMBEDDED).ratio()
        if likeness >= _NEAR:
            raise MetricOptionError(
                f"{name}: no judge is named {judge.model!r}. Did you mean {EMBEDDED!r}? A model of that name "
                "at an endpoint needs its base_url"
            )
