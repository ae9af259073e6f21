"""
Rankings whose values were worked out with pytrec_eval-terrier 0.5, which runs trec_eval's own code.

To work them out again: `pip install pytrec_eval-terrier`, then `RelevanceEvaluator(qrels, {"recall.3",
"P.3", "success.3", "recip_rank", "ndcg_cut.3", "ndcg_cut.10", "map", "map_cut.3"})` on a run that scores
the letters of a ranking 26, 25, 24 …
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import Output, Passage, Score
from tests.scoring import refuse, score_one

FAMILIES = ["recall@3", "precision@3", "hit@3", "mrr", "ndcg@3", "map"]


def sample(retrieved: str | None, relevant: str) -> dict:
    """Ids of one letter each."""
    passages = None if retrieved is None else tuple(Passage(id=each) for each in retrieved)
    return row(passages, relevant)


def texts(*passages: str, relevant: tuple[str, ...]) -> dict:
    """Passages without ids."""
    return row(tuple(Passage(id="", text=text) for text in passages), relevant)


def row(passages, relevant) -> dict:
    return {"output": Output(text="", passages=passages), "relevant": [*relevant]}


def score(name: str, one: dict, **options: object) -> Score:
    result = score_one(name, options=options, **one)
    assert isinstance(result, Score), result
    return result


# ranking, grades, and recall@3, precision@3, hit@3, mrr, ndcg@3, ndcg@10, map, map with k = 3
PARITY = [
    ("abc", {"a": 1}, (1, 0.333333333, 1, 1, 1, 1, 1, 1)),
    ("abc", {"c": 1}, (1, 0.333333333, 1, 0.333333333, 0.5, 0.5, 0.333333333, 0.333333333)),
    ("abc", {"a": 1, "c": 1}, (1, 0.666666667, 1, 1, 0.919720789, 0.919720789, 0.833333333, 0.833333333)),
    (
        "abcde",
        {"a": 1, "e": 1, "x": 1},
        (0.333333333, 0.333333333, 1, 1, 0.469278726, 0.650820519, 0.466666667, 0.333333333),
    ),
    ("ab", {"a": 1, "b": 1}, (1, 0.666666667, 1, 1, 1, 1, 1, 1)),
    ("xyz", {"a": 1}, (0, 0, 0, 0, 0, 0, 0, 0)),
    (
        "dcba",
        {"a": 3, "b": 2, "c": 1, "d": 0},
        (0.666666667, 0.666666667, 1, 0.5, 0.342498503, 0.613827313, 0.638888889, 0.388888889),
    ),
    ("abcd", {"a": 3, "b": 2, "c": 1, "d": 0}, (1, 1, 1, 1, 1, 1, 1, 1)),
    (
        "xaybzc",
        {"a": 2, "b": 1, "c": 2, "q": 3},
        (0.25, 0.333333333, 1, 0.5, 0.239812467, 0.422474344, 0.375, 0.125),
    ),
    (
        "nab",
        {"n": -1, "a": 1, "b": 2},
        (1, 0.666666667, 1, 0.5, 0.619906233, 0.619906233, 0.583333333, 0.583333333),
    ),
    ("abn", {"n": -2, "a": 1, "m": -1, "c": 4}, (0.5, 0.333333333, 1, 1, 0.215939358, 0.215939358, 0.5, 0.5)),
    (
        "abcdefghijkl",
        {"l": 1, "a": 2, "f": 5},
        (0.333333333, 0.333333333, 1, 1, 0.295776627, 0.559171029, 0.527777778, 0.333333333),
    ),
    (
        "a",
        {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1, "i": 1, "j": 1, "k": 1, "l": 1},
        (0.0833333333, 0.333333333, 1, 1, 0.469278726, 0.220091766, 0.0833333333, 0.0833333333),
    ),
    (
        "zyxabc",
        {"a": 1, "b": 1, "c": 1, "z": 1},
        (0.25, 0.333333333, 1, 1, 0.469278726, 0.848583384, 0.691666667, 0.25),
    ),
    ("bacd", {"a": 1, "b": 1, "c": 1, "d": 1}, (0.75, 1, 1, 1, 1, 1, 1, 0.75)),
]
MEASURES: list[tuple[str, dict[str, int]]] = [
    ("recall@3", {}),
    ("precision@3", {}),
    ("hit@3", {}),
    ("mrr", {}),
    ("ndcg@3", {}),
    ("ndcg@10", {}),
    ("map", {}),
    ("map", {"k": 3}),
]


@pytest.mark.parametrize(("retrieved", "grades", "values"), PARITY)
def test_values_are_those_of_trec_eval(retrieved, grades, values):
    one = sample(retrieved, "".join(name for name, grade in grades.items() if grade >= 1))

    for (name, options), value in zip(MEASURES, values, strict=True):
        given_grades = {"grades": grades} if name.startswith("ndcg") else {}
        assert score(name, one, **options, **given_grades).value == pytest.approx(value, abs=1e-8), name


@pytest.mark.parametrize(
    ("retrieved", "relevant", "k", "recall", "precision"),
    [
        ("abc", "a", 1, 1.0, 1.0),
        ("abcde", "aex", 5, 2 / 3, 2 / 5),
        ("ab", "ab", 10, 1.0, 2 / 10),  # k is past the list
        ("aab", "b", 2, 1.0, 1 / 2),  # a counts once, at its first rank
        ("ab", "aa", 1, 1.0, 1.0),  # so does a relevant id
        ("", "a", 5, 0.0, 0.0),
        ("abcdefghij", "abcdefghix", 10, 9 / 10, 9 / 10),
    ],
)
def test_duplicates_count_once_and_places_may_be_empty(retrieved, relevant, k, recall, precision):
    one = sample(retrieved, relevant)

    assert score(f"recall@{k}", one).value == recall
    assert score(f"precision@{k}", one).value == precision


@pytest.mark.parametrize("name", FAMILIES)
def test_an_empty_ranking_scores_zero(name):
    result = score(name, sample("", "a"))

    assert result.value == 0.0
    assert result.reason in {"missing: 'a'; nothing was retrieved", "3 of 3 places empty"}


@pytest.mark.parametrize(
    ("name", "retrieved", "relevant", "reason"),
    [
        ("recall@2", "abc", "ac", "too low: 'c' at rank 3; found: 'a' at rank 1"),
        ("recall@2", "abc", "acx", "missing: 'x'; too low: 'c' at rank 3; found: 'a' at rank 1"),
        ("recall@2", "abc", "x", "missing: 'x'; the first are 'a', 'b'"),
        ("recall@3", "abc", "ac", ""),
        ("precision@3", "ab", "a", "not relevant: 'b'; 1 of 3 places empty"),
        ("hit@2", "abc", "c", "too low: 'c' at rank 3; the first are 'a', 'b'"),
        ("hit@2", "abc", "bx", ""),
        ("mrr", "abc", "bc", "the first relevant passage is 'b' at rank 2"),
        ("mrr", "abc", "x", "missing: 'x'; the first are 'a', 'b', 'c'"),
        ("ndcg@3", "abc", "bc", "found: 'b' at rank 2, 'c' at rank 3"),
        ("map", "abcx", "abx", "found: 'a' at rank 1, 'b' at rank 2, 'x' at rank 4"),
        ("map", "ab", "ab", ""),
    ],
)
def test_the_reason_says_what_is_missing_and_where_the_rest_was_found(name, retrieved, relevant, reason):
    result = score(name, sample(retrieved, relevant))

    assert result.reason == reason
    assert result.metric == name


def test_the_evidence_holds_ranks():
    assert score("recall@2", sample("abc", "acx")).evidence == (
        {"found": {"a": 1, "c": 3}, "missing": ["x"], "retrieved": ["a", "b"]},
    )


def test_mrr_may_look_at_the_first_k_only():
    assert score("mrr", sample("abc", "c"), k=3).value == 1 / 3
    assert score("mrr", sample("abc", "c"), k=2).value == 0.0
    assert score("mrr", sample("abc", "c"), k=2).reason == "too low: 'c' at rank 3; the first are 'a', 'b'"


def test_the_order_given_wins_over_scores():
    """A library's scores may be distances, and a reranker leaves the first stage's as they were."""
    passages = (Passage(id="a", score=0.1), Passage(id="b", score=0.9))

    assert score("mrr", row(passages, ("a",))).value == 1.0


def test_grades_stand_for_relevant_and_beside_it():
    alone = score("ndcg@2", sample("ab", ""), grades={"a": 1, "b": 3})
    beside = score("ndcg@2", sample("ab", "a"), grades={"b": 3})
    overruled = score("ndcg@2", sample("ab", "ab"), grades={"a": 0})

    assert alone.value == beside.value == pytest.approx((1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3)))
    assert overruled.value == pytest.approx(1 / math.log2(3))


@pytest.mark.parametrize(
    ("one", "values"),
    [
        # recall@2, precision@2, hit@1, mrr, ndcg@3, map
        (
            texts("No.", "Within 60 DAYS of\n delivery.", relevant=("60 days",)),
            (1, 0.5, 0, 0.5, 1 / math.log2(3), 0.5),
        ),
        (texts("60 days", "also 60 days", relevant=("60 days",)), (1, 0.5, 1, 1, 1, 1)),
        (texts("60 days, free", "else", relevant=("60 days", "free")), (1, 0.5, 1, 1, 1, 1)),
        (texts("60 days", "60 days", "free", relevant=("free",)), (1, 0.5, 0, 0.5, 1 / math.log2(3), 0.5)),
        (texts("It\u2019s free", relevant=("it's free",)), (1, 0.5, 1, 1, 1, 1)),
        (texts("60 days", relevant=(" ",)), (0, 0, 0, 0, 0, 0)),
        (texts("60 days", relevant=("returns#window",)), (0, 0, 0, 0, 0, 0)),
    ],
)
def test_without_ids_the_first_text_that_holds_an_entry_is_it(one, values):
    for name, value in zip(["recall@2", "precision@2", "hit@1", "mrr", "ndcg@3", "map"], values, strict=True):
        assert score(name, one).value == pytest.approx(value), name


def test_the_reason_tells_that_texts_were_searched():
    told = score("recall@1", texts("x" * 500, relevant=("60 days",))).reason

    assert told.endswith("the passages have no ids, so their texts were searched")
    assert len(told) < 200


def test_one_id_is_enough_to_go_by_ids():
    passages = (Passage(id="", text="60 days"), Passage(id="a", text="free"), Passage(id="", text="60 days"))
    one = row(passages, ("60 days", "a"))

    assert score("recall@3", one).value == 0.5
    assert score("mrr", one).value == 0.5
    assert score("precision@3", one).value == 1 / 3


def test_passages_without_id_keep_their_places():
    passages = (Passage(id=""), Passage(id=""), Passage(id="a"))

    assert score("mrr", row(passages, ("a",))).value == 1 / 3


def test_a_section_does_not_stand_for_its_document():
    one = row((Passage(id="returns#window"),), ("returns",))

    assert score("recall@1", one).value == 0.0


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("one", "advice"),
    [
        (sample(None, "a"), "passages=\u2026"),
        (sample("a", ""), "`relevant:`"),
        (texts("", "", relevant=("a",)), "neither ids nor texts"),
    ],
)
def test_what_cannot_be_counted_is_no_zero(name, one, advice):
    result = score_one(name, options={}, **one)

    assert not isinstance(result, Score)
    assert advice in result.error


def test_grades_of_nothing_relevant_are_no_zero():
    result = score_one("ndcg@3", options={"grades": {"a": 0, "b": -1}}, **sample("ab", ""))

    assert not isinstance(result, Score)
    assert "above 0" in result.error


@pytest.mark.parametrize("k", [0, -1, 1.5, "3", True])
def test_k_is_a_whole_number_above_zero(k):
    refuse("map", "whole number", k=k)


@pytest.mark.parametrize(
    ("grades", "advice"),
    [
        ({1: 2}, "in quotes"),
        ({" ": 2}, "in quotes"),
        ({"a": "2"}, "finite number"),
        ({"a": True}, "finite number"),
        ({"a": math.inf}, "finite number"),
        ("a", "a mapping of ids"),
        (["a"], "for example"),
    ],
)
def test_wrong_grades_are_told_how_to_mend(grades, advice):
    refuse("ndcg@3", advice, grades=grades)


RANKINGS = st.text("abcdef", max_size=12)
RELEVANT = st.text("abcdef", min_size=1, max_size=6)


@given(RANKINGS, RELEVANT, st.integers(1, 15))
def test_recall_and_hit_grow_with_k_and_all_stay_in_range(retrieved, relevant, k):
    one = sample(retrieved, relevant)
    for family in ("recall", "hit"):
        here, next_ = (score(f"{family}@{at}", one).value for at in (k, k + 1))
        assert 0.0 <= here <= next_ <= 1.0
    for name in (f"precision@{k}", f"ndcg@{k}", "map", "mrr"):
        assert 0.0 <= score(name, one).value <= 1.0


@given(RELEVANT, st.permutations("ghijkl"))
def test_relevant_passages_first_are_the_best_order(relevant, rest):
    one = sample("".join(dict.fromkeys(relevant)) + "".join(rest), relevant)

    for name in ("ndcg@4", "ndcg@40", "map", "mrr", "recall@6"):
        result = score(name, one)
        assert (result.value, result.reason) == (1.0, "")


@given(
    st.lists(st.text("abc ", max_size=6), max_size=6),
    st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4),
    st.integers(1, 7),
)
def test_texts_keep_every_measure_in_range(passages, relevant, k):
    one = texts(*passages, relevant=tuple(relevant))
    for name in (f"recall@{k}", f"precision@{k}", f"hit@{k}", f"ndcg@{k}", "map", "mrr"):
        result = score_one(name, options={}, **one)
        assert not isinstance(result, Score) or 0.0 <= result.value <= 1.0


def test_plain_strings_of_several_words_are_texts_and_single_words_are_ids() -> None:
    texts = ("Boots can be sent back within 60 days.", "Shipping is free above 80 pounds.")
    output = Output(text="", passages=tuple(Passage(id=text, text=text) for text in texts))
    ids = Output(
        text="", passages=tuple(Passage(id=name, text=name) for name in ("returns#boots", "shipping"))
    )

    assert score_one("recall@2", output, {}, relevant=["within 60 days"]).value == 1.0
    assert score_one("recall@2", ids, {}, relevant=["returns"]).value == 0.0


@pytest.mark.parametrize("name", ["mrr", "map"])
def test_what_cuts_a_ranking_is_in_the_signature(name: str) -> None:
    whole, cut = score(name, sample("a", "a")), score(name, sample("a", "a"), k=3)

    assert (whole.signature, cut.signature) == (f"{name}|v1", f"{name}|v1|k:3")
