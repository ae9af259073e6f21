"""The vectors that come with the app are of its documents as they are."""

from __future__ import annotations

import numpy as np
import pytest

from reference_app.documents.encoders import open_encoders
from reference_app.documents.index import SHIPPED, digest, read_shipped
from reference_app.documents.knowledge import load_asked, load_knowledge
from reference_app.documents.search import Library
from reference_app.models.client import open_models
from reference_app.models.prompt import load_prompt
from reference_app.settings import read_settings

SETTINGS = read_settings({})


class Texts:
    """Takes the place of an encoder and keeps what it was asked for."""

    def __init__(self, kind):
        self.kind, self.texts, self.matrix = kind, [], np.zeros((0, 2), dtype=np.float32)

    def __call__(self, texts):
        self.texts += texts
        self.matrix = np.zeros((len(texts), 2), dtype=np.float32)
        return self


@pytest.fixture(scope="module")
def wanted():
    passages, questions = Texts("passage"), Texts("query")
    Library(load_knowledge(SETTINGS.knowledge), load_asked(SETTINGS.knowledge), passages, questions)
    return [(one.kind, text) for one in (passages, questions) for text in one.texts]


@pytest.fixture(scope="module")
def encoders(weights):
    models = open_models(SETTINGS, weights)
    yield open_encoders(SETTINGS, weights, models)
    models.close()


def test_every_text_of_the_documents_has_its_vector(wanted, encoders):
    """If this fails: `python -m reference_app.documents`."""
    shipped = read_shipped(SHIPPED)
    digests = {digest(text, f"{encoders.name} {kind}"): text for kind, text in wanted}

    assert [text for each, text in digests.items() if each not in shipped] == []
    assert set(shipped) <= set(digests)  # and none is of a text that is gone
    assert len(digests) > 1000


def test_the_prompts_have_examples_besides():
    assert load_prompt(SETTINGS.prompts, "planner").examples


@pytest.mark.live
def test_a_sample_equals_what_is_encoded_now(wanted, encoders):
    shipped = read_shipped(SHIPPED)
    for kind, text in wanted[:: len(wanted) // 5][:5]:
        encode = encoders.encode if kind == "passage" else encoders.ask
        (fresh,) = encode([text])
        assert np.allclose(shipped[digest(text, f"{encoders.name} {kind}")], fresh, atol=1e-2)
