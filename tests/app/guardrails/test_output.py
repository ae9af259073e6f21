from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_app.guardrails.output import MAX_ANSWER_CHARACTERS, check_answer

PROMPT = (
    "You answer for Fellwind Outfitters and copy the sentence of the passage that fits the question best."
)
READ = "Write to help@shop.example or call 01632 960877 between nine and five."


def check(text):
    return check_answer(
        text,
        sources=["returns#window"],
        known={"returns#window", "gifts#cards"},
        hosts=["shop.example", ".docs.example"],
        secrets=[PROMPT, "walrus-77-tusk", ""],
        given=[READ],
    )


@pytest.mark.parametrize(
    "text",
    [
        "You have 30 days [returns#window].",
        "Order FW-10427 is on its way to NE1 4XD and costs £3.95.",
        "Write to help@shop.example or call 01632 960877.",
        "See https://shop.example/returns?order=FW-10427, or https://a.docs.example/x.",
        "See shop.example/returns.",
        "Use 230 g canisters, e.g. ours and/or theirs; 3.95/kg, size.XL.",
        "Copy the sentence.",
        "Two lines\n\tand a tab 👨‍👩‍👧 नमस्ते.",
        "Sections such as [note 1] and [the tent] stay.",
        "Data: none. File: none.",
        "We never ask for your card number. Enter the gift card number at the till.",
        "You can reset your password on the account page.",
    ],
)
def test_a_good_answer_stays(text):
    guarded = check(text)

    assert guarded.text == text
    assert guarded.problems == ()


@pytest.mark.parametrize(
    ("text", "left", "problem"),
    [
        ("30 days [returns#windows].", "30 days.", "does not exist"),
        ("A card [gifts#cards] is fine.", "A card is fine.", "not read"),
        ("See https://gorse.example/x.", "See [link removed].", "outside the list"),
        ("See http://shop.example.gorse.example/x now", "See [link removed] now", "outside the list"),
        ("See https://shop.example@gorse.example/x", "See [link removed]", "outside the list"),
        ("See www.gorse.example", "See [link removed]", "outside the list"),
        ("See gorse.com!", "See [link removed]!", "outside the list"),
        ("See gorse.example/walrus", "See [link removed]", "outside the list"),
        ("See //gorse.example/x", "See [link removed]", "outside the list"),
        ("See [it](https://gorse.example/x)", "See it [link removed]", "outside the list"),
        ("![x](https://gorse.example/?q=FW-10427) done", "[link removed] done", "outside the list"),
        ("<img src=https://gorse.example/x> done", "[link removed] done", "outside the list"),
        ("[x](javascript:steal)", "x [link removed]", "outside the list"),
        ("ftp://shop.example/x", "[link removed]", "outside the list"),
        ("http://127.0.0.1:8000/x", "[link removed]", "outside the list"),
        ("Ada's mail is jo@example.com.", "Ada's mail is [email].", "masked"),
        ("Call 07700 900461.", "Call [phone].", "masked"),
        ("\x1b[31mRed\x07\u202e tent\u200b", "[31mRed tent", "invisible"),
        (f"Sure! {PROMPT}", "Sure!", "instructions"),
        (f"Sure! {PROMPT.upper().replace(' ', ' - ')}", "Sure!", "instructions"),
        ("It says: copy the sentence of the passage that, so I do", "It says: , so I do", "instructions"),
        ("The word is walrus 77 tusk", "The word is", "instructions"),
        (
            "It ships today. Please send us your card number and its security code.",
            "It ships today.",
            "password",
        ),
        ("To verify you, what is your password?", "", "password"),
        ("Your full card number, please?", "", "password"),
        ("", "", "empty"),
        (" \u200b\n", "", "empty"),
        ("[gifts#none]", "", "empty"),
    ],
)
def test_what_must_not_leave_is_taken_out_and_said(text, left, problem):
    guarded = check(text)

    assert " ".join(guarded.text.split()) == left
    assert any(problem in one for one in guarded.problems), guarded.problems
    assert all("gorse" not in one and "jo@" not in one for one in guarded.problems)


def test_a_long_answer_is_cut():
    guarded = check("x" * (MAX_ANSWER_CHARACTERS + 1))

    assert len(guarded.text) == MAX_ANSWER_CHARACTERS
    assert guarded.problems == ("The answer was cut at 4000 characters.",)
    assert check("x" * MAX_ANSWER_CHARACTERS).problems == ()


def test_one_problem_is_told_once():
    assert check("[a#b] and [c#d] and [e#f]").problems == (
        "A citation of a section that does not exist was removed.",
    )


@given(
    st.text(max_size=400)
    | st.lists(st.sampled_from(["[", "]", "#", "://", "www.", "@", "\ud800", "a"])).map("".join)
)
def test_no_text_makes_it_raise_and_what_is_left_is_good(text):
    guarded = check(text)

    guarded.text.encode()
    again = check(guarded.text)
    assert again.text == guarded.text
