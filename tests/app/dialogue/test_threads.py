"""What is kept of each asker."""

from __future__ import annotations

import threading

import pytest

from reference_app.dialogue import threads
from reference_app.dialogue.threads import MAX_TURNS, Threads, Turn
from reference_app.errors import QuestionError


def said(text):
    return Turn(role="user", content=text)


@pytest.fixture
def forgotten():
    return []


@pytest.fixture
def known(forgotten):
    return Threads(forgotten.append)


def test_each_asker_has_turns_of_its_own(known):
    known.note("a", said("1"))
    known.note("b", said("2"))

    assert (known.recall("a"), known.recall("b"), known.recall("c")) == ([said("1")], [said("2")], [])


def test_the_last_turns_are_kept(known):
    for number in range(20):
        known.note("a", said(str(number)))

    assert [turn["content"] for turn in known.recall("a")] == [str(n) for n in range(20 - MAX_TURNS, 20)]


def test_what_is_recalled_is_a_copy(known):
    known.note("a", said("1"))
    known.recall("a").clear()

    assert known.recall("a") == [said("1")]


def test_what_waits_is_taken_once(known, forgotten):
    known.wait("a", "x")

    assert [known.take(name) for name in ("b", "a", "a")] == [None, "x", None]
    assert forgotten == []


def test_a_later_question_takes_the_place_of_what_waits(known, forgotten):
    known.wait("a", "x")
    known.wait("a", "y")

    assert (forgotten, known.take("a")) == (["x"], "y")


def test_a_name_that_has_become_another_customer_s_keeps_nothing_of_the_first(known, forgotten):
    known.note("a", said("1"), customer=7)
    known.note("a", said("2"), customer=8)
    known.wait("a", "x", 7)
    known.wait("a", "y")

    assert (known.recall("a", 7), known.take("a"), forgotten) == ([said("1")], "x", ["y"])
    for customer in (8, None):
        with pytest.raises(QuestionError, match="begun by another customer"):
            known.recall("a", customer)


def test_who_was_silent_longest_is_forgotten_with_what_waits(known, forgotten, monkeypatch):
    monkeypatch.setattr(threads, "MAX_THREADS", 2)
    known.wait("a", "x")
    known.note("b", said("1"))
    known.note("a", said("2"))
    known.note("c", said("3"))
    assert (known.recall("b"), known.take("a"), forgotten) == ([], "x", [])

    known.wait("a", "y")
    known.note("d", said("4"))
    known.note("e", said("5"))
    assert (known.recall("a"), known.take("a"), forgotten) == ([], None, ["y"])


def test_of_all_that_waited_at_once_one_is_left(known, forgotten):
    start = threading.Barrier(8)

    def work(number):
        start.wait()
        for place in range(200):
            known.wait("a", f"{number}.{place}")

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    left = known.take("a")
    assert len({*forgotten, left}) == 1600
    assert len(forgotten) == 1599
