from __future__ import annotations

import re
import time

import pytest

from reference_app.settings import HERE

# Passages of help documents, as they stand there, with the products they are about.
PASSAGES = (
    ("review-skerry-2", "The Skerry 2 gets 4.5 of 5 points", {"Skerry 2 tent"}),
    ("review-skerry-2", "The Skerry 2 tent weighs 2.1 kg", {"Skerry 2 tent"}),
    ("lumen-headlamp", "The red light of the Lumen headlamp is switched on", {"Lumen headlamp"}),
    ("review-tarn-4", "The Tarn 4 gets 4.2 of 5 points from 148 customers.", {"Tarn 4 family tent"}),
    ("care-tents", "The footprint of the Skerry 2 weighs 240 g", {"Skerry 2 tent", "Footprint for Skerry 2"}),
    ("rill-filter", "A Rill water filter that has frozen", {"Rill water filter"}),
    ("review-moorland-mid", "The Moorland Mid gets 4.6 of", {"Moorland Mid boots"}),
    ("ember-error-codes", "Error EM-01 on the Ember stove", {"Fellwind Ember stove"}),
    ("warranty-tents", "A tent pole that broke in normal use is replaced free of charge", set()),
    ("returns-boots", "Boots can be worn indoors on carpet", set()),
    ("delivery-problems", "We do not wait for the carrier's search to end.", set()),
    ("care-down", "Wash down jackets and down sleeping bags at 30 degrees", set()),
    ("rewaterproofing", "Our stores re-waterproof a jacket for £16", set()),
)


@pytest.mark.parametrize(("document", "text", "names"), PASSAGES)
def test_a_passage_names_the_products_that_it_is_about(sql_agent, document, text, names):
    source = (HERE / "knowledge" / f"{document}.md").read_text(encoding="utf-8")

    assert text in " ".join(source.split())
    assert set(sql_agent.find_names(text).products) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Lumen headlamps", ("Lumen headlamp",)),
        ("the Lumen Mini headlamp", ("Lumen Mini headlamp",)),
        ("Drift sleeping mats", ("Drift sleeping mat",)),
        ("Skerry tents", ()),
        ("footprints", ()),
        ("the pegs", ("Steel pegs, set of 8",)),
        ("the footprint for the Skerry 2", ("Footprint for Skerry 2",)),
        ("the Squall and again the Squall rain shell", ("Squall rain shell",)),
        ("is the fleece in stock in Corveth", ("Cairn fleece",)),
        ("rain jackets with a lining", ()),
        ("short", ()),
        ("shorts", ("Braeside shorts",)),
        ("tents, boots, jackets and electronics", ()),
        ("a bank transfer that covers it", ()),
    ],
)
def test_what_is_said_in_full_wins_and_a_kind_names_no_product(sql_agent, text, names):
    assert sql_agent.find_names(text).products == names


def test_stores_are_named_beside(sql_agent):
    assert sql_agent.find_names("a Camp chair in Corveth").stores == ("Corveth",)


def test_the_names_of_a_section_are_found_in_time(sql_agent):
    sections = [
        " ".join(section.split())
        for file in sorted((HERE / "knowledge").glob("*.md"))
        for section in re.split(r"\n## ", file.read_text(encoding="utf-8"))[1:]
    ]
    start = time.process_time()
    for section in sections:
        sql_agent.find_names(section)

    assert (time.process_time() - start) / len(sections) < 0.05  # 0.005 s where nothing else runs
