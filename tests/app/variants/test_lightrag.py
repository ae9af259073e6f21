"""What of the LightRAG variant needs no LightRAG: its graph as data, its golden file, and its errors."""

from __future__ import annotations

import json
from functools import partial

import pytest
import yaml

from benchmarks.questions.document_cases import LIGHTRAG, list_cases, render
from reference_app.documents.knowledge import Section, load_knowledge
from reference_app.errors import KnowledgeError, SettingsError
from reference_app.settings import read_settings
from reference_app.shop.database import connect, open_shop
from reference_app.variants.lightrag import app, index
from reference_app.variants.lightrag.__main__ import main
from reference_app.variants.lightrag.graph import build_graph
from reference_app.variants.lightrag.index import Characters, Index, LightRAGError, check_package
from reference_app.variants.names import Names
from tests.app.variants.stand_ins import encoders, set_installed

PRODUCTS = {"Skerry 2 tent": "Tents", "Sun hat": "Clothing", "Fellwind Ember stove": "Stoves and cooking"}
SETTINGS = read_settings({})


def section(name="care-tents#dry", **changed):
    document, _, heading = name.partition("#")
    sound = {
        "title": document,
        "heading": heading,
        "text": f"The Skerry 2 is about {heading}.",
        "status": "current",
    }
    return Section(id=name, updated="2026-01-01", **{**sound, **changed})


installed = partial(set_installed, index)


def test_a_chunk_has_the_id_of_its_section():
    graph = build_graph([section(), section("warranty-tents#time")], PRODUCTS)

    chunks = [(chunk["source_id"], chunk["file_path"], chunk["content"]) for chunk in graph["chunks"]]
    assert chunks == [
        ("care-tents#dry", "care-tents#dry", "care-tents: dry. The Skerry 2 is about dry."),
        ("warranty-tents#time", "warranty-tents#time", "warranty-tents: time. The Skerry 2 is about time."),
    ]


def test_products_lead_to_their_category_and_to_what_is_said_about_them():
    graph = build_graph([section(), section("warranty-tents#time")], PRODUCTS)

    linked = {(one["src_id"], one["tgt_id"], one["keywords"]) for one in graph["relationships"]}
    assert {
        ("Skerry 2 tent", "Tents", "category"),
        ("Skerry 2 tent", "care-tents > dry", "care"),
        ("Skerry 2 tent", "warranty-tents > time", "warranty"),
        ("care-tents > dry", "care-tents", "care"),
    } <= linked


def test_the_graph_of_the_shop_is_whole():
    sections = load_knowledge(SETTINGS.knowledge)
    with connect(open_shop(SETTINGS.orders, SETTINGS.cache)) as shop:
        rows = shop.execute("SELECT p.name, c.name FROM products p JOIN categories c USING (category_id)")
        graph = build_graph(sections, dict(rows.fetchall()))

    named = {one["entity_name"] for one in graph["entities"]}
    assert [one["source_id"] for one in graph["chunks"]] == [one.id for one in sections]
    assert {end for one in graph["relationships"] for end in (one["src_id"], one["tgt_id"])} <= named
    assert {"Skerry 2 tent", "Tents", "leather", "Returns and exchanges"} <= named
    assert {one["source_id"] for one in graph["entities"]} <= {one.id for one in sections}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("My ember hisses", ["Fellwind Ember stove"]),
        ("is the SKERRY 2 made of wool?", ["Skerry 2 tent", "wool"]),
        ("two tents in the sun", ["Tents"]),
        ("a Sun hat", ["Sun hat"]),
        ("Where is my order?", []),
    ],
)
def test_names_are_found_by_their_trade_name(text, found):
    assert Names(PRODUCTS, [section(text="Dry it in the sun.")]).find(text) == found


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([], "no section to index"),
        ([section(), section(text="Other.")], "'care-tents#dry' is there twice"),
        ([section(), section(name="care-b#dry", title="care-tents")], "'care-b#dry' is there twice"),
    ],
)
def test_sections_that_lightrag_would_lose_are_refused(sections, message):
    with pytest.raises(KnowledgeError, match=message):
        build_graph(sections, PRODUCTS)


def test_a_token_is_a_character():
    tokens = Characters().encode("Ogród £5 🏕")

    assert len(tokens) == 10
    assert Characters().decode(tokens) == "Ogród £5 🏕"


@pytest.mark.parametrize("found", ["1.5.0", "1.5.7"])
def test_the_version_that_is_needed_is_taken(monkeypatch, found):
    installed(monkeypatch, found)

    assert check_package() == found


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "lightrag-hku is not installed; run `make variant NAME=lightrag`"),
        ("1.4.9", r"lightrag-hku 1\.4\.9 is installed, and 1\.5\.x is needed"),
        ("1.50.0", r"lightrag-hku 1\.50\.0 is installed, and 1\.5\.x is needed"),
        ("2.0.0", r"lightrag-hku 2\.0\.0 is installed, and 1\.5\.x is needed"),
    ],
)
def test_another_package_is_named_before_anything_is_built(monkeypatch, tmp_path, found, message):
    installed(monkeypatch, found)

    with pytest.raises(LightRAGError, match=message):
        Index(build_graph([section()], PRODUCTS), encoders(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_index_of_another_size_names_the_command_that_rebuilds(monkeypatch, tmp_path):
    """A model behind an unchanged name may give other vectors."""
    installed(monkeypatch, "1.5.7")
    monkeypatch.setattr(index, "_wait", lambda work: work.close())
    graph = build_graph([section()], PRODUCTS)
    folder = Index(graph, encoders(), tmp_path).folder
    folder.mkdir()
    folder.joinpath("index.json").write_text(json.dumps({"dimensions": 768, "files": {}}))

    with pytest.raises(
        LightRAGError, match=r"768 dimensions, and ones gives 4; run `.*python -m .* --rebuild`"
    ):
        Index(graph, encoders(), tmp_path)


@pytest.mark.parametrize(("mode", "ranker"), [("fast", "app"), ("mix", "cohere")])
def test_an_unknown_setting_lists_those_that_are_known(monkeypatch, mode, ranker):
    installed(monkeypatch, "1.5.7")

    with pytest.raises(SettingsError, match=r"naive, local, global, hybrid, mix.*app, none"):
        app.LightRAGApp(SETTINGS, mode, ranker, extract=False, rebuild=False)


def test_the_command_says_what_is_missing_in_one_line(monkeypatch, capsys):
    installed(monkeypatch, None)

    assert main(["How long?"]) == 1
    assert capsys.readouterr().err == "lightrag-hku is not installed; run `make variant NAME=lightrag`.\n"


def test_the_golden_file_is_in_accord_with_the_support_set():
    written = LIGHTRAG.path.read_text(encoding="utf-8")

    assert written == render(LIGHTRAG, list_cases(LIGHTRAG))
    cases = yaml.safe_load(written)["cases"]
    assert len(cases) == 43
    assert all(case["relevant"] and case["reference"] for case in cases)
