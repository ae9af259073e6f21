"""Whatever is asked, there is an answer or a clear error, in bounded time and calls."""

from __future__ import annotations

import json
import time

import pytest

from reference_app.errors import QuestionError

PLAN = json.dumps({"route": "documents", "calls": []})
MAX_CHATS = 4 * 5  # four questions, each a plan, three attempts at a query, and an answer
MAX_VECTORS = 4 * 3
SECONDS = 5
USER = {"role": "user", "content": "Where is FW-20001?"}
QUESTIONS = {
    "and": "and " * 500,
    "marks": "?" * 50,
    "spaced marks": "? " * 50,
    "punctuation": "!?.,;:—…()[]{}<>/\\|'\"",
    "orders": " ".join(f"FW-{20000 + number}" for number in range(30)),
    "asked orders": f"Where are {', '.join(f'FW-{20000 + number}' for number in range(30))}?",
    "emoji": "🏔️" * 900,
    "combining": "how h\u0337\u0322e\u0338a\u0334v\u0335y is the te\u0301nt?",
    "control": "\x00\x1b[2J how \u202e heavy?",
    "surrogate": "how \ud800 heavy?",
    "digits": "\u0643\u0645 FW-\u0662\u0660\u0660\u0660\u0661",
    "wide": "Where is \uff26\uff37\uff0d\uff12\uff10\uff10\uff10\uff11?",
    "braces": "{0} {order_id} {{}} %s ${x} FW-20001 where",
    "dates": "bought 99.99.9999, 0000-00-00, 31 feb 2026 and 999999999999 years ago, can I return?",
    "years": f"{'9' * 500} years ago",
    "starts": "what and when and where and how and why and who? " * 40,
    "questions": "Where is it? " * 150,
    "four": "Do you rent family tents? Do you sell winter gloves? Do you patch jackets? Do you wash bags?",
    "history": {"question": "And that?", "history": [USER] * 1000},
    "huge turns": {"question": "And that?", "history": [USER | {"content": "where is it, " * 80_000}] * 9},
    "surrogate turn": {"question": "And that?", "history": [{"role": "user", "content": "\ud800"}]},
    "turns": ["Where is FW-20001?"] * 1000,
    "german": "Wie schwer ist das Kestrel Zelt und wo ist meine Bestellung?",
    "spanish": "¿Cuánto pesa la tienda Kestrel? ¿Dónde está mi pedido?",
    "french": "Quel est le poids de la tente Kestrel, et où est ma commande ?",
    "italian": "Quanto pesa la tenda Kestrel e dove è il mio ordine?",
    "dutch": "Hoe zwaar is de Kestrel tent en waar is mijn bestelling?",
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_odd_question_is_answered(open_here, server, name):
    question = QUESTIONS[name]
    app = open_here(PLAN)
    server.requests.clear()  # of the documents
    started = time.perf_counter()
    record = app.answer(question[:2000] if isinstance(question, str) else question)

    assert time.perf_counter() - started < SECONDS
    assert record["text"].strip()
    assert len(record["tool_calls"]) <= 16
    chats = sum("messages" in request for request in server.requests)
    assert 1 <= chats <= MAX_CHATS
    assert len(server.requests) - chats <= MAX_VECTORS
    json.dumps(record).encode()


def test_the_most_calls_of_one_message(open_here, server):
    """Four questions for the database, each of which the model answers with what is no query."""
    app = open_here('{"route": "database", "calls": []}')
    server.requests.clear()
    app.answer(QUESTIONS["four"])

    chats = sum("messages" in request for request in server.requests)
    assert 4 < chats <= MAX_CHATS
    assert len(server.requests) - chats <= MAX_VECTORS


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("german", "Wir antworten auf Englisch:"),
        ("spanish", "Respondemos en inglés:"),
        ("french", "Nous répondons en anglais :"),
        ("italian", "Rispondiamo in inglese:"),
        ("dutch", "Wij antwoorden in het Engels:"),
    ],
)
def test_a_question_in_another_language_is_answered_in_english(open_here, name, said):
    assert open_here(PLAN).answer(QUESTIONS[name])["text"].startswith(said)


@pytest.mark.parametrize("question", ["Where is order #12345?", "Where is FW-123?", "Where is FW-1234567?"])
def test_a_number_of_another_form_is_asked_for_again(open_here, question):
    record = open_here(PLAN).answer(question)
    assert record["text"].startswith("Which order is it?")
    assert record["tool_calls"] == []


@pytest.mark.parametrize(
    "question",
    [
        "", " \n", None, 5, b"x", [], (), [1, 2], [None], [""], {}, {"history": []}, object(),
        {"question": ["a"]},
        {"question": "x", "history": 5}, {"question": "x", "history": "abc"},
        {"question": "x", "history": {"role": "user", "content": "a"}}, {"question": "x", "history": [5]},
        {"question": "x", "history": [{"role": "system", "content": "a"}]},
        {"question": "x", "history": [{"role": "user", "content": 1}]},
        {"question": "x", "history": [{"role": ["user"], "content": "a"}]},
        {"question": "x", "history": [{"role": "user", "content": "a", "name": "b"}]},
    ],
)  # fmt: skip
def test_what_is_no_question_is_explained(open_here, question):
    with pytest.raises(QuestionError):
        open_here(PLAN).answer(question)
