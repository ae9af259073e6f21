"""Embeddings of an endpoint that speaks OpenAI's protocol, through the `openai` client."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_llmops.detect.recognizers.secrets import find_credentials
from pytest_llmops.errors import LLMOpsError, MissingExtraError, describe_error
from pytest_llmops.models.encoders.choice import EncoderChoice
from pytest_llmops.printable import counted, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from openai import OpenAI

_TEXTS = 256  # in one call, and at most so many characters, since endpoints bound a call's tokens too:
_CHARACTERS = 200_000
_REFUSED = (400, 413, 422)  # something in the call cannot be taken; asking again would not help
_KEY_REFUSED = (401, 403)
_PROBE = "text"
_BLANK = " "  # OpenAI refuses a text of no characters
_SAID_AT_MOST = 200


class EncodingError(LLMOpsError):
    """An endpoint gave no vectors, or some that cannot be."""


class RefusedTextsError(EncodingError):
    """
    The endpoint took other texts, but not these.

    Attributes:
        refused: Text to what the endpoint said.
        vectors: Of all texts asked for; the rows of those refused mean nothing.
    """

    def __init__(self, refused: Mapping[str, str], vectors: NDArray[np.float32]) -> None:
        super().__init__(next(iter(refused.values())))
        self.refused = dict(refused)
        self.vectors = vectors


class EndpointEncoder:
    """
    A model behind `POST /embeddings`. The client tries again on 408, 409, 429, 5xx, a cut connection and
    a time limit, with growing pauses, as long as Retry-After asks for where it is given.

    Attributes:
        encoded: Texts that were answered so far.
    """

    def __init__(self, choice: EncoderChoice) -> None:
        self.encoded = 0
        self._choice = choice
        self._working = Lock()

    @property
    def asymmetric(self) -> bool:
        return self._choice.prompt != self._choice.query_prompt

    @property
    def identity(self) -> str:
        """With the address where it is not OpenAI's, without anything secret in it."""
        choice = self._choice
        parts = [choice.model]
        if base_url := self._base_url:
            address = urlsplit(base_url)
            parts.append(f"{address.hostname}:{address.port or ''}{address.path.rstrip('/')}")
        if choice.dimensions:
            parts.append(str(choice.dimensions))
        if choice.prompt or choice.query_prompt:
            parts.append(repr((choice.prompt, choice.query_prompt)))
        return "|".join(parts)

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """
        Raises:
            RefusedTextsError: Some texts were refused; all others were answered.
            EncodingError: There is no key, or no answer, or one that cannot be.
            MissingExtraError: The client is not installed.
        """
        try:
            import numpy as np
            import openai  # noqa: F401
        except ModuleNotFoundError:
            raise MissingExtraError(f"encoder {self._choice.model!r}", "openai") from None
        prompt = (self._choice.query_prompt if query else self._choice.prompt) or ""
        prompted = [f"{prompt}{text}" or _BLANK for text in texts]
        rows: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(texts)
        refused: dict[str, str] = {}
        with self._working, self._connect() as client:  # kept open, it would end as an unclosed socket
            for batch in _batch(prompted):
                for at, answer in self._request(client, batch, prompted):
                    if isinstance(answer, str):
                        refused[texts[at]] = answer
                    else:
                        rows[at] = answer
        width = max((len(row) for row in rows), default=0)
        if any(len(row) not in {0, width} for row in rows):
            raise EncodingError(f"{self._named} gave vectors of unlike length")
        vectors = np.zeros((len(rows), width), dtype=np.float32)
        for at, row in enumerate(rows):
            vectors[at, : len(row)] = row
        if refused:
            raise RefusedTextsError(refused, vectors)
        return vectors

    def _request(
        self, client: OpenAI, batch: list[int], prompted: Sequence[str]
    ) -> Iterator[tuple[int, NDArray[np.float32] | str]]:
        """
        Place of each text with its vector, or with what the endpoint has against it.

        A batch is refused as a whole, so it is halved until the text that it was refused for stands alone.
        """
        from openai import APIStatusError

        try:
            rows = self._call(client, [prompted[at] for at in batch])
        except APIStatusError as error:
            if error.status_code not in _REFUSED:
                raise self._failed(error) from None
            if len(batch) == 1:
                yield batch[0], str(self._failed(error))
                return
            self._probe(client)
        else:
            self.encoded += len(batch)
            yield from zip(batch, rows, strict=True)
            return
        half = len(batch) // 2
        yield from self._request(client, batch[:half], prompted)
        yield from self._request(client, batch[half:], prompted)

    def _probe(self, client: OpenAI) -> None:
        """Raises where the endpoint refuses a plain word too: then it is not for the texts."""
        from openai import APIStatusError

        try:
            self._call(client, [_PROBE])
        except APIStatusError as error:
            raise self._failed(error) from None

    def _call(self, client: OpenAI, texts: list[str]) -> list[NDArray[np.float32]]:
        from openai import APIStatusError, OpenAIError

        options: dict[str, Any] = {"dimensions": self._choice.dimensions} if self._choice.dimensions else {}
        try:
            answer = client.embeddings.create(model=self._choice.endpoint_model, input=texts, **options)
            entries = [(entry.index, entry.embedding) for entry in answer.data]
        except APIStatusError:
            raise
        except OpenAIError as error:
            raise self._failed(error) from None
        except (AttributeError, TypeError, ValueError) as error:  # whatever else stood in the answer
            raise EncodingError(
                f"{self._named} gave no embeddings: {printable(describe_error(error))}"
            ) from None
        return self._read(entries, len(texts))

    def _read(self, entries: Sequence[tuple[Any, Any]], count: int) -> list[NDArray[np.float32]]:
        """Unit vectors in the order of the texts: an answer's order is its `index`, not where it stands."""
        import numpy as np

        if sorted(index for index, _ in entries if isinstance(index, int)) != list(range(count)):
            raise EncodingError(
                f"{self._named} answered {len(entries)} of {counted(count, 'text')}, or not each of them once"
            )
        rows: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * count
        for index, written in entries:
            try:
                row = np.asarray(written, dtype=np.float64)
            except (TypeError, ValueError):
                row = np.empty(0)
            length = float(np.linalg.norm(row)) if row.ndim == 1 and row.size else 0.0
            if not np.isfinite(length) or length == 0:
                raise EncodingError(f"{self._named} gave a vector that is empty, zero or no numbers")
            rows[index] = (row / length).astype(np.float32)
        return rows

    def _connect(self) -> OpenAI:
        from openai import OpenAI

        key = os.environ.get(self._choice.api_key_env)
        if not key and not self._base_url:
            raise EncodingError(
                f"{self._named} needs a key: set the environment variable {self._choice.api_key_env}, "
                "or give base_url: of an endpoint that takes none"
            )
        return OpenAI(
            api_key=key or "none",
            base_url=self._base_url,
            timeout=self._choice.timeout_s,
            max_retries=self._choice.attempts - 1,
        )

    @property
    def _base_url(self) -> str | None:
        return self._choice.base_url or os.environ.get("OPENAI_BASE_URL") or None

    @property
    def _named(self) -> str:
        return f"encoder {self._choice.model!r}"

    def _failed(self, error: Exception) -> EncodingError:
        from openai import APIStatusError

        if isinstance(error, APIStatusError) and error.status_code in _KEY_REFUSED:
            # Some endpoints repeat the key in what they say.
            reason = f"status {error.status_code}: the key in {self._choice.api_key_env} is not accepted"
        elif isinstance(error, APIStatusError):
            said = error.body.get("message") if isinstance(error.body, dict) else None
            reason = f"status {error.status_code}" + (f": {said}" if said else "")
        else:
            reason = str(error) or type(error).__name__
        shown = printable(_masked(reason, self._choice.api_key_env), _SAID_AT_MOST)
        return EncodingError(f"{self._named} failed: {shown}")


def _masked(said: str, variable: str) -> str:
    """Endpoints repeat a wrong key in their complaint, and a report would keep it."""
    if key := os.environ.get(variable):
        said = said.replace(key, f"({variable})")
    for kind, start, end in sorted(find_credentials(said), key=lambda span: -span[1]):
        said = f"{said[:start]}({kind}){said[end:]}"
    return said


def _batch(texts: Sequence[str]) -> Iterator[list[int]]:
    batch: list[int] = []
    size = 0
    for at, text in enumerate(texts):
        if batch and (len(batch) == _TEXTS or size + len(text) > _CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(at)
        size += len(text)
    if batch:
        yield batch
