"""The examples on documents: what is indexed, found and quoted, with the real encoder."""

from __future__ import annotations

import asyncio
import importlib
from importlib.util import find_spec

import numpy as np
import pytest
import yaml

from reference_app.variants import documents
from tests.app.shop import ROOT

pytestmark = pytest.mark.usefixtures("weights")
BOOTS = "How long do I have to send boots back?"


def test_sections_have_the_ids_that_golden_files_name():
    ids = [section.id for section in documents.load_sections()]
    assert len(ids) == len(set(ids)) > 250
    for name in ("lightrag", "autorag"):
        golden = yaml.safe_load(
            (ROOT / f"reference_app/variants/{name}/golden.yaml").read_text(encoding="utf-8")
        )
        assert {each for case in golden["cases"] for each in case["relevant"]} <= set(ids)


def test_vectors_are_of_meaning_and_depend_on_no_neighbour():
    first, second, other = documents.embed(
        ["boots may be returned", "shoes can be sent back", "a stove burns gas"]
    )
    assert first @ second > first @ other
    np.testing.assert_allclose(np.linalg.norm(first), 1, atol=1e-5)
    assert documents.embed(["boots may be returned"])[0] @ first > 0.97  # eight bits, rounded by batch


def test_the_graph_relates_sections_to_their_document_and_products():
    from reference_app.variants.lightrag import build_graph

    graph = build_graph()
    related = {(one["src_id"], one["tgt_id"]) for one in graph["relationships"]}
    assert len(graph["chunks"]) == len(documents.load_sections())
    assert ("Returns and exchanges > How long you have", "Returns and exchanges") in related
    assert {one["entity_name"] for one in graph["entities"]} >= {name for pair in related for name in pair}


@pytest.mark.timeout(300)  # libraries are imported, and an index or a trial may be made
@pytest.mark.parametrize(
    ("name", "package"), [("lightrag", "lightrag"), ("raganything", "raganything"), ("autorag", "autorag")]
)
def test_the_library_finds_a_section_and_it_is_quoted(name, package):
    if not find_spec(package):
        pytest.skip(f"{package} is not installed here; `make variant NAME={name}` is its environment")
    variant = importlib.import_module(f"reference_app.variants.{name}")
    found = variant.answer(BOOTS) if name == "autorag" else asyncio.run(variant.answer(BOOTS))
    assert "returns-boots#trying" in [passage["id"] for passage in found["passages"][:3]]
    assert found["text"] == found["passages"][0]["text"]
