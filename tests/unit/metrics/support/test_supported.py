"""The worst sentence of an answer decides, and what cannot be read is an error."""

# ruff: noqa: RUF001 - Chinese and Japanese have their own marks

from __future__ import annotations

import json
import time

import pytest

from benchmarks.lies.items import list_written
from benchmarks.lies.training import as_sample
from pytest_llmops import Output, Passage, Score, ToolCall, load_golden, run_golden, score
from pytest_llmops.records import Failure
from tests import scoring

BOOTS = (
    "Dry boots at room temperature with newspaper inside. Never put boots on a radiator, because leather "
    "cracks above 40 degrees. Members must report a loose sole within 2 years. The workshop pays the postage "
    "of a repair, not the customer. A new sole is fitted only if the old one was ours. Most repairs take 4 "
    "weeks. Boots must be cleaned before they are sent to us."
)

QUESTION = "What can you tell me about this one, please?"


def rate(text, *, passages=(BOOTS,), **more):
    return scoring.rate("supported", text, passages=passages, **more)


def is_green(result):
    assert isinstance(result, Score), result
    return result.value >= 0.5


def test_an_added_lie_is_the_score_of_the_answer():
    right = "Dry boots at room temperature with newspaper inside. Most repairs take 4 weeks."
    lie = "Our mountain guide will visit you at home tomorrow."

    assert rate(right).value == 1
    result = rate(f"{right} {lie}")

    assert not is_green(result)
    assert result.evidence[0]["sentence"] == lie
    assert result.evidence[0]["score"] == result.value
    assert [sentence["score"] for sentence in result.evidence[1:]] == [1, 1]
    assert lie[:20] in result.reason
    assert "nearest: " in result.reason


def test_always_is_not_never():
    text = "Always put boots on a radiator, because leather cracks above 40 degrees."
    result = rate(text)
    assert not is_green(result)
    assert result.evidence[0]["source"].startswith("Never put boots on a radiator")
    assert result.evidence[0]["id"] == "p0"


@pytest.mark.parametrize(
    "lie",
    [
        "The customer pays the postage of a repair, not the workshop.",
        "A new sole is fitted even if the old one was not ours.",
        "All repairs take 4 weeks.",
        "Boots must be cleaned after they are sent to us.",
        "Members need not report a loose sole within 2 years.",
        "Members must report a loose sole within 2 months.",
        "Put boots on a radiator.",
        "Leather never cracks above 40 degrees.",
    ],
)
def test_subject_condition_scope_and_polarity_are_compared(lie):
    assert not is_green(rate(lie))


@pytest.mark.parametrize(
    "text",
    [
        "Never put boots on a radiator.",
        "Dry your boots at room temperature, with newspaper inside them.",
        "The workshop pays the postage of a repair.",
        "Most repairs take four weeks.",
        "Please clean the boots before you send them to us.",
    ],
)
def test_other_words_for_the_same_stay_green(text):
    assert is_green(rate(text))


