"""Which encoder, and how it is asked: the option `encoder` as a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

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

DEFAULT = "default"
_ENDPOINT = "openai:"
_PROMPTS = ("prompt", "query_prompt")


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

    model: Annotated[str, read_name] = DEFAULT
    prompt: str | None = None
    query_prompt: str | None = None
    base_url: Annotated[str, read_address] | None = None
    api_key_env: Annotated[str, read_variable] = "OPENAI_API_KEY"
    dimensions: Annotated[int, whole(1)] | None = None
    timeout_s: Annotated[float, positive("seconds")] = 60.0
    attempts: Annotated[int, whole(1, 20)] = 5

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
        written = {"model": written}
    if not isinstance(written, Mapping) or not written:
        raise MetricOptionError(
            f"{metric}: encoder is 'default', a folder, a Hugging Face name, 'openai:MODEL', "
            f"or a mapping with model: and how it is asked, not {written!r}"
        )
    with refused_as(MetricOptionError, f"{metric}: encoder: "):
        choice: EncoderChoice = reader_of(EncoderChoice)(dict(written))
    if choice.is_endpoint:
        if not choice.endpoint_model:
            raise MetricOptionError(
                f"{metric}: encoder {choice.model!r} names no model; write openai:text-embedding-3-small"
            )
        return choice
    usual = asdict(EncoderChoice(model=choice.model))
    alien = [entry for entry, value in asdict(choice).items() if value != usual[entry]]
    if choice.model != DEFAULT:
        alien = [entry for entry in alien if entry not in _PROMPTS]
    if alien:
        why = "it takes no prompt" if alien[0] in _PROMPTS else "only an endpoint, openai:MODEL, has it"
        raise MetricOptionError(f"{metric}: encoder {choice.model!r} has no {alien[0]}: {why}")
    return choice
