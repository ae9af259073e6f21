"""An output that refuses, asks back or says the opposite of the reference is no answer."""

# ruff: noqa: RUF001 - Chinese has its own marks

from __future__ import annotations

import pytest

from pytest_llmops import Score
from tests.scoring import score_one


def rate(text, question, reference=None):
    return score_one("answers", text, {}, input=question, reference=reference)


@pytest.mark.parametrize(
    ("question", "reference", "text", "value"),
    [
        ("Can I return it?", "No, it cannot be returned.", "No. Washed items stay with you.", 1),
        ("Can I return it?", "No, it cannot be returned.", "Yes, you can.", 0),
        ("Can I return it?", "Yes, within 60 days.", "It depends on the item.", 0),
        ("Can I return it?", "It depends on the item.", "It depends.", 1),
        ("I washed it. Can the coat be returned?", "No.", "The coat cannot be returned.", 1),
        ("I washed it. Can the coat be returned?", "No.", "The coat can be returned.", 0),
        ("Is it okay to dry boots on the heater?", "No, never do that.", "Newspaper inside helps.", 0.5),
        ("Can I return it?", None, "Yes.", 1),
        ("Can I return it?", "You have 30 days for that.", "No, never.", 0.5),
        ("Can I return it?", "You have 30 days for that.", "Newspaper inside helps.", 0.5),
        ("What does it cost?", "It costs £5.", "£5.", 1),
        ("What does it cost?", "It costs £5.", "I am sorry, I could not find any information about that.", 0),
        ("What does it cost?", "It costs £5.", "Which item do you mean?", 0),
        ("What does it cost?", "I could not find that in our documents.", "It costs £5.", 0),
        ("What does it cost?", "I could not find that.", "I am sorry, I don't know.", 1),
        (
            "What does it cost?",
            "It costs £5.",
            "It costs £5. I could not find the price of the other one.",
            1,
        ),
        ("What does it cost?", "It costs £5.", "  ", 0),
        ("What does it cost?", "It costs £5.", "That is something I can't speak to.", 0),
        ("What does it cost?", "It costs £5.", "I'd rather not go into that.", 0),
        ("What does it cost?", "It costs £5.", "You would need to ask someone else.", 0),
        ("What does it cost?", "It costs £5.", "The text does not state what it costs.", 0),
        ("What does it cost?", "It costs £5.", "There is nothing about that in my sources.", 0),
        ("What does it cost?", "It costs £5.", "Not sure.", 0),
        ("What does it cost?", "It costs £5.", "An exception occurred.", 0),
        ("What does it cost?", "It costs £5.", "I'm afraid this information is unavailable.", 0),
        ("What does it cost?", "It costs £5.", "Unfortunately our systems are experiencing difficulties.", 0),
        ("What does it cost?", "It costs £5.", "Let me transfer you.", 0),
        ("What does it cost?", "It costs £5.", "None", 0),
        ("What does it cost?", "It costs £5.", "Sorry.", 0),
        ("What does it cost?", "It costs £5.", "null", 0),
        ("What does it cost?", "It costs nothing.", "Nothing.", 1),
        ("How many are left?", "There are none left.", "None.", 1),
        ("How many are left?", "There are no tents left.", "None.", 1),
        ("How often?", "Never.", "Never.", 1),
        ("What is missing?", "The source.", "The source is not mentioned.", 1),
        ("What is the error?", "The address was not found.", "The error means that it is unknown.", 1),
        ("Which language do you speak?", "We speak German.", "We do not speak English.", 1),
        ("Who decides?", "The dean decides.", "You need to ask the dean.", 1),
        ("Do you repair sandals?", "No, only boots.", "We don't do that.", 0.5),
        ("Are you open on Sunday?", "We are closed on Sundays.", "Yes, we are open on Sundays.", 0),
        ("Are you open on Sunday?", "We are closed on Sundays.", "No problem, we are open.", 0),
        ("Are you open on Sunday?", "We are closed on Sundays.", "No, not on Sundays.", 1),
        ("Is it free?", "Guests pay £5.", "Yes, it is free.", 0.5),
        ("Can I return it after a year?", "You can return it within 60 days.", "You can after a year.", 0.5),
        ("Can I return it after a year?", "You can return it within 60 days.", "Yes, you can.", 0),
        ("Can I return it after a year?", "You can return it within 60 days.", "No, only within 60 days.", 1),
        ("Do I pay before delivery?", "You pay after delivery.", "Yes, before delivery.", 0),
        ("Ist montags geöffnet?", "Montags ist geschlossen.", "Ja.", 0),
        ("Ist montags geöffnet?", "Montags ist geschlossen.", "Nein, montags ist zu.", 1),
        ("Was kostet es?", "Es kostet 5 Euro.", "Dazu möchte ich nichts sagen.", 0),
        ("Was kostet es?", "Es kostet 5 Euro.", "Es ist ein Fehler aufgetreten.", 0),
        ("Was kostet es?", "Es kostet 5 Euro.", "Diese Information ist nicht verfügbar.", 0),
        ("Combien ça coûte ?", "Il coûte 5 euros.", "Les sources n'en parlent pas.", 0),
        ("Le musée est-il ouvert ?", "Le musée est fermé.", "Oui, il est ouvert.", 0),
        ("Le musée est-il ouvert ?", "Le musée est fermé.", "Non, il est fermé.", 1),
        ("Combien ça coûte ?", "Il coûte 5 euros.", "Je préfère ne pas en parler.", 0),
        ("Darf ich hier grillen?", "Nein, das ist verboten.", "Ja, das dürfen Sie.", 0),
        ("Darf ich hier grillen?", "Nein, das ist verboten.", "Nein, das geht nicht.", 1),
        ("Darf ich hier grillen?", "Nein, das ist verboten.", "Leider kann ich Ihnen nicht helfen.", 0),
        ("Puis-je échanger mon billet ?", "Oui, gratuitement.", "Non, ce n'est pas possible.", 0),
        ("Puis-je échanger mon billet ?", "Oui, gratuitement.", "Oui, jusqu'à une heure avant.", 1),
        ("¿Puedo devolver el coche?", "Sí, hasta el viernes.", "No, no se puede devolver.", 0),
        ("¿Puedo devolver el coche?", "Sí, hasta el viernes.", "Sí, puede devolverlo.", 1),
        (
            "When does the ferry sail?",
            "At noon.",
            "Sorry, I have no information on that. Do ask ashore. The clerks are kind. They speak Danish.",
            0,
        ),
        (
            "When does the ferry sail?",
            "At noon.",
            "I cannot say when it is back. The ferry sails at noon. Its second trip is at six.",
            1,
        ),
        ("When does the ferry sail?", "At noon.", "Yes.", 0),
        ("When does the ferry sail?", "It never sails.", "Never.", 1),
        ("Wann fährt die Fähre?", "Um zwölf.", "Nein.", 0),
        ("Can you tell me whether dogs are allowed?", "Dogs are allowed on a lead.", "Yes.", 1),
        ("Ich möchte wissen, ob Hunde erlaubt sind.", "Hunde sind erlaubt.", "Ja.", 1),
        (
            "What should I pack?",
            "Sturdy boots and water.",
            "I am not sure about the weather. Good shoes are a must. Drinks help too. A hat is useful.",
            1,
        ),
        ("Is mooring free?", "Yes, mooring is free.", "Yes.", 1),
        ("Is mooring free?", "Yes, mooring is free.", "No.", 0),
        ("手术前可以吃东西吗？", "不可以，不得进食。", "可以，您能吃东西。", 0),
        ("手术前可以吃东西吗？", "不可以，不得进食。", "不可以。", 1),
        ("最新号は借りられますか。", "いいえ、借りられません。", "はい、借りられます。", 0),
    ],
)
def test_the_verdict_and_the_refusal_are_those_of_the_reference(question, reference, text, value):
    result = rate(text, question, reference)

    assert isinstance(result, Score), result
    assert result.value == value
    assert bool(result.reason) is (value < 1)


@pytest.mark.parametrize(
    ("question", "reference", "text", "error"),
    [
        ("What does it cost?", None, "It costs £5.", "nothing to compare with"),
        ("Can I return it?", None, "I am sorry, I don't know.", "cannot tell whether a refusal is due"),
        ("신발을 반품할 수 있나요?", "네.", "아니요, 반품할 수 없습니다.", "cannot read the language"),
    ],
)
def test_what_cannot_be_judged_is_an_error(question, reference, text, error):
    result = rate(text, question, reference)

    assert not isinstance(result, Score)
    assert error in result.error