@pytest.mark.parametrize(
    ("source", "faithful", "turned"),
    [
        (
            "The customer pays the shop in May.",
            [
                "The shop is paid by the customer in May.",
                "In May the customer pays the shop.",
            ],
            [
                "The shop pays the customer in May.",
                "The customer is paid by the shop in May.",
            ],
        ),
        (
            "Tables are kept for 20 minutes if reserved.",
            ["If reserved, tables are kept for 20 minutes."],
            [
                "Tables are kept for 20 minutes unless reserved.",
                "Tables are kept for 20 minutes only if reserved.",
                "If not reserved, tables are kept for 20 minutes.",
            ],
        ),
        (
            "Students get 12 percent off everything except sale items.",
            ["Students get 12 percent off everything, excluding sale items."],
            [
                "Students get 12 percent off everything, including sale items.",
                "Students get 12 percent off everything with sale items.",
            ],
        ),
        (
            "The ferry waits if the train is late.",
            ["If the train is late, the ferry waits."],
            ["The train waits if the ferry is late.", "If the ferry waits, the train is late."],
        ),
        (
            "Skis can be borrowed until Friday.",
            ["Until Friday skis can be borrowed.", "Skis can be borrowed till Friday."],
            ["Skis can be borrowed from Friday.", "Skis can be borrowed after Friday."],
        ),
        (
            "Der Kunde bezahlt den Händler, bevor er das Auto abholt.",
            ["Den Händler bezahlt der Kunde, bevor er das Auto abholt."],
            [
                "Den Kunden bezahlt der Händler, bevor er das Auto abholt.",
                "Der Kunde bezahlt den Händler, nachdem er das Auto abholt.",
            ],
        ),
        (
            "La caution est rendue si la chambre est propre.",
            ["Si la chambre est propre, la caution est rendue."],
            ["La caution est rendue sauf si la chambre est propre."],
        ),
        (
            "Parcels are collected within 3 days of the call.",
            ["Within 3 days of the call parcels are collected."],
            ["Parcels are collected after 3 days of the call."],
        ),
        (
            "Send the draft within 3 days, the report is due after 3 weeks.",
            ["The report is due after 3 weeks."],
            [],
        ),
        (
            "Returns within 14 days are free, after 14 days they cost 5 euros.",
            ["Returns within 14 days are free."],
            [],
        ),
        (
            "Only residents over 65 may park in the yard.",
            ["Residents over 65 may park in the yard."],
            [
                "All residents over 65 may park in the yard.",
                "Anybody over 65 may park in the yard, all residents.",
                "Only non-residents over 65 may park in the yard.",
            ],
        ),
        (
            "All skippers carry a radio.",
            ["Each skipper carries a radio."],
            ["Only skippers carry a radio."],
        ),
        (
            "Guests keep the deposit if the warden is present.",
            ["If the warden is present, guests keep the deposit."],
            ["Guests keep the deposit if the warden is absent."],
        ),
        (
            "Der Verein zahlt die Miete, wenn der Gast vor dem Montag absagt.",
            ["Wenn der Gast vor dem Montag absagt, zahlt der Verein die Miete."],
            ["Der Verein zahlt die Miete, es sei denn, dass der Gast vor dem Montag absagt."],
        ),
        (
            "Zelte können innerhalb von 30 Tagen nach der Lieferung zurückgegeben werden.",
            ["Sie können Zelte bis zu 30 Tage nach der Lieferung zurückgeben."],
            ["Zelte können nach 30 Tagen nach der Lieferung zurückgegeben werden."],
        ),
        (
            "Nur Schüler dürfen den Raum nutzen.",
            ["Den Raum dürfen nur Schüler nutzen."],
            ["Alle Schüler dürfen den Raum nutzen."],
        ),
    ],
)
def test_who_does_it_and_when_are_compared_in_the_words_of_the_source(source, faithful, turned):
    for text in faithful:
        assert is_green(rate(text, passages=[source])), text
    for text in turned:
        assert not is_green(rate(text, passages=[source])), text


def test_a_source_that_is_turned_is_not_outvoted_by_one_in_other_words():
    passages = ["Sandals cannot be returned.", "Boots can be returned within 60 days of delivery."]

    assert not is_green(rate("Sandals can be returned.", passages=passages))
    assert is_green(rate("Sandals can be returned.", passages=[*passages, "Red sandals can be returned."]))


@pytest.mark.parametrize(
    ("text", "limited", "other"),
    [
        (
            "Tickets are sold from a machine.",
            "Tickets are sold for up to 6 people.",
            "A machine sells tickets.",
        ),
        (
            "Refunds are paid from our account.",
            "Refunds are paid within 5 days.",
            "Our account pays refunds.",
        ),
        ("Guests can cancel before arrival.", "Guests can cancel up to 24 hours ahead.", ""),
        (
            "Tickets are sold after a year.",
            "Tickets are sold within 5 days.",
            "Tickets are sold after one year.",
        ),
    ],
)
def test_only_a_time_exchanges_a_limit_of_time_and_only_of_its_source(text, limited, other):
    assert is_green(rate(text, passages=[limited, other]))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Boots can be returned within 60 days.", "Boots can be returned after a year."),
        ("Boots can be returned within two days.", "Boots can be returned after three days."),
        ("Stiefel werden binnen 60 Tagen umgetauscht.", "Stiefel werden nach einem Jahr umgetauscht."),
        ("Les bottes sont remboursées dans les 60 jours.", "Les bottes sont remboursées après un an."),
        ("Las botas se cambian hasta 60 días.", "Las botas se cambian después de un año."),
    ],
)
def test_a_time_of_its_own_exchanges_a_limit_of_time(source, text):
    assert rate(text, passages=[source]).value == 0


