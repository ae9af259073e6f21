"""Which encoder makes vectors of questions and passages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.documents.index import Store

if TYPE_CHECKING:
    from reference_app.documents.index import Encode, Vectors
    from reference_app.models.client import Models
    from reference_app.models.weights import Weights
    from reference_app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoders:
    """
    Attributes:
        name: Of the encoder and its weights.
        encode: Makes vectors of texts to be found, now.
        ask: The same of questions.
        store: Keeps those of texts that stay.
    """

    name: str
    encode: Encode
    ask: Encode
    store: Store

    def of_passages(self, texts: list[str]) -> Vectors:
        """Vectors of texts to be found, made once."""
        return self.store.open(texts, encoder=f"{self.name} passage", encode=self.encode)

    def of_questions(self, texts: list[str]) -> Vectors:
        """Vectors of questions, made once."""
        return self.store.open(texts, encoder=f"{self.name} query", encode=self.ask)


def open_encoders(settings: Settings, weights: Weights | None, models: Models) -> Encoders:
    """The endpoint's encoder where the settings name one, else the embedded one."""
    store = Store(folder=settings.cache)
    if settings.embedding_model is not None or weights is None:
        return Encoders(
            name=models.search_model or models.embedding_model,
            encode=models.embed_many,
            ask=models.embed_many,
            store=store,
        )
    from reference_app.models.multilingual import load_search_encoder

    encoder = load_search_encoder(weights)
    return Encoders(name=encoder.name, encode=encoder.passage, ask=encoder.query, store=store)
