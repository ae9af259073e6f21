"""Models of sentence-transformers, by folder or hub name, with the prompts that they were trained with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from pytest_llmops.errors import MissingExtraError, WeightsError
from pytest_llmops.models.encoders.choice import EncoderChoice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 32
_READ_AT_ONCE = 1 << 20

# How a model's name begins → (prompt of a text, prompt of a question), as its card gives them. These models
# keep none in their files. BGE wants one before a question that is compared with passages, and only there.
_BGE_ENGLISH = ("", "Represent this sentence for searching relevant passages: ")
_BGE_CHINESE = ("", "为这个句子生成表示以用于检索相关文章：")  # noqa: RUF001  as the card has it
_INSTRUCTOR = (
    "Represent the sentence for measuring similarity: ",
    "Represent the question for retrieving supporting documents: ",
)
_PROMPTS = {
    **{f"bge-{size}-en": _BGE_ENGLISH for size in ("small", "base", "large")},
    **{f"bge-{size}-zh": _BGE_CHINESE for size in ("small", "base", "large")},
    "instructor-": _INSTRUCTOR,
}


class HubEncoder:
    """
    Any model that sentence-transformers can load.

    A prompt is the one of `encoder:`, else the one in the model's own files, else the one that its card
    asks for where we know it.

    Attributes:
        encoded: Texts that went through the network so far.
    """

    asymmetric = True

    def __init__(self, choice: EncoderChoice) -> None:
        self.encoded = 0
        self._name = choice.model
        self._given = (choice.prompt, choice.query_prompt)
        self._loading = Lock()

    @cached_property
    def identity(self) -> str:
        prompts = (*self._given, find_prompts(self._name))
        if prompts == (None, None, None):
            return identify_model(self._name)
        return f"{identify_model(self._name)}-p{hashlib.sha256(repr(prompts).encode()).hexdigest()[:8]}"

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        with self._loading:
            network = self._network
        vectors: NDArray[np.float32] = network.encode(
            list(texts),
            prompt=self._prompt(network, query=query),
            batch_size=_BATCH,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        self.encoded += len(texts)
        return vectors

    def _prompt(self, network: Any, *, query: bool) -> str | None:
        """None leaves it to the model's own default."""
        if (given := self._given[query]) is not None:
            return given
        if query and (own := (getattr(network, "prompts", None) or {}).get("query")):
            return str(own)
        known = find_prompts(self._name)
        return known[query] if known else None

    @cached_property
    def _network(self) -> Any:
        return load_model("SentenceTransformer", f"encoder {self._name!r}", self._name)


def find_prompts(name: str) -> tuple[str, str] | None:
    """The prompts of a text and of a question that the card of a model of that name asks for."""
    own = name.rstrip("/\\").replace("\\", "/").rpartition("/")[2].lower()
    return next((prompts for start, prompts in _PROMPTS.items() if own.startswith(start)), None)


def identify_model(name: str) -> str:
    """A folder is known by its files' content. A hub name is trusted to mean one model for good."""
    folder = Path(name)
    return _digest(folder.resolve()) if folder.is_dir() else f"sentence-transformers/{name}"


def load_model(kind: str, part: str, name: str) -> Any:
    """
    The model that a class of sentence-transformers makes of that folder or hub name.

    Raises:
        WeightsError, MissingExtraError: It cannot be loaded; both say of what part.
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
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(_READ_AT_ONCE):
                digest.update(chunk)
    return f"{folder.name}-{digest.hexdigest()[:12]}"
