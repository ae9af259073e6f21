"""
Encoders by name: `default` is MiniLM in numpy, `openai:MODEL` an endpoint that speaks OpenAI's protocol,
anything else a folder or hub name for sentence-transformers.

An encoder is made without its weights: they are loaded by the first text that no cache can answer.
"""

from __future__ import annotations

from functools import lru_cache

from pytest_llmops.models.encoders.choice import DEFAULT, EncoderChoice, read_encoder
from pytest_llmops.models.encoders.embedded import EmbeddedEncoder
from pytest_llmops.models.encoders.endpoint import EndpointEncoder
from pytest_llmops.models.encoders.hub import HubEncoder

__all__ = [
    "DEFAULT",
    "EmbeddedEncoder",
    "EncoderChoice",
    "NamedEncoder",
    "load_embedded",
    "load_encoder",
    "read_encoder",
]

NamedEncoder = EmbeddedEncoder | EndpointEncoder | HubEncoder


def load_encoder(choice: EncoderChoice | str = DEFAULT) -> NamedEncoder:
    """The process's one encoder of that choice."""
    return _encoder(EncoderChoice(model=choice) if isinstance(choice, str) else choice)


@lru_cache(maxsize=1)
def load_embedded() -> EmbeddedEncoder:
    """The process's one MiniLM."""
    return EmbeddedEncoder()


@lru_cache(maxsize=8)
def _encoder(choice: EncoderChoice) -> NamedEncoder:
    if choice.model == DEFAULT:
        return load_embedded()
    return EndpointEncoder(choice) if choice.is_endpoint else HubEncoder(choice)
