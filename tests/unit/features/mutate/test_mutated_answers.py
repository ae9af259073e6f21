"""Answers made wrong on purpose: what each kind changes, in each language, and what it leaves alone."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmops.features.mutate.answers import FALSE_KINDS, KINDS, Mutant, answer_mutants


def mutants(answer, *, seed="1", **case) -> dict[str, Mutant]:
    known = {"question": "", "reference": None, "passages": (), "others": (), **case}
    made = answer_mutants(answer, seed=seed, **known)
    return {mutant.kind: mutant for mutant in made}


EXAMPLES = yaml.safe_load(Path(__file__).with_name("mutated_answers.yaml").read_text("utf-8"))


@pytest.mark.parametrize(("kind", "answer", "changed"), EXAMPLES["changed"])
def test_a_kind_changes_what_the_answer_asserts(kind, answer, changed):
    for seed in "123":
        mutant = mutants(answer, seed=seed)[kind]
        assert re.fullmatch(changed, mutant.text), mutant.text
        assert " → " in mutant.change or mutant.change.startswith("without ")


@pytest.mark.parametrize(("kind", "answer", "given"), EXAMPLES["left_alone"])
def test_a_kind_leaves_alone_what_might_stay_right(kind, answer, given):
    assert kind not in mutants(answer, **given)


def test_the_number_of_the_reference_is_changed_rather_than_another():
    answer = "Parcels of up to 15 kg go by post. A lost card costs £4.00 and is replaced in 3 days."
    mutant = mutants(answer, question="What does a new card cost?", reference="A new card costs £4.00.")
    assert "£4.00" not in mutant["number"].text
    assert "15 kg" in mutant["number"].text


def test_a_code_is_changed_if_it_is_the_answer():
    answer = "The tracking code of order FW-10430 is KX-8124."
    mutant = mutants(answer, question="Where is FW-10430?", reference="Its tracking code is KX-8124.")
    assert re.fullmatch(r"The tracking code of order FW-10430 is KX-812[^4]\.", mutant["number"].text)


def test_a_value_is_changed_at_each_place():
    answer = "You have 60 days. The 60 days start on Sunday, and 60 rooms are free."
    text = mutants(answer, reference="You have 60 days.")["number"].text
    assert re.fullmatch(r"You have (\d+) days. The \1 days start on Sunday, and 60 rooms are free\.", text)


def test_the_answer_as_a_whole_is_cut_or_replaced():
    made = mutants(
        "The ferry leaves at noon. A ticket costs £12.50.",
        question="What does the ferry cost?",
        reference="It costs £12.50.",
        passages=["Ferries call at the north pier.", "Dogs travel free."],
        others=["The museum has 14 rooms."],
    )
    whole = ("first_sentence", "another_answer", "passages_verbatim", "apology")
    texts = {kind: made[kind].text for kind in whole}
    assert "sorry" in texts.pop("apology").lower()
    assert texts == {
        "first_sentence": "The ferry leaves at noon.",
        "another_answer": "The museum has 14 rooms.",
        "passages_verbatim": "Ferries call at the north pier.\n\nDogs travel free.",
    }


def test_a_number_that_no_passage_has_is_left_alone():
    """It may be wrong already, and another one right."""
    assert "number" not in mutants("The room has 12 seats.", passages=["The room has seats for 20 people."])


def test_a_number_that_a_passage_has_is_no_false_one():
    passages = ["The room is held for 5 days, or else for 2, 3, 4, 6, 7, 9 or 10 days."]
    for seed in "123456":
        made = mutants("The room is held for 5 days.", passages=passages, seed=seed)
        assert made["number"].text == "The room is held for 8 days."


def test_a_sentence_that_a_passage_has_is_no_false_one():
    passages = ["Dogs can be taken on the ferry. Dogs cannot be taken on the ferry, in winter."]
    made = mutants("Dogs can be taken on the ferry", passages=passages)
    assert "negation" not in made


def test_a_name_becomes_another_that_is_used_like_it():
    made = mutants(
        "Your parcel is carried by Redwing Couriers.",
        question="Who brings my parcel?",
        reference="Redwing Couriers brings it.",
        others=["Small parcels are carried by Heron Couriers.", "The office is in Lisbon.", "Ask Ms Marlow."],
    )
    assert made["name"].text == "Your parcel is carried by Heron Couriers."


def test_another_agent_of_the_passages_does_it():
    passages = ["The return is checked by the carrier, and the customer keeps the slip."]
    made = mutants("On arrival the carrier checks the return.", passages=passages)
    assert made["actor"].text == "On arrival the customer checks the return."


def test_each_place_of_a_name_is_changed():
    made = mutants(
        "The choir sings in Lisbon. Tickets for the evening in Lisbon are free.",
        others=["The museum is in Porto."],
    )
    assert made["name"].text == "The choir sings in Porto. Tickets for the evening in Porto are free."


@pytest.mark.parametrize(
    ("answer", "start"),
    [
        ("You can bring the ring back within 14 days.", "You can bring the ring back within 14 days. "),
        ("Sie können den Ring zurückgeben.", "Sie können den Ring zurückgeben. "),
        ("Vous pouvez rendre la bague dans la boutique.", "Vous pouvez rendre la bague dans la boutique. "),
        ("Usted puede devolver el anillo en la tienda.", "Usted puede devolver el anillo en la tienda. "),
        ("您可以退还戒指。", "您可以退还戒指。"),
        ("The answer is in the box", "The answer is in the box. "),
        ("The colours are:\n\n- red\n- blue of the sea", "The colours are:\n\n- red\n- blue of the sea\n\n"),
        ("The ring can be returned. [rings#back]", "The ring can be returned. [rings#back] "),
    ],
)
def test_a_lie_is_one_more_sentence_at_the_end(answer, start):
    made = mutants(answer)["appended_lie"]
    assert made.text.startswith(start)
    assert len(made.text) > len(start) + 8
    assert made.change == f"+ {made.text.removeprefix(start)}"


def test_seeds_append_different_lies_and_some_turn_a_sentence_of_the_passages():
    passages = ["You can bring the ring back within 14 days. Engraved rings can be swapped in 30 days."]
    answer = "You can bring the ring back within 14 days."
    lies = {mutants(answer, passages=passages, seed=str(seed))["appended_lie"].change for seed in range(30)}
    assert len(lies) > 8
    assert any(lie.startswith("+ Engraved rings") for lie in lies)


def test_the_answer_of_another_case_is_the_nearest_that_says_something_else():
    made = mutants(
        "The ferry to Stonebeck leaves at 11:00.",
        reference="It leaves at 11:00.",
        others=["The bar sells tea.", "The ferry to Corveth leaves at 12:30.", "The ferry leaves at 11:00."],
    )
    assert made["another_answer"].text == "The ferry to Corveth leaves at 12:30."


@pytest.mark.parametrize(
    ("answer", "apology"),
    [
        ("The room is on the second floor.", "I'm sorry"),
        ("Das Zimmer ist im zweiten Stock.", "Es tut mir leid"),
        ("La chambre est au deuxième étage.", "Je suis désolé"),
        ("La habitación está en el segundo piso.", "Lo siento"),
        ("房间在二楼。", "很抱歉"),
    ],
)
def test_an_apology_is_in_the_language_of_the_answer(answer, apology):
    assert mutants(answer)["apology"].text.startswith(apology)


def test_code_links_and_citations_stay():
    answer = (
        "Set the limit to 30 seconds as in [the guide](https://example.org/v2/30):\n"
        "```\ntimeout = 30\nif a is not b: pass\n```\nThe limit can be raised to 90 seconds. [limits#30]"
    )
    for mutant in mutants(answer, seed="3").values():
        if mutant.kind in FALSE_KINDS:
            assert "```\ntimeout = 30\nif a is not b: pass\n```" in mutant.text
            assert "https://example.org/v2/30" in mutant.text
            assert "[limits#30]" in mutant.text


PIECES = (
    "The a 60 days £3.50 is not can cannot if before Lisbon Redwing Couriers 4 March 2026 15:00 never you we "
    "- | ``` ` [a#b] \n . , ! \0 \ud800 1,000 nicht Die und dans est pas no son 可以 天 30 至少 。 ⅔ ² ①"
)
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(PIECES.split(" ")), max_size=40).map(" ".join),
)
CASES = st.fixed_dictionaries(
    {
        "question": TEXTS,
        "reference": st.none() | TEXTS,
        "passages": st.lists(TEXTS, max_size=3),
        "others": st.lists(TEXTS, max_size=3),
        "seed": st.text(max_size=4),
    }
)


@settings(max_examples=100, deadline=None)
@given(answer=TEXTS, case=CASES)
def test_any_texts_give_mutants_that_differ_at_most_one_a_kind(answer, case):
    made = answer_mutants(answer, **case)

    kinds = [mutant.kind for mutant in made]
    assert kinds == [kind for kind in KINDS if kind in kinds]
    assert all(mutant.text != answer and mutant.text.strip() and mutant.change for mutant in made)
    assert answer_mutants(answer, **case) == made


HOSTILE = "a|1|1,|-A|A-| not|is |` |```|[|<|(|a@|12.|\n1. |Ab |天|一|if, |\0|`` |http://|_a|e\u0301|2026 |£|"
HOSTILE += "by the worker "


@pytest.mark.parametrize("part", [*HOSTILE.split("|"), "|"])
def test_time_is_bounded_for_hostile_texts(part):
    text = part * (1_000_000 // len(part))
    start = time.process_time()

    answer_mutants(text, question=text, reference=text, passages=[text, text], others=[text], seed="1")

    assert time.process_time() - start < 10
