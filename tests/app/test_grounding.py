"""What a draft may say: faithful ones pass, and what was made up is named."""

from __future__ import annotations

import re

import pytest
import yaml

from reference_app.documents.knowledge import load_knowledge
from reference_app.grounding import only_agrees, ungrounded
from reference_app.settings import read_settings
from tests.app.shop import ROOT

SECTIONS = {section.id: section for section in load_knowledge(read_settings({}).knowledge)}
ORDER = (
    'order_status({"order_id": "FW-10493"}) = {"order_id": "FW-10493", "status": "processing", '
    '"carrier": null, "expected": "2026-03-13", "items": ["24 x Jackets with printed logo (£112.00 each)"], '
    '"total": "£2688.00"}'
)


def show(*ids):
    return [f"[{one}] {SECTIONS[one].title} > {SECTIONS[one].heading}: {SECTIONS[one].text}" for one in ids]


PRICES = show("shipping-domestic#standard", "shipping-express#uk")
DISPLAY = show("warranty-electronics#display")
PACKS = show("warranty-packs#time", "warranty#remedy")


@pytest.mark.parametrize(
    ("draft", "material", "question"),
    [
        ("The Corrie 45 has a 10-year warranty [warranty-packs#time].", PACKS, "How long is it?"),
        (
            "Yes, it has a warranty of ten years, the longest of all our products.",
            PACKS,
            "Is the pack covered?",
        ),
        ("No, the display is not covered. We replace it for £59.00.", DISPLAY, "My Ridge GPS is broken"),
        ("Standard delivery costs £3.95 and express delivery costs £8.95.", PRICES, "What is delivery?"),
        ("Together they cost £12.90; standard is £3.95, express £8.95.", PRICES, "Both?"),
        ("Order FW-10493 is currently being processed. It will arrive on March 13th.", [ORDER], "fw 10493?"),
        ("It contains 24 jackets with printed logo; it comes to £2,688.", [ORDER], "What is in FW-10493?"),
        ("Su pedido FW-10493 llega el 13 de marzo.", [ORDER], "¿Cuándo llega mi pedido FW-10493?"),
        (
            "We wrote to ada@example.com about your Gannet.",
            [],
            "ada@example.com wrote about her Gannet, and we?",
        ),
        ("Yes.", PACKS, "Is it?"),
        ("", PACKS, "Is it?"),
    ],
)
def test_a_faithful_draft_passes(draft, material, question):
    assert ungrounded(draft, material, question) == []


@pytest.mark.parametrize(
    ("draft", "named"),
    [
        ("Fternoon delivery costs £3.95.", "Fternoon"),
        ("Standard delivery to Aberdeen costs £3.95.", "Aberdeen"),
        ("Standard delivery costs £4.95.", "4.95 £"),
        ("Standard delivery takes 2 to 4 weeks.", "4 week"),
        ("Standard delivery takes six working days.", "6 day"),
        ("Standard delivery costs £8.95.", "Standard delivery costs £8.95."),
        ("Express delivery costs £3.95.", "Express delivery costs £3.95."),
        ("Together they cost £13.90; standard is £3.95, express £8.95.", "13.9 £"),
        ("It is waterproof.", "It is waterproof."),
        ("Standard delivery arrives on 9 March.", "9/3"),
        ("Standard delivery arrives by 14:15.", "14:15"),
        ("Write to help@fellwind.example for express delivery.", "help@fellwind.example"),
        ("See https://fellwind.example/express for express delivery.", "https://fellwind.example/express"),
        ("Order FW-10494 has standard delivery.", "fw10494"),
        ("Error EM-07 is standard.", "em07"),
        ("The Gannet has standard delivery for £3.95.", "The Gannet has standard delivery for £3.95."),
    ],
)
def test_what_was_made_up_is_named(draft, named):
    assert named in ungrounded(draft, PRICES, "Is the Gannet sent by standard delivery?")


@pytest.mark.parametrize("facts", ["{}", "[s#a] {}", "[s#a] Express delivery costs £3.95"])
def test_a_figure_is_compared_with_the_sentence_that_was_copied(facts):
    material = ["[s#a] Shipping > Prices: Standard delivery costs £3.95. Express delivery costs £8.95."]
    facts = facts.format("Standard delivery costs £3.95. Express delivery costs £8.95.")

    assert ungrounded("Express delivery costs £8.95 [s#a].", material, "What does express cost?", facts) == []
    assert ungrounded("Express delivery costs £3.95 [s#a].", material, "What does express cost?", facts) != []


def test_a_number_behind_a_colon_is_no_step():
    material = ["[a#b] Returns > Time: Days to return: 60. Returns are free."]

    assert ungrounded("Days to return: 45. Returns are free.", material, "How long?") == ["45"]


@pytest.mark.parametrize(
    ("draft", "question", "agrees"),
    [
        ("Yes, we repair zips.", "Do you repair zips?", True),
        ("Yes, we repair zips of jackets.", "Do you repair zips?", False),
        ("The Tarn 6 tent is red.", "What colour is the Tarn 6 tent?", False),
        ("Washed clothing cannot be returned.", "Can washed clothing be returned?", False),
        ("No, zips are not repaired.", "Are zips repaired?", False),
    ],
)
def test_a_draft_only_agrees_if_it_says_yes_and_the_question_again(draft, question, agrees):
    assert only_agrees(draft, question) is agrees


def references():
    """People's answers to the golden questions, each with the sections that it was written from."""
    for case in yaml.safe_load((ROOT / "golden" / "support.yaml").read_text())["cases"]:
        if case.get("relevant") and case.get("reference"):
            yield case["reference"], show(*case["relevant"]), str(case["input"])


def test_people_s_own_answers_pass_even_among_other_sections():
    others = sorted(SECTIONS)[::70]
    kept = [ungrounded(text, material + show(*others), question) for text, material, question in references()]

    assert len(kept) >= 20
    assert sum(map(bool, kept)) <= 0.05 * len(kept)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: re.sub(r"\d+", lambda match: str(int(match[0]) + 13), text, count=1),
        lambda text: f"{text} Customers in Aberdeen receive complimentary gaiters.",
        lambda text: f"{text} The fabric resists tearing and mildew for decades.",
    ],
)
def test_a_changed_answer_does_not(change):
    changed = [
        (change(text), material, question)
        for text, material, question in references()
        if change(text) != text
    ]

    assert len(changed) >= 20
    assert sum(map(bool, (ungrounded(*one) for one in changed))) >= 0.95 * len(changed)