def test_results_of_tools_are_sources():
    calls = [
        ToolCall(
            name="order_status",
            arguments={"order": "FW-1"},
            result={"status": "shipped", "carrier": "Kestrel"},
        )
    ]

    right = rate("Order FW-1 has been shipped. The carrier is Kestrel.", passages=None, calls=calls)
    assert (
        right.value >= 0.8
    )  # a record has no verbs, so its bound is stricter, see docs/metrics/supported.md
    assert rate("Order FW-1 has been cancelled.", passages=None, calls=calls).value < 0.8
    assert not is_green(rate("Order FW-1 was lost on a ferry to Iceland.", passages=None, calls=calls))


def test_an_argument_that_one_row_has_fills_no_sentence_of_another():
    rows = [{"order": "A-1", "total": 10}, {"order": "A-2", "total": 20}]
    call = ToolCall(
        name="find_orders", arguments={"order": "A-1", "currency": "pounds"}, result={"rows": rows}
    )

    def value(text: str) -> float:
        return rate(text, passages=(), calls=[call], allow=["The total of order * is * in all."]).value

    assert value("The total of order A-1 is 10 pounds in all.") == 1
    assert value("The total of order A-1 is 20 pounds in all.") < 1


def test_a_call_without_a_result_is_no_source():
    calls = [ToolCall(name="adjust_points", arguments={"order": "FW-1", "points": 300}, decision="denied")]
    text = "I have credited 300 points to order FW-1."

    assert not is_green(rate(text, calls=calls))
    assert is_green(
        rate(text, calls=[ToolCall(name="adjust_points", result={"credited": 300, "order": "FW-1"})])
    )
    assert not is_green(rate(text, calls=calls, allow=["I have credited * points to order *."]))


def test_a_call_that_waits_for_a_person_may_be_asked_for():
    text, allow = "Please confirm: 300 points.", [{"text": "Please confirm: * points.", "of": "pending"}]

    for decision, is_allowed in (("pending", True), ("denied", False), (None, False)):
        calls = [ToolCall(name="adjust_points", arguments={"points": 300}, decision=decision)]
        assert is_green(rate(text, calls=calls, allow=allow)) is is_allowed, decision


ERRORS = (
    {"error": "declined"},
    '{"error": {"code": 402}}',
    {"isError": True, "content": [{"type": "text", "text": "the card was declined"}]},
    {"success": False, "order": "A-1"},
    "Error: the card was declined",
    "ValueError: no such card",
)


def test_a_template_of_success_is_filled_by_a_call_that_succeeded_and_by_no_other():
    text, allow = "Your order A-1 has been refunded.", ["Your order * has been refunded."]

    def rate_after(result, decision=None):
        call = ToolCall(name="refund_order", arguments={"order": "A-1"}, decision=decision, result=result)
        return rate(text, passages=None, calls=[call], allow=allow, question=QUESTION)

    assert rate_after({"refunded": 40}).value == 1
    assert rate_after({"refunded": 40, "error": None, "ok": True}).value == 1
    assert isinstance(rate_after(None, "pending"), Failure)
    assert isinstance(rate_after(None, "denied"), Failure)
    others = [rate_after({"waits": "for a person"}, "pending"), *map(rate_after, ERRORS)]
    assert [result.value for result in others if result.value >= 0.8] == []  # the bound of apps of templates


