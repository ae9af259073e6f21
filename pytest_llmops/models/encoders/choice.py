"""Which encoder, and how it is asked: the option `encoder` as a record."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.errors import MetricOptionError, hint

DEFAULT = "default"
_ENDPOINT = "openai:"
_PROMPTS = ("prompt", "query_prompt")
_ATTEMPTS_AT_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """
    What `encoder:` says.

    Attributes:
        model: `default`, `openai:MODEL`, a folder or a hub name.
        prompt: Written before each text; None leaves it to what the model is known to need.
        query_prompt: The same for the question, where a question and a text are compared.
        base_url: Of the endpoint; None is what the environment variable OPENAI_BASE_URL says, or OpenAI.
        api_key_env: The environment variable that holds the endpoint's key.
        dimensions: Asked of the endpoint, for models whose vectors can be cut; None takes them whole.
        timeout_s: Time limit of one call to the endpoint.
        attempts: How often a call is made before it counts as failed.
    """

    model: str = DEFAULT
    prompt: str | None = None
    query_prompt: str | None = None
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    dimensions: int | None = None
    timeout_s: float = 60.0
    attempts: int = 5

    @property
    def is_endpoint(self) -> bool:
        return self.model.startswith(_ENDPOINT)

    @property
    def endpoint_model(self) -> str:
        return self.model.removeprefix(_ENDPOINT)


def read_encoder(written: Any, metric: str) -> EncoderChoice:
    """
    The option `encoder` of a metric: a name, or a mapping with `model` and how it is asked.

    Raises:
        MetricOptionError: It is neither, or an entry is unknown, of another encoder, or cannot be.
    """
    if isinstance(written, EncoderChoice):
        return written
    if isinstance(written, str) and written:
        return _checked({"model": written}, metric)
    if not isinstance(written, Mapping) or not written:
        raise MetricOptionError(
            f"{metric}: encoder is 'default', a folder, a Hugging Face name, 'openai:MODEL', "
            f"or a mapping with model: and how it is asked, not {written!r}"
        )
    return _checked(written, metric)


def _checked(written: Mapping[Any, Any], metric: str) -> EncoderChoice:
    known = {each.name: each.default for each in fields(EncoderChoice)}
    for entry, value in written.items():
        if entry not in known:
            takes = f"It takes: {', '.join(known)}."
            raise MetricOptionError(
                f"{metric}: encoder has no entry {entry!r}.{hint(str(entry), known)} {takes}"
            )
        can_be, wanted = _ENTRIES[entry]
        if not can_be(value) and (value is not None or known[entry] is not None):
            shown = "" if entry == "base_url" else f", not {value!r}"  # a password may stand in it
            raise MetricOptionError(f"{metric}: encoder: {entry} is {wanted}{shown}")
    choice = EncoderChoice(**written)
    if choice.is_endpoint:
        if not choice.endpoint_model:
            raise MetricOptionError(
                f"{metric}: encoder {choice.model!r} names no model; write openai:text-embedding-3-small"
            )
        return choice
    alien = [entry for entry, value in asdict(choice).items() if value != known[entry] and entry != "model"]
    if choice.model != DEFAULT:
        alien = [entry for entry in alien if entry not in _PROMPTS]
    if alien:
        why = "it takes no prompt" if alien[0] in _PROMPTS else "only an endpoint, openai:MODEL, has it"
        raise MetricOptionError(f"{metric}: encoder {choice.model!r} has no {alien[0]}: {why}")
    return choice


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_url(value: Any) -> bool:
    """A user or a password in it would end up in a signature."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        return False
    try:
        place = urlsplit(value).netloc
    except ValueError:  # half an IPv6 address
        return False
    return bool(place) and "@" not in place


def _is_whole(value: Any, most: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _is_attempts(value: Any) -> bool:
    return _is_whole(value, _ATTEMPTS_AT_MOST)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


_ENTRIES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "model": (_is_name, "a name"),
    "prompt": (_is_text, "a text"),
    "query_prompt": (_is_text, "a text"),
    "base_url": (_is_url, "a URL without user or password, https://host/v1"),
    "api_key_env": (_is_name, "the name of an environment variable"),
    "dimensions": (_is_whole, "a whole number from 1 on"),
    "timeout_s": (_is_seconds, "a number of seconds above 0"),
    "attempts": (_is_attempts, f"a whole number from 1 to {_ATTEMPTS_AT_MOST}"),
}
