"""Readers of the protocols by which models are called, one a provider."""

from __future__ import annotations

from pytest_llmops.recorder.providers import anthropic, bedrock, cohere, gemini, ollama, openai
from pytest_llmops.recorder.providers.reader import Reader

OTHER = "http"
"""The kind of a request that a golden file lists under `record: {also: …}`."""

MCP = "mcp"
"""The kind of such a request that is a message of the Model Context Protocol."""

LISTED = frozenset({OTHER, MCP})
WORDLESS = frozenset({*LISTED, "embeddings", "images", "audio", "files", "count_tokens"})
"""Kinds of calls whose answers are no text that a model wrote."""

READERS: tuple[Reader, ...] = tuple(
    module.READER for module in (openai, anthropic, gemini, ollama, bedrock, cohere)
)