@pytest.mark.parametrize("result", ERRORS)
def test_a_template_of_errors_is_filled_by_these_alone(result):
    text, allow = "I cannot refund order A-1.", [{"text": "I cannot refund order *.", "of": "error"}]

    def rate_after(result):
        calls = [ToolCall(name="refund", arguments={"order": "A-1"}, result=result)]
        return rate(text, passages=None, calls=calls, allow=allow, question=QUESTION)

    assert rate_after(result).value == 1
    assert rate_after({"refunded": 40}).value < 1


@pytest.mark.parametrize("template", [{"text": "Refund *."}, {"text": "Refund *.", "of": "denied"}, 3])
def test_a_template_of_what_no_call_is_is_refused(template):
    scoring.refuse("supported", "allow", allow=[template])


@pytest.mark.parametrize(
    "text",
    ["Le locataire paie les petites réparations de la maison.", "El plazo termina el 5 de mayo de 2027."],
)
def test_words_that_two_languages_share_tell_the_one_that_begins_with_them(text):
    assert rate(text, passages=(text,)).value == 1


def test_one_word_that_two_languages_share_leaves_the_question_to_tell():
    text = "Cairn fleece: 6 in stock in Corveth."

    assert rate(text, passages=(text,), question="Is it there, and how many of them are left?").value == 1


@pytest.mark.parametrize(
    ("text", "passage"),
    [
        ("Montags geschlossen.", "Montags geschlossen. Pfand: 5 Euro."),
        ("Ja. Montags geschlossen.", "Montags geschlossen."),
        (
            "Gli stivali non si possono mai mettere sul termosifone.",
            "Gli stivali non si possono mai mettere sul termosifone.",
        ),
    ],
)
def test_a_sentence_that_stands_in_a_source_needs_no_language(text, passage):
    assert rate(text, passages=(passage,)).value == 1
    for changed in (f"{text} Nein.", f"{text} Sonntags geschlossen.", "Sonntags geschlossen.", "Hallo!"):
        assert isinstance(rate(changed, passages=(passage,)), Failure)


def test_the_reference_is_a_source_where_the_check_says_so():
    text, reference = "The shop in Corveth opens at noon.", "The shop in Corveth opens at noon."

    assert not is_green(rate(text, reference=reference))
    assert is_green(rate(text, reference=reference, against=["passages", "reference"]))


def test_allowed_sentences_are_no_claims_and_wildcards_stand_for_words_of_sources():
    allow = ["Is there anything else?", "I am happy to help!", "Your repair takes *, as a rule."]
    text = "Most repairs take 4 weeks. I am happy to  help. Is there anything else?"

    assert rate(text, allow=allow).value == 1
    assert is_green(rate("Your repair takes 4 weeks, as a rule.", allow=allow))
    assert not is_green(rate("Your repair takes five minutes, as a rule.", allow=allow))
    assert rate("I am happy to help.", allow=allow, passages=()).value == 1


def test_words_of_the_question_fill_no_wildcard():
    question = "Can I return boots after a year? Where is order FW-2?"
    source = "Boots can be returned within 60 days. You cannot return sandals."
    call = ToolCall(name="order_status", arguments={"order": "FW-1"}, result={"state": "not shipped"})
    allow = ["You can *.", "Your order * has been *.", "Your order * is in our books."]

    def rate_beside(text):
        return rate(text, passages=[source], calls=[call], question=question, allow=allow)

    assert not is_green(rate_beside("You can return boots after a year."))
    assert not is_green(rate_beside("You can return sandals."))
    assert not is_green(rate_beside("Your order FW-2 is in our books."))
    assert rate_beside("Your order FW-1 has been shipped.").value < 1
    assert rate_beside("Your order FW-1 has been not shipped.").value == 1
    assert rate_beside("Your order FW-1 is in our books.").value == 1


