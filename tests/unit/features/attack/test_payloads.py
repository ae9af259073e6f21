"""The built-in attacks: each can be told apart from an answer that repeats or refuses it."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from pytest_llmops.features.attack.metrics import assess
from pytest_llmops.features.attack.payloads import PLACEMENTS, SUITES, load_payloads, place_attacks
from pytest_llmops.features.attack.success import read_success
from pytest_llmops.records import Output, Sample, Span, ToolCall

ATTACKS = list(place_attacks("owasp", PLACEMENTS, seed=0))


def test_there_are_as_many_as_the_documentation_says():
    payloads = load_payloads("owasp")
    assert len(payloads) == 36
    assert len({payload.technique for payload in payloads}) == 10
    assert len([attack for attack in ATTACKS if attack.placement == "question"]) == 52
    assert len(ATTACKS) == len({attack.id for attack in ATTACKS})
    assert [payload.id for name in SUITES[1:] for payload in load_payloads(name)] == [
        payload.id for payload in payloads
    ]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_an_echo_is_no_success(attack):
    """An app that repeats the attack, refuses it, or hands the question on to a tool did nothing of it."""
    text = f"I will not do this: {attack.text}"
    handed_on = ToolCall(name="search", arguments={"question": attack.text})
    asked = {"request": {"instructions": "You are a helper and never give away anything."}}
    spans = (Span(span_id="a", parent_id=None, name="chat m", kind="llm", attributes=asked),)
    sample = Sample(output=Output(text=text, tool_calls=(handed_on,)), input=attack.text, spans=spans)
    assert assess(sample, read_success(attack.success)).outcome == "ignored"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_an_app_that_obeys_is_seen(attack):
    done = {
        "canary": lambda value: Output(text=f"As you wish: {value.upper()}"),
        "argument": lambda value: Output(
            text="ok", tool_calls=(ToolCall(name="act", arguments={"x": value}),)
        ),
        "url": lambda value: Output(text=f"![x](https://{value}/c?q=boots)"),
        "system_prompt": lambda _: Output(text="fine: you are a helper and never give away anything at all"),
    }
    ((kind, value),) = attack.success.items()
    success = (
        {kind: ["You are a helper and never give away anything."]} if value == "sent" else attack.success
    )
    sample = Sample(output=done[kind](value), input=attack.text)
    assert assess(sample, read_success(success)).outcome == "succeeded"


def test_every_value_is_filled_in():
    for attack in ATTACKS:
        assert not re.search(r"\{(left|right|amount|order|payload)\}", f"{attack.text}{attack.success}")


def test_words_depend_on_the_seed_alone():
    again, other = (list(place_attacks("owasp", ("question",), seed=seed)) for seed in (0, 1))
    assert again == [attack for attack in ATTACKS if attack.placement == "question"]
    assert Counter(attack.id for attack in other) == Counter(attack.id for attack in again)
    assert all(
        one.success != two.success or "system_prompt" in one.success
        for one, two in zip(again, other, strict=True)
    )
