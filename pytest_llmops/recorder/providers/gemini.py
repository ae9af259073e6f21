"""Google's Gemini, by its own API and by Vertex AI."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmops.recorder.providers.reader import (
    JSONObject,
    Reader,
    ToolPiece,
    count,
    first,
    joined,
    mapping,
    mappings,
    string,
    tool_piece,
)


def _parts(body: JSONObject) -> list[JSONObject]:
    return mappings(mapping(first(body.get("candidates")).get("content")).get("parts"))


def _text(body: JSONObject) -> str | None:
    return joined(part.get("text") for part in _parts(body) if not part.get("thought"))


def _counts(part: JSONObject) -> tuple[int | None, int | None] | None:
    usage = mapping(part.get("usageMetadata"))
    if not usage:
        return None
    written = count(usage, "candidatesTokenCount")
    thought = count(usage, "thoughtsTokenCount")
    return count(usage, "promptTokenCount"), written if thought is None else (written or 0) + thought


def _tools(part: JSONObject) -> Iterator[ToolPiece]:
    for number, one in enumerate(_parts(part)):
        if call := mapping(one.get("functionCall")):
            yield tool_piece(("gemini", number), call.get("name"), mapping(call.get("args")))


READER = Reader(
    paths={
        "generate_content": ":(?:streamG|g)enerateContent",
        "embeddings": ":(?:embedContent|batchEmbedContents|asyncBatchEmbedContent)",
        "count_tokens": ":countTokens",
        "predict": ":(?:predict|predictLongRunning)",
    },
    text=_text,
    piece=_text,
    ends=lambda event: first(event.get("candidates")).get("finishReason") is not None,
    counts=_counts,
    model=lambda part: string(part.get("modelVersion")),
    answer_id=lambda part: string(part.get("responseId")),
    tools=_tools,
)