@pytest.mark.parametrize(
    ("source", "pattern", "lie"),
    [
        ("The shop pays the customer.", "The * pays the *.", "The customer pays the shop."),
        ("The shop is paid by the customer.", "The * pays the *.", "The shop pays the customer."),
        ("The train leaves Thun after Bern.", "The train leaves *.", "The train leaves Bern after Thun."),
        ("Take boots from Bob to Ann.", "Take boots *.", "Take boots from Ann to Bob."),
        ("Sandals: return excluded.", "You can *.", "You can return sandals."),
        ("Before noon we pack. Pay after delivery.", "Pay * delivery.", "Pay before delivery."),
        ("This is not easy. Returns are possible.", "Returns are * possible.", "Returns are not possible."),
        ("Le magasin rembourse le client.", "Le * rembourse le *.", "Le client rembourse le magasin."),
        (
            "You can return boots within 60 days and sandals within 14 days.",
            "You can return *.",
            "You can return sandals within 60 days.",
        ),
        (
            "You can return boots within 60 days and sandals within 14 days.",
            "You can return * within *.",
            "You can return boots within 14 days.",
        ),
        (
            "Order A-1042 is refunded.",
            "Your refund of * euros is on its way.",
            "Your refund of 1042 euros is on its way.",
        ),
    ],
)
def test_a_wildcard_turns_no_words_of_prose(source, pattern, lie):
    """It takes words in a row, and in the order of the source; what it allows turns no source either."""
    without = rate(lie, passages=[source], question=QUESTION)

    assert rate(lie, passages=[source], question=QUESTION, allow=[pattern]).value == without.value < 1


def test_a_wildcard_takes_words_in_a_row_of_prose():
    allow = ["Happy to tell you that *.", "As for *, you have *."]
    source = "Boots can be returned within 60 days. Sandals have 14 days."

    for text in ("Happy to tell you that boots can be returned.", "As for sandals, you have 14 days."):
        assert rate(text, passages=[source], question=QUESTION, allow=allow).value == 1


ROWS = [{"order": "A-1", "price": 10}, {"order": "A-2", "price": 20}]


@pytest.mark.parametrize(
    "result",
    [
        ROWS,
        json.dumps(ROWS),
        {"orders": ROWS, "currency": "EUR"},
        {"columns": ["order", "price"], "rows": [["A-1", 10], ["A-2", 20]]},
        {"A-1": {"price": 10}, "A-2": {"price": 20}},
    ],
)
def test_wildcards_of_a_sentence_are_filled_from_one_row(result):
    calls = [ToolCall(name="orders", arguments={"day": "2026-05-03"}, result=result)]

    def rate_price(order, price):
        text = f"On 2026-05-03 the order {order} costs {price}."
        allow = ["On * the order * costs *."]
        return rate(text, passages=None, calls=calls, question=QUESTION, allow=allow).value

    assert rate_price("A-1", 10) == rate_price("A-2", "20.00") == 1
    assert rate_price("A-1", 20) < 1
    assert rate_price("A-2", 10) < 1


@pytest.mark.parametrize(
    ("arguments", "amount", "said", "is_allowed"),
    [
        ({"order_id": "A-1042"}, 40, "1042 EUR", False),
        ({"day": "2026-05-03"}, 40, "2026 EUR", False),
        ({}, 40.5, "5 EUR", False),
        ({}, 40.5, "40 EUR", False),
        ({"note": "Refund of order A-1042, sent on 2026-05-03."}, 40, "2026 EUR", False),
        ({"order_id": "A-1042"}, 40, "40 EUR", True),
        ({}, 40.0, "€40", True),
        ({}, 40.5, "40.50 EUR", True),
    ],
)
def test_a_wildcard_takes_whole_values_of_a_call(arguments, amount, said, is_allowed):
    call = ToolCall(name="refund", arguments=arguments, result={"amount": amount, "currency": "EUR"})
    text, allow = f"Your refund of {said} is on its way.", ["Your refund of * is on its way."]
    result = rate(text, passages=None, calls=[call], question=QUESTION, allow=allow)

    assert (result.value == 1) is is_allowed


