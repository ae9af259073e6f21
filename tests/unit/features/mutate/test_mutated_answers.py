"""Answers made wrong on purpose: what each kind changes, in each language, and what it leaves alone."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmops.features.mutate.answers import FALSE_KINDS, KINDS, Mutant, answer_mutants


def mutants(answer, *, question="", reference=None, passages=(), others=(), seed="1") -> dict[str, Mutant]:
    made = answer_mutants(
        answer, question=question, reference=reference, passages=passages, others=others, seed=seed
    )
    return {mutant.kind: mutant for mutant in made}


# Answer, and a pattern of the whole answer as changed.
CHANGED = [
    # --- number
    ("number", "The museum has 14 rooms.", r"The museum has (?!14 )\d+ rooms\."),
    ("number", "The ferry costs £12.50 for one car.", r"The ferry costs £(?!12)\d+\.50 for one car\."),
    ("number", "The city has 1,250,000 inhabitants.", r"The city has (?!1,250)\d,\d{3},\d{3} inhabitants\."),
    ("number", "The lift is out of order on the 3rd floor.", r"The lift is .* the (2nd|[4-9]th) floor\."),
    ("number", "The desk answers within two hours.", r"The desk answers within (three|four|five|six|seven|eight) hours\."),
    ("number", "It is an 8-day journey to the pole.", r"It is an? (?!8)\d+-day journey to the pole\."),
    ("number", "Das Zimmer kostet 1.250 Euro im Monat.", r"Das Zimmer kostet (?!1\.250)(\d\.)?\d{3} Euro im Monat\."),
    ("number", "Die Prüfung dauert drei Stunden und ist mündlich.", r"Die Prüfung dauert (?!drei)\w+ Stunden und ist mündlich\."),
    ("number", "Le billet coûte 7,50 € pour les enfants.", r"Le billet coûte (?!7)\d+,50 € pour les enfants\."),
    ("number", "El museo tiene 14 salas y un jardín.", r"El museo tiene (?!14 )\d+ salas y un jardín\."),
    ("number", "押金为300元，退房后退还。", r"押金为(?!300)\d+元，退房后退还。"),
    ("number", "包裹会在五天后送达。", r"包裹会在[^五]+天后送达。"),
    ("number", "Muzeum ma 14 sal.", r"Muzeum ma (?!14 )\d+ sal\."),  # a language without words of its own
    # --- date
    ("date", "The office closes on 24 December.", r"The office closes on (?!24 Dec)\d+ \w+\."),
    ("date", "She was elected on March 4, 1997.", r"She was elected on (?!March 4)\w+ \d+, 1997\."),
    ("date", "The treaty was signed in 1648.", r"The treaty was signed in (?!1648)1\d{3}\."),
    ("date", "Orders placed before 15:00 leave the same day.", r"Orders placed before (?!15)\d\d?:00 leave the same day\."),
    ("date", "The library is closed on Mondays.", r"The library is closed on (?!Monday)\w+days\."),
    ("date", "Die Anmeldung endet am 3. März 2027.", r"Die Anmeldung endet am (?!3\. März)\d+\. \w+ 2027\."),
    ("date", "Das Büro öffnet um 9 Uhr und schließt mittags.", r"Das Büro öffnet um (?!9 )\d+ Uhr und schließt mittags\."),
    ("date", "La foire commence le 14 juillet et dure dix jours.", r"La foire commence le (?!14 juillet)\d+ [a-zéû]+ et dure dix jours\."),
    ("date", "El plazo termina el 5 de mayo de 2027.", r"El plazo termina el (?!5 de mayo)\d+ de \w+ de 2027\."),
    ("date", "展览于2026年3月4日开幕。", r"展览于2026年(?!3月4日)\d+月\d+日开幕。"),
    ("date", "Termin: 2026-02-28", r"Termin: 2026-(?!02-28)\d\d-\d\d"),
    # --- unit
    ("unit", "The guarantee lasts 5 years.", r"The guarantee lasts 5 months\."),
    ("unit", "The ferry costs £12.50 per car.", r"The ferry costs €12\.50 per car\."),
    ("unit", "The late fee is 20 pence per day.", r"The late fee is 20 pence per week\."),
    ("unit", "The parcel may weigh 20 kg.", r"The parcel may weigh 20 g\."),
    ("unit", "Die Garantie gilt 24 Monate ab dem Kauf.", r"Die Garantie gilt 24 Jahre ab dem Kauf\."),
    ("unit", "Le colis arrive dans 3 jours et il est suivi.", r"Le colis arrive dans 3 mois et il est suivi\."),
    ("unit", "El paquete llega en 6 semanas y es para usted.", r"El paquete llega en 6 horas y es para usted\."),
    ("unit", "保修期为3个月。", r"保修期为3年。"),
    # --- negation
    ("negation", "Dogs can be taken on the ferry.", r"Dogs cannot be taken on the ferry\."),
    ("negation", "Never store the acid in metal cans.", r"Always store the acid in metal cans\."),
    ("negation", "Clothing that has been dyed cannot be exchanged.", r"Clothing that has been dyed can be exchanged\."),
    ("negation", "No, dogs are not allowed on board.", r"Yes, dogs are allowed on board\."),
    ("negation", "Yes. The pool is open to visitors.", r"No. The pool is not open to visitors\."),
    ("negation", "There is no entry fee.", r"There is an entry fee\."),
    ("negation", "Nein, Hunde dürfen nicht in den Saal.", r"Ja, Hunde dürfen in den Saal\."),
    ("negation", "Der Gutschein ist für alle Kurse gültig.", r"Der Gutschein ist nicht für alle Kurse gültig\."),
    ("negation", "Les chiens ne sont pas admis dans le musée.", r"Les chiens sont admis dans le musée\."),
    ("negation", "Le billet peut être échangé au guichet.", r"Le billet ne peut pas être échangé au guichet\."),
    ("negation", "No, los perros no pueden entrar en la sala.", r"Sí, los perros pueden entrar en la sala\."),
    ("negation", "La entrada es válida para todo el día.", r"La entrada no es válida para todo el día\."),
    ("negation", "门票可以在柜台退换。", r"门票不可以在柜台退换。"),
    ("negation", "水族馆内不能使用闪光灯。", r"水族馆内可以使用闪光灯。"),
    # --- actor
    ("actor", "We bear the cost of the appraisal.", r"You bear the cost of the appraisal\."),
    ("actor", "The tenant pays for small repairs.", r"The landlord pays for small repairs\."),
    ("actor", "Der Käufer trägt die Kosten der Prüfung.", r"Der Verkäufer trägt die Kosten der Prüfung\."),
    ("actor", "Le locataire paie les petites réparations de la maison.", r"Le propriétaire paie les petites réparations de la maison\."),
    ("actor", "El inquilino paga las reparaciones de la casa.", r"El propietario paga las reparaciones de la casa\."),
    ("actor", "维修费由买家承担。", r"维修费由卖家承担。"),
    # --- condition
    ("condition", "The deposit is returned if the room is clean.", r"The deposit is returned unless the room is clean\."),
    ("condition", "Rinse the lens before you insert it, at least 20 seconds.", r"Rinse the lens before you insert it, at most 20 seconds\."),
    ("condition", "Everything is included except the drinks.", r"Everything is included including the drinks\."),
    ("condition", "Die Probe dauert mindestens 20 Minuten.", r"Die Probe dauert höchstens 20 Minuten\."),
    ("condition", "Le test dure au moins 20 minutes et il est gratuit.", r"Le test dure au plus 20 minutes et il est gratuit\."),
    ("condition", "Se paga antes de la entrega en la tienda.", r"Se paga después de la entrega en la tienda\."),
    ("condition", "测试至少需要20分钟。", r"测试最多需要20分钟。"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "answer", "changed"), CHANGED)
def test_a_kind_changes_what_the_answer_asserts(kind, answer, changed):
    for seed in "123":
        mutant = mutants(answer, seed=seed)[kind]
        assert re.fullmatch(changed, mutant.text), mutant.text
        assert " → " in mutant.change or mutant.change.startswith("without ")


LEFT_ALONE = [
    ("number", "Order FW-10430 is in the depot.", {}),
    ("number", "Press F5 and open example.org/page/12 there.", {}),
    ("number", "Run `retry --times 12` in the shell.", {}),
    ("number", "The Corrie 65 is a pack for long tours.", {}),
    ("number", "Call the desk at 030 901820 44 for help.", {}),
    ("number", "Open step 3 of the guide.", {}),
    ("number", "The 12 rooms are all of the same size.", {"question": "Why are there 12 rooms?"}),
    ("date", "The Stonebeck 1794 Edition is a book of maps.", {}),
    ("date", "As of 2016 the tower is the tallest in town.", {}),
    ("unit", "Skiing is more than 100 centuries old.", {}),
    ("name", "The bakery is in Stonebeck.", {}),  # there is no other name to be had
    ("negation", "Some of the rooms can be booked by the hour.", {}),  # and some cannot
    ("negation", "Not only members can book the rooms of the club.", {}),
    ("negation", "I am sorry, I could not find any information about that.", {}),
    ("actor", "Lisbon is the capital of Portugal and lies on the Tagus.", {}),
    ("condition", "The sauce is named after its inventor.", {}),
    ("first_sentence", "The ferry leaves at noon.", {}),
    ("first_sentence", "The ferry leaves at noon. It is blue.", {"reference": "The ferry leaves at noon."}),
    ("apology", "I am sorry, I could not find any information about that.", {}),
    ("passages_verbatim", "It leaves at noon.", {"passages": ["The ferry leaves at noon every day."], "reference": "The ferry leaves at noon."}),
    ("another_answer", "It leaves at noon.", {"others": ["The ferry leaves at noon, daily."], "reference": "The ferry leaves at noon."}),
    ("another_answer", "I could not find any information.", {"others": ["I am sorry, I cannot help with that."]}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "answer", "given"), LEFT_ALONE)
def test_a_kind_leaves_alone_what_might_stay_right(kind, answer, given):
    assert kind not in mutants(answer, **given)


def test_the_number_of_the_reference_is_changed_rather_than_another():
    answer = "Parcels of up to 15 kg go by post. A lost card costs £4.00 and is replaced in 3 days."
    mutant = mutants(answer, question="What does a new card cost?", reference="A new card costs £4.00.")
    assert "£4.00" not in mutant["number"].text
    assert "15 kg" in mutant["number"].text


def test_a_number_that_a_passage_has_is_no_false_one():
    passages = ["Rooms are held for 3 days, suites for 10 and 12, flats for 14, 7, 8, 9, 15, 11 or 13 days."]
    for seed in "123456":
        made = mutants("The room is held for 5 days.", passages=passages, seed=seed)
        if "number" in made:
            assert made["number"].text not in {f"The room is held for {n} days." for n in (3, 7, 8, 9, 10)}


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
    passages = [
        "You can bring the ring back within 14 days. Engraved rings can be exchanged within 30 days of the sale."
    ]
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


TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            "The a 60 days £3.50 is not can cannot if before Lisbon Redwing Couriers 4 March 2026 15:00 never you we "
            "- | ``` ` [a#b] \n . , ! \0 \ud800 1,000 nicht Die und dans est pas no son 可以 天 30 至少 。 𝟙 ⅔ ² ①".split(
                " "
            )
        ),
        max_size=40,
    ).map(" ".join),
)


@settings(max_examples=150, deadline=None)
@given(
    answer=TEXTS, question=TEXTS, reference=st.none() | TEXTS, passages=st.lists(TEXTS, max_size=3), others=st.lists(TEXTS, max_size=3), seed=st.text(max_size=4),
)  # fmt: skip
def test_any_texts_give_mutants_that_differ_at_most_one_a_kind(
    answer, question, reference, passages, others, seed
):
    def make() -> list[Mutant]:
        return answer_mutants(
            answer, question=question, reference=reference, passages=passages, others=others, seed=seed
        )

    made = make()
    kinds = [mutant.kind for mutant in made]
    assert kinds == [kind for kind in KINDS if kind in kinds]
    assert all(mutant.text != answer and mutant.text.strip() and mutant.change for mutant in made)
    assert make() == made


@pytest.mark.parametrize(
    "part",
    ["a", "1", "1,", "-A", "A-", " not", "is ", "` ", "```", "[", "<", "(", "a@", "12.", "\n1. ", "|", "Ab ", "天", "一", "if, ", "\0", "`` ", "http://", "_a", "e\u0301", "2026 ", "£", "by the worker "],
)  # fmt: skip
def test_time_is_bounded_for_hostile_texts(part):
    text = part * (1_000_000 // len(part))
    start = time.process_time()
    answer_mutants(text, question=text, reference=text, passages=[text, text], others=[text], seed="1")
    assert time.process_time() - start < 10
