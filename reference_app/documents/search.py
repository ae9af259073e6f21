"""
Searching the documents by meaning, and a little by words.

A section's score is the mean of two cosines, of the query with the section and with its nearest sentence, and
a little of its BM25, for codes and names. Its weights were chosen on 1,554 questions outside the golden set.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.documents.knowledge import Section, load_knowledge
from reference_app.documents.vectors import load_vectors
from reference_app.documents.words import split_sentences, split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from reference_app.documents.vectors import Encode
    from reference_app.models.client import Models
    from reference_app.models.weights import Weights
    from reference_app.settings import Settings

WORDS = 0.002  # of a BM25 that is rarely above 20
OUTDATED = 0.03  # replaced rules differ from those in force by little more than a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A section and how near it is to the query; higher is nearer."""

    section: Section
    score: float


class Library:
    """All sections with their vectors; may be searched from many threads."""

    def __init__(
        self, sections: Sequence[Section], encode: Encode, embed_query: Callable[[str], Sequence[float]]
    ) -> None:
        """`encode` makes or loads the vectors of texts to be found, `embed_query` makes that of a query."""
        import numpy as np

        self.sections = tuple(sections)
        self._by_id = {section.id: section for section in sections}
        self._embed_query = embed_query
        self._sentences = [(section, text) for section in sections for text in split_sentences(section.text)]
        texts = list_texts(sections)
        self._whole, self._parts = np.split(encode(texts), [len(sections)])
        owners = [section.id for section, _ in self._sentences]
        self._starts = [owners.index(section.id) for section in sections]
        self._outdated = np.array([section.status != "current" for section in sections])
        self._words = count_bm25([split_words(text) for text in texts[: len(sections)]])

    def get(self, section_id: str) -> Section | None:
        """The section of this id; None where there is none."""
        return self._by_id.get(section_id)

    def search(self, queries: Sequence[str], k: int) -> list[Found]:
        """The `k` sections with the best mean score over the queries, best first."""
        import numpy as np

        scores = np.mean([self._score(query) for query in queries], axis=0) - OUTDATED * self._outdated
        best = np.argsort(-scores, kind="stable")[:k]
        return [Found(section=self.sections[place], score=float(scores[place])) for place in best]

    def find_sentences(self, query: str, sections: Sequence[Section], k: int) -> list[tuple[Section, str]]:
        """The `k` sentences of these sections that are nearest to the query, best first."""
        import numpy as np

        likeness = self._parts @ self._encode_query(query)
        places = np.argsort(-likeness, kind="stable")
        return [self._sentences[place] for place in places if self._sentences[place][0] in sections][:k]

    def _score(self, query: str) -> NDArray[np.float32]:
        import numpy as np

        vector = self._encode_query(query)
        nearest = np.maximum.reduceat(self._parts @ vector, self._starts)
        asked = sorted(set(split_words(query)))  # sums of floats depend on their order
        words = np.array([sum(gains.get(word, 0.0) for word in asked) for gains in self._words])
        return np.asarray((self._whole @ vector + nearest) / 2 + WORDS * words)

    def _encode_query(self, query: str) -> NDArray[np.float32]:
        import numpy as np

        vector = np.asarray(self._embed_query(query), dtype=np.float32)
        return np.asarray(vector / np.linalg.norm(vector))


def list_texts(sections: Sequence[Section]) -> list[str]:
    """What is encoded: each section, then each sentence of each, below its title and heading."""
    parts = [(section, text) for section in sections for text in split_sentences(section.text)]
    every = [*((section, section.text) for section in sections), *parts]
    return [f"{section.title}: {section.heading}. {text}" for section, text in every]


def count_bm25(texts: Sequence[Sequence[str]], k1: float = 1.2, b: float = 0.75) -> list[Mapping[str, float]]:
    """
    What each word adds to the BM25 of each text.

    Source: Robertson and Zaragoza (2009), The Probabilistic Relevance Framework, eq. 3.15, with Lucene's idf.
    """
    holders = Counter(word for text in texts for word in set(text))
    idf = {word: math.log1p((len(texts) - n + 0.5) / (n + 0.5)) for word, n in holders.items()}
    mean = sum(map(len, texts)) / len(texts)
    return [
        {
            word: idf[word] * n * (k1 + 1) / (n + k1 * (1 - b + b * len(text) / mean))
            for word, n in Counter(text).items()
        }
        for text in texts
    ]


def open_library(settings: Settings, weights: Weights | None, models: Models) -> Library:
    """
    The documents, searched with the endpoint's encoder where the settings name one, else the embedded one.

    Raises:
        KnowledgeError: A document is missing or broken.
    """
    name, encode = models.search_model or models.embedding_model, models.embed_many
    if settings.embedding_model is None and weights is not None:
        from reference_app.models.multilingual import load_search_encoder

        encoder = load_search_encoder(weights)
        name, encode = encoder.name, encoder.passage

    def vectors_of(texts: Sequence[str]) -> NDArray[np.float32]:
        return load_vectors(texts, encoder=name, encode=encode, folder=settings.cache)

    return Library(load_knowledge(settings.knowledge), vectors_of, models.embed_query)
