"""`python -m reference_app.documents` encodes the app's documents anew, after one of them was changed."""

from __future__ import annotations

import sys

from reference_app.documents.knowledge import load_knowledge
from reference_app.documents.search import list_texts
from reference_app.documents.vectors import SHIPPED, digest, load_vectors, write_vectors
from reference_app.models.multilingual import load_search_encoder
from reference_app.models.weights import find_weights
from reference_app.settings import read_settings

settings = read_settings({})
encoder = load_search_encoder(find_weights(settings.weights))
texts = list_texts(load_knowledge(settings.knowledge))
vectors = load_vectors(texts, encoder=encoder.name, encode=encoder.passage, folder=settings.cache)
write_vectors(SHIPPED, {digest(encoder.name, text): row for text, row in zip(texts, vectors, strict=True)})
sys.stdout.write(f"{SHIPPED}: {len(texts)} vectors\n")
