"""Every call to a model, traced, over one connection pool."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_app.errors import NOT_LOADED, AppError, CutReplyError, EndpointError
from reference_app.tracing import as_messages, trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from openai import OpenAI

    from reference_app.models.prompt import Prompt
    from reference_app.models.weights import Weights
    from reference_app.settings import Settings

TIMEOUT_S = 600.0  # a request may wait for a core while a whole golden run is ahead of it
SEED = 0
BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """
    The clients and names of both models; may be used from many threads.

    Attributes:
        chat_model: Name in the request; of an embedded model it ends in the fingerprint of its weights.
        search_model: Encodes questions; `embedding_model` where it is empty.
        provider: Who answers, in the words of the conventions for spans.
    """

    chat: OpenAI
    chat_model: str
    embedding: OpenAI
    embedding_model: str
    provider: str
    search_model: str = ""

    def complete(
        self,
        prompt: Prompt,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_tokens: int,
        schema: Mapping[str, Any] | None = None,
    ) -> str:
        """
        The chat model's answer, greedy, so that a question has one answer.

        Args:
            prompt: What the messages were made from; its name, version and digest stand on the span.
            messages: As the chat API takes them.
            max_tokens: Of the answer.
            schema: JSON Schema of the answer. Not in OpenAI's strict mode, which knows no optional arguments,
                so an endpoint may break it; the embedded models cannot.

        Raises:
            openai.OpenAIError: As the client raises it.
            EndpointError: The reply is no completion or empty, or the embedded endpoint cannot be had.
            CutReplyError: It is longer than `max_tokens`.
        """
        with trace(
            f"chat {self.chat_model}",
            call=True,
            gen_ai__operation__name="chat",
            gen_ai__provider__name=self.provider,
            gen_ai__request__model=self.chat_model,
            gen_ai__request__temperature=0.0,
            gen_ai__request__seed=SEED,
            gen_ai__request__max_tokens=max_tokens,
            gen_ai__output__type=None if schema is None else "json",
            gen_ai__input__messages=as_messages(messages),
            gen_ai__prompt__name=prompt.name,
            reference_app__prompt__name=prompt.name,
            reference_app__prompt__version=prompt.version,
            reference_app__prompt__sha256=prompt.sha256,
        ) as step:
            request: dict[str, Any] = {
                "model": self.chat_model,
                "messages": messages,
                "max_tokens": max_tokens,
                "temperature": 0,
                "seed": SEED,
            }
            if schema is not None:
                named = {"name": prompt.name, "schema": schema, "strict": False}
                request["response_format"] = {"type": "json_schema", "json_schema": named}
            with _own_errors():
                reply = self.chat.chat.completions.create(**request)
            choices = getattr(reply, "choices", None)
            if not choices or choices[0].message is None:
                raise EndpointError(f"The reply of {self.chat_model} holds no answer.")
            text, reason = choices[0].message.content or "", choices[0].finish_reason
            message = {"role": "assistant", "parts": [{"type": "text", "content": text}]}
            step.describe(
                {
                    "gen_ai.response.model": reply.model,
                    "gen_ai.output.messages": [{**message, "finish_reason": reason}],
                    "gen_ai.response.finish_reasons": reason and (reason,),
                    "gen_ai.usage.input_tokens": reply.usage and reply.usage.prompt_tokens,
                    "gen_ai.usage.output_tokens": reply.usage and reply.usage.completion_tokens,
                }
            )
            replied = f"The reply of {self.chat_model} to the prompt {prompt.name}"
            if not text.strip():
                raise EndpointError(f"{replied} is empty.")
            if reason == "length":
                raise CutReplyError(f"{replied} is cut at its longest.")
            return str(text)

    def embed_query(self, text: str) -> list[float]:
        """The unit vector of a question, to search passages with; raises as `complete` does."""
        model = self.search_model or self.embedding_model
        request: dict[str, Any] = {"model": model, "input": [text]}
        if model != self.embedding_model:
            request["extra_body"] = {"input_type": "query"}
        with (
            trace(
                f"embeddings {model}",
                call=True,
                gen_ai__operation__name="embeddings",
                gen_ai__provider__name=self.provider,
                gen_ai__request__model=model,
            ) as step,
            _own_errors(),
        ):
            reply = self.embedding.embeddings.create(**request)
            vector: list[float] = reply.data[0].embedding
            step.describe(
                {
                    "gen_ai.response.model": reply.model,
                    "gen_ai.usage.input_tokens": reply.usage and reply.usage.prompt_tokens,
                    "gen_ai.embeddings.dimension.count": len(vector),
                },
            )
            return vector

    def embed_many(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of documents from the environment's endpoint, shape (texts, dimensions)."""
        import numpy as np

        rows: list[list[float]] = []
        with _own_errors():
            for start in range(0, len(texts), BATCH):
                batch = list(texts[start : start + BATCH])
                reply = self.embedding.embeddings.create(model=self.embedding_model, input=batch)
                rows += [item.embedding for item in reply.data]
        return np.array(rows, dtype=np.float32)

    def close(self) -> None:
        """Close the connections of both clients."""
        self.chat.close()
        self.embedding.close()


@contextmanager
def _own_errors() -> Iterator[None]:
    """The client wraps what its transport raises; our own errors say more than its `Connection error`."""
    try:
        yield
    except ValueError as error:
        raise EndpointError("The endpoint sent what is no JSON, or holds no answer.") from error
    except Exception as error:
        if isinstance(error.__cause__, AppError):
            raise error.__cause__ from None
        body = getattr(error, "body", None)
        if isinstance(body, dict) and body.get("code") == NOT_LOADED:
            raise EndpointError(str(body.get("message"))) from None
        raise


def open_models(settings: Settings, weights: Weights | None) -> Models:
    """
    Clients for the environment's endpoint and the embedded one over one connection pool.

    Args:
        settings: Says which of the two answers which kind of call.
        weights: Of the embedded models; None where the environment's endpoint answers everything.
    """
    import httpx2
    from openai import OpenAI

    from reference_app.models.multilingual import load_search_encoder
    from reference_app.models.transport import CHAT, EMBEDDINGS, EmbeddedTransport

    http = httpx2.Client(
        mounts=dict.fromkeys((CHAT, EMBEDDINGS), EmbeddedTransport(weights)) if weights else None,
        timeout=httpx2.Timeout(TIMEOUT_S, connect=10.0),
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100),
        follow_redirects=True,
    )
    chat, embedding = (
        OpenAI(base_url=f"{host}/v1", api_key="embedded", http_client=http) for host in (CHAT, EMBEDDINGS)
    )
    if settings.model is not None:
        remote = OpenAI(base_url=settings.base_url, api_key=settings.api_key or "none", http_client=http)
        chat, embedding = remote, remote if settings.embedding_model else embedding
    own = search = ""
    if weights is not None:
        own = weights.name_profile(settings.profile)
        search = load_search_encoder(weights).name
    return Models(
        chat=chat,
        chat_model=settings.model or own,
        embedding=embedding,
        embedding_model=settings.embedding_model or (weights.encoder_name if weights else ""),
        search_model=settings.embedding_model or search,
        provider="openai" if settings.model else "llama.cpp",
    )