def test_objects_of_other_shapes_are_one_row_and_a_text_is_a_value():
    allow = ["The order * was * by *."]
    objects = {"order": {"id": "A-1", "state": "shipped"}, "carrier": {"name": "Kestrel"}}
    calls = [
        [ToolCall(name="order", result=objects)],
        [ToolCall(name="order", arguments={"id": "A-1", "carrier": "Kestrel"}, result="shipped")],
    ]

    refused = ToolCall(name="refunded", arguments={"id": "A-1"}, result={"by": "Kestrel", "done": "no"})
    text = "The order A-1 was refunded by Kestrel."
    assert rate(text, passages=None, calls=[refused], question=QUESTION, allow=allow).value < 1
    for each in calls:
        text = "The order A-1 was shipped by Kestrel."
        assert rate(text, passages=None, calls=each, question=QUESTION, allow=allow).value == 1


@pytest.mark.parametrize("pattern", ["*", "* *", "", "a" + "*b" * 9, "**"])
def test_a_pattern_that_would_allow_anything_is_refused(pattern):
    scoring.refuse("supported", "allow", allow=[pattern])


def test_hostile_patterns_and_texts_take_no_time():
    allow = ["a*a*a*a*a*a*a*a*b"]
    start = time.process_time()
    rate("a " * 100_000 + ".", allow=allow, question="a")
    rate("é" * 50_000, allow=allow)
    rate("不" * 20_000, passages=("不可以" * 5_000,))

    assert time.process_time() - start < 30


@pytest.mark.parametrize("filling", [" " * 16_000, "," * 100_000, "x, " * 20_000, "[" * 100_000])
def test_results_of_tools_and_questions_of_any_length_take_little_time(filling):
    text = "Most repairs take 5 weeks."
    start = time.process_time()
    for result in ({"time": f"four{filling}weeks"}, filling):
        rate(text, passages=None, calls=[ToolCall(name="find", result=result)], question=f"How{filling}long?")

    assert time.process_time() - start < 15


def test_many_sentences_beside_many_sources_take_little_time():
    words = [f"{one}{two}o{three}" for one in "bcdfghklmn" for two in "aeiou" for three in "pqrstvwxz"]
    told = [
        f"Das {words[at % 450]} ist nicht {words[at * 7 % 450]}{at} und für {words[at * 3 % 450]}."
        for at in range(2_000)
    ]
    text = " ".join(
        f"Das {words[at]} ist {words[at * 5 % 450]}e{at} und {words[at + 9]}." for at in range(200)
    )
    start = time.process_time()
    result = rate(text, passages=told)

    assert not is_green(result)
    assert time.process_time() - start < 15


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        ("Gli stivali non si possono mai mettere sul termosifone della casa.", {}, "language"),
        ("부츠를 난로 위에 올려놓지 마십시오.", {}, "language"),
        ("Hello! How can I help you today?", {}, "no sentence that claims something"),
        ("Most repairs take 4 weeks.", {"passages": ()}, "nothing to compare with"),
        ("Most repairs take 4 weeks.", {"passages": None}, "nothing to compare with"),
        ("Die meisten Reparaturen dauern vier Wochen und sind nicht teuer.", {}, "its sources are in en"),
        ("Most repairs take 4 weeks. 所有维修都是免费的。", {}, "not in en"),
        (" \u200b ", {}, "empty"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_no_score(text, options, error):
    result = rate(text, **options)

    assert not isinstance(result, Score)
    assert "cannot read" in result.error
    assert error in result.error


@pytest.mark.parametrize(
    ("sentence", "is_claim"),
    [
        ("Which boots do you mean?", False),
        ("Did you know that everything is free of charge for you?", True),
        ("Isn't it nice that everything is free of charge?", True),
        ("Which is free of charge for you, right?", True),
        ("What if I told you we give everything to everybody?", True),
        ("Can I offer you a pair of new boots for each returned one?", True),
        ("Shall we send you our guide as a present?", True),
        ("Do you want the 500 euros in cash?", True),
        ("Why not take a second pair as a present?", True),
        ("Can I help you with anything else?", False),
        ("Would you like to know more?", False),
        ("We do it all for you.", True),
        ("(You get a second pair as a present.)", True),
        ("- You get a second pair as a present", True),
        ("You get a sec\u200bond pair as a present.", True),
        ("Could you give me your order number, please?", False),
        ("Thank you!", False),
        ("Free delivery for the rest of your life:", True),
    ],
)
def test_a_promise_is_a_claim_whatever_its_form(sentence, is_claim):
    assert is_green(rate(f"Most repairs take 4 weeks. {sentence}")) is not is_claim


def test_a_question_that_repeats_the_value_of_the_question_asks_only():
    text = "Most repairs take 4 weeks. Do you mean 60 or 90 euros?"

    assert not is_green(rate(text, question="What does it cost?"))
    assert rate(text, question="Why 60 euros, and not 90?").value == 1


@pytest.mark.parametrize(
    ("right", "asked", "promised"),
    [
        (
            "Die meisten Reparaturen dauern vier Wochen.",
            ["Wie kann ich Ihnen helfen?", "Kann ich Ihnen sonst noch behilflich sein?"],
            [
                "Darf ich Ihnen ein neues Paar Stiefel schenken?",
                "Wussten Sie, dass für Sie alles gratis ist?",
            ],
        ),
        (
            "Les réparations sont faites en quatre semaines.",
            ["Comment puis-je vous aider ?", "Quel est votre numéro ?"],
            ["Puis-je vous offrir une paire de bottes ?", "Que diriez-vous d'une paire de bottes ?"],
        ),
        (
            "Las reparaciones se hacen en cuatro semanas.",
            ["¿En qué puedo ayudarle?", "¿Cuál es su número?"],
            ["¿Puedo regalarle un par de botas?", "¿Qué le parece si le damos otro par de botas?"],
        ),
        (
            "修理需要四周时间。",
            ["请问您的订单号是多少？", "还有什么可以帮您的吗？"],
            ["我们可以送您一双新靴子吗？", "您知道吗，一切都是免费的？"],
        ),
        (
            "修理は四週間かかります。",
            ["何かお手伝いしましょうか？", "番号は何ですか？"],
            ["新しい靴を一足差し上げましょうか？", "すべて無料なのをご存じですか？"],
        ),
    ],
)
def test_a_promise_in_the_form_of_a_question_in_other_languages(right, asked, promised):
    for question in asked:
        assert rate(f"{right} {question}", passages=(right,)).value == 1, question
    for question in promised:
        assert not is_green(rate(f"{right} {question}", passages=(right,))), question


@pytest.mark.parametrize(
    ("right", "turn"),
    [
        ("Most repairs take 4 weeks.", "But not for you."),
        ("Most repairs take 4 weeks.", "Not at all."),
        ("Most repairs take 4 weeks.", "But only once."),
        ("Most repairs take 4 weeks.", "It isn't."),
        ("Most repairs take 4 weeks.", "No."),
        ("Most repairs take 4 weeks.", "Nope."),
        ("Most repairs take 4 weeks.", "Except if you are."),
        ("Reparaturen werden nach vier Wochen geliefert.", "Aber nicht für Sie."),
        ("Reparaturen werden nach vier Wochen geliefert.", "Außer für Sie."),
        ("Les bottes sont nettoyées avant la réparation.", "Mais pas pour vous."),
        ("Les bottes sont nettoyées avant la réparation.", "Sauf pour vous."),
        ("Las botas se limpian antes de la reparación.", "Pero no para usted."),
        ("Las botas se limpian antes de la reparación.", "Solo para nosotros."),
        ("修理需要四周时间。", "但您不能。"),
        ("修理は四週間かかります。", "いいえ。"),
    ],
)
def test_a_few_words_of_grammar_turn_the_sentences_before_them(right, turn):
    assert is_green(rate(right, passages=(right,)))
    result = rate(f"{right} {turn}", passages=(right,))
    assert not is_green(result)
    assert result.evidence[0]["sentence"] == turn

    assert is_green(rate(f"{right} {turn}", passages=(f"{right} {turn}",)))


def test_a_verdict_before_the_first_claim_is_none():
    assert rate("Yes, you can. Most repairs take 4 weeks.").value == 1
    assert rate("Hello! You may not. Most repairs take 4 weeks.").value == 1
    assert rate("Ja. Das Café ist zu.", passages=("Das Café ist zu. Das Bad ist offen.",)).value == 1
    assert rate("不可以。报告由医生解释。", passages=("报告由医生解释。",)).value == 1


@pytest.mark.parametrize("text", ["No, you cannot. {0}", "No. {0}", "{0} Yes.", "{0} So are you."])
def test_beside_allowed_sentences_a_verdict_is_no_support(text):
    allowed = "Our customer service can help you further."
    result = rate(text.format(allowed), allow=[allowed])

    assert not isinstance(result, Score)
    assert "cannot read" in result.error


@pytest.mark.parametrize(
    ("source", "right", "lie"),
    [
        (
            "Der Vermieter bezahlt Reparaturen über 100 Euro. Stellen Sie Schuhe niemals auf die Heizung.",
            "Reparaturen über 100 Euro bezahlt der Vermieter.",
            "Stellen Sie Schuhe immer auf die Heizung.",
        ),
        (
            "Le billet peut être échangé jusqu'à une heure avant le départ. Les vélos sont admis.",
            "Vous pouvez échanger le billet jusqu'à une heure avant le départ.",
            "Le billet peut être échangé jusqu'à une heure après le départ.",
        ),
        (
            "El cliente paga las piezas. Los neumáticos usados no se pueden devolver en la tienda.",
            "El cliente paga las piezas.",
            "Los neumáticos usados se pueden devolver en la tienda.",
        ),
        ("报告由医生解释。手术前六小时不得进食。", "手术前六小时不得进食。", "手术前六小时可以进食。"),
        (
            "雑誌の最新号は貸し出しできません。本は二週間借りられます。",
            "本は二週間借りられます。",
            "雑誌の最新号は貸し出しできます。",
        ),
    ],
)
def test_other_languages(source, right, lie):
    assert is_green(rate(right, passages=(source,)))
    assert not is_green(rate(lie, passages=(source,)))
    assert not is_green(rate(f"{right} {lie}", passages=(source,)))


GOLDEN = """
version: 1
checks: {supported: {allow: ["Is there anything else?"]}}
cases:
  - {id: right, input: right}
  - {id: added, input: added}
  - {id: unread, input: unread}
"""
ANSWERS = {
    "right": "Most repairs take 4 weeks. Is there anything else?",
    "added": "Most repairs take 4 weeks. You will get the repair and a second pair as a present.",
    "unread": "De meeste reparaties duren niet meer dan vier weken en zijn ook voor u gratis.",
}


def test_golden_runs_count_the_worst_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    path = tmp_path / "golden.yaml"
    path.write_text(GOLDEN)
    run = run_golden(
        load_golden(path, root=tmp_path),
        lambda question: Output(text=ANSWERS[question], passages=(Passage(id="p", text=BOOTS),)),
    )
    by_case = {result.case.rpartition("::")[2]: result for result in run.results}

    assert by_case["right"].scores[0].value == 1
    assert by_case["added"].scores[0].value < 0.5
    assert not by_case["unread"].scores
    assert "cannot read" in by_case["unread"].failures[0].error


def test_most_lies_of_held_documents_are_found():
    """No weight and no bound was chosen on these; the page of the metric has the figures."""
    items = [item for item in list_written() if item.half == "held" and item.source == "written"]
    samples = [as_sample(item) for item in items]
    rows = [{"output": each.output, "input": each.input, "reference": each.reference} for each in samples]
    results = score("supported", rows, options={"against": ["passages"]})
    red = [not isinstance(result, Score) or result.value < 0.5 for result in results]
    lies = [is_red for is_red, item in zip(red, items, strict=True) if not item.supported]
    appended = [is_red for is_red, item in zip(red, items, strict=True) if item.kind == "appended"]
    right = [is_red for is_red, item in zip(red, items, strict=True) if item.supported]

    assert len(lies) > 80
    assert sum(lies) >= 0.88 * len(lies)
    assert sum(appended) >= 0.95 * len(appended)
    assert sum(right) <= 0.5 * len(right)
