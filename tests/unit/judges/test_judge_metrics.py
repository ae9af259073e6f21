"""What the metrics make of verdicts, and what of their absence."""

from __future__ import annotations

import json
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.judges.pairwise import Pairwise, win_rate
from pytest_llmops.judges.panel import count_votes
from pytest_llmops.judges.reference_grade import ReferenceGrade
from pytest_llmops.judges.rubric import Judge
from pytest_llmops.judges.verdict import expect_scores
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Failure, Score
from pytest_llmops.registry import create_metric
from tests.judge_server import BODIES, FINAL, TEXTS, graded


def by_default(accuracy, completeness, hallucination):
    return {
        **graded(accuracy, name="accuracy"),
        **graded(completeness, "It leaves out the fee.", name="completeness"),
        **graded(hallucination, name="hallucination"),
    }


def test_judge_is_the_weighted_mean_of_its_criteria(server, judge, sample):
    server.verdict = lambda _: by_default(5, 2, 4)
    server.served = "small-2026"

    (score,) = Judge(judge=judge(), criteria={"accuracy": 2, "completeness": 1, "hallucination": 1}).score(
        [sample()]
    )

    assert score.value == 4.0
    assert score.reason == (
        "accuracy 5, completeness 2 (below its floor 3), hallucination 4: It leaves out the fee."
    )
    (told,) = score.evidence
    assert (told["judge"], told["asked"], told["family"]) == ("small-2026", "small", "small")
    assert (told["fingerprint"], told["form"], told["repaired"]) == ("fp_test", "json_schema", False)
    assert told["criteria"]["accuracy"] == {
        "reason": "It says so.", "evidence": "60 days", "score": 5, "floor": 3.0,
    }  # fmt: skip
    json.dumps(score.evidence)


@pytest.mark.parametrize("text", ["", " \n", "...", "\u200b"])
@pytest.mark.parametrize("name", ["judge", "reference_grade", "pairwise"])
def test_an_output_that_says_nothing_is_the_worst_and_no_judge_is_asked(server, judge, sample, name, text):
    """Whatever the judge would say of it: here the best."""
    server.verdict = lambda _: by_default(5, 5, 5)

    for options in ({"judge": judge()}, {"panel": (judge(), judge(model="other"))}):
        (score,) = create_metric(name, options).score([sample(text, reference="You have 60 days.")])

        assert isinstance(score, Score)
        assert score.value == (1.0 if name == "judge" else 0.0)
        assert score.reason.startswith("the output ")
    assert server.requests == []


def test_of_a_pair_the_answer_that_says_something_is_better(server, judge, sample):
    won, tied = Pairwise(judge=judge()).score(
        [sample("You have 60 days.", rival="..."), sample("", rival="...")]
    )

    assert (won.value, tied.value) == (1.0, 0.5)
    assert server.requests == []


def test_only_the_chosen_criterion_is_asked_for(server, judge, sample):
    (score,) = Judge(judge=judge(), criteria="completeness").score([sample()])

    schema = server.requests[0]["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["completeness"]
    assert list(schema["properties"]["completeness"]["properties"]) == ["reason", "evidence", "score"]
    assert "hallucination" not in server.requests[0]["messages"][0]["content"]
    assert (score.value, score.reason) == (5.0, "")


def test_a_judge_sees_question_reference_passages_and_answer_and_the_anchors(server, judge, sample):
    seen = sample(
        "60 days.", input={"q": "How long?"}, reference="Two months.", passages=["Boots: 60 days.", "Fees."]
    )
    Judge(judge=judge()).score([seen])

    system, user = (message["content"] for message in server.requests[0]["messages"])
    for text in ('{"q": "How long?"}', "Two months.", "(1) Boots: 60 days.", "(2) Fees.", "60 days."):
        assert text in user
    assert "5: Everything it says is right." in system
    assert "[reference" not in server_user(server, judge, sample())


def server_user(server, judge, one):
    Judge(judge=judge()).score([one])
    return server.requests[-1]["messages"][-1]["content"]


@pytest.mark.parametrize(("grade", "value"), [("correct", 1.0), ("partly", 0.5), ("incorrect", 0.0)])
def test_reference_grade(server, judge, sample, grade, value):
    said = {"missing": ["the fee"], "contradicted": [], "reason": "It leaves out the fee.", "grade": grade}
    server.verdict = lambda _: said

    (score,) = ReferenceGrade(judge=judge()).score([sample(reference="60 days, for £5.")])

    assert score.value == value
    assert score.reason == ("" if value == 1 else f"{grade}: It leaves out the fee.")
    assert said.items() <= score.evidence[0].items()


def test_reference_grade_needs_a_reference(judge, sample):
    (failure,) = ReferenceGrade(judge=judge()).score([sample()])

    assert isinstance(failure, Failure)
    assert "add `reference:`" in failure.error


BETTER = {"first": 1.0, "second": 0.0, "neither": 0.5}


@pytest.mark.parametrize("given", BETTER)
@pytest.mark.parametrize("swapped", BETTER)
def test_pairwise_asks_both_orders_and_disagreement_is_a_tie(server, judge, sample, given, swapped):
    def verdict(request):
        text = request["messages"][-1]["content"]
        is_given = text.index("OURS") < text.index("THEIRS")
        return {"reason": "r", "evidence": "", "better": given if is_given else swapped}

    server.verdict = verdict
    (score,) = Pairwise(judge=judge()).score([sample("OURS", rival="THEIRS!")])

    orders = [BETTER[given], 1 - BETTER[swapped]]
    assert score.evidence[0]["orders"] == orders
    assert score.evidence[0]["lengths"] == [4, 7]
    assert score.value == (orders[0] if orders[0] == orders[1] else 0.5)
    assert ("depends on the order" in score.reason) == (orders[0] != orders[1])
    assert len(server.requests) == 2


def test_the_rival_is_the_reference_where_there_is_no_other(server, judge, sample):
    Pairwise(judge=judge()).score([sample("OURS", reference="THEIRS")])
    Pairwise(judge=judge()).score([sample("OURS", reference="HELP", rival="THEIRS")])

    first, third = (server.requests[at]["messages"][-1]["content"] for at in (0, 2))
    assert "THEIRS" in first
    assert "[reference" not in first
    assert "[reference" in third


def test_no_rival_is_a_failure_and_the_same_text_a_tie_without_a_request(server, judge, sample):
    failure, score = Pairwise(judge=judge()).score([sample(), sample("OURS", rival="OURS")])

    assert isinstance(failure, Failure)
    assert "add `reference:`" in failure.error
    assert (score.value, score.evidence[0]["form"]) == (0.5, "none")
    assert "orders" not in score.evidence[0]
    assert server.requests == []


def test_a_pair_needs_a_reference_or_else_a_rival(server, judge, sample):
    assert Pairwise.needs == {"reference"}
    (score,) = Pairwise(judge=judge()).score([sample("OURS", rival="THEIRS")])

    assert isinstance(score, Score)
    assert len(server.requests) == 2


def test_a_judge_of_single_answers_tells_what_it_was_asked_and_no_orders(server, judge, sample):
    server.verdict = lambda _: "Yes"
    chances = iter([0.75, 0.25] * 2)
    server.tokens = lambda _: [
        {"token": "Yes", "logprob": 0.0, "top_logprobs": [
            {"token": "Yes", "logprob": math.log(chance)}, {"token": "No", "logprob": math.log(1 - chance)}
        ]} for chance in [next(chances)]
    ]  # fmt: skip
    one = sample("OURS", rival="THEIRS")
    (alone,) = Pairwise(judge=judge(yes_no=True, concurrency=1)).score([one])
    (panel,) = Pairwise(panel=(judge(yes_no=True, concurrency=1),)).score([one])

    told = alone.evidence[0]
    assert (alone.value, told["form"], "orders" in told) == (1.0, "yes_no", False)
    assert told["question"].endswith("?")
    assert told["question"] in server.requests[0]["messages"][-1]["content"]
    assert told["chances"] == {"output": 0.75, "rival": 0.25}
    assert (panel.value, panel.evidence[0]["lengths"]) == (1.0, [4, 6])
    assert "orders" not in panel.evidence[0]


KEY = "sk-proj-abcdEFGH1234567890abcdEFGH1234567890"
MAIL = "anna.lee@willow.net"


@pytest.mark.parametrize("length", [*range(195, 225, 4), *range(970, 1000, 4)])
def test_what_a_judge_says_is_masked_before_it_is_cut(server, judge, sample, length):
    said = f"{'x ' * (length // 2)}{MAIL} {KEY}"
    verdicts = {
        Judge: graded(2, said) | {"accuracy": {"reason": said, "evidence": said, "score": 2}},
        ReferenceGrade: {"missing": [said], "contradicted": [said], "reason": said, "grade": "partly"},
        Pairwise: {"reason": said, "evidence": said, "better": "second"},
    }
    for metric, verdict in verdicts.items():
        server.verdict = lambda _, verdict=verdict: verdict
        options = {"criteria": "accuracy"} if metric is Judge else {}
        (score,) = metric(judge=judge(), **options).score([sample(reference="r")])

        shown = f"{score.reason} {json.dumps(score.evidence)}"
        for part in ("anna", "willow", KEY[:12], KEY[8:16]):
            assert part not in shown


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60), st.sampled_from([0.9, 0.95, 0.99]))
def test_win_rate_is_wilsons_interval(values, level):
    rate, low, high = win_rate(values, level=level)
    theirs = binomtest(int(sum(values)), len(values)).proportion_ci(level, method="wilson")

    assert rate == pytest.approx(sum(values) / len(values))
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_a_tie_is_half_a_win_and_none_is_an_error():
    assert win_rate([1, 0.5, 0.5, 0]) == win_rate([1, 1, 0, 0])
    with pytest.raises(ValueError, match="needs a comparison"):
        win_rate([])


@pytest.mark.parametrize(
    ("values", "mean", "median", "majority"),
    [
        ([5, 3, 1], 3, 3, 3),
        ([4, 4, 1], 3, 4, 4),
        ([1, 0], 0.5, 0.5, 0.5),
        ([1, 1, 0, 0.5], 0.625, 0.75, 0.75),
    ],
)
def test_votes(values, mean, median, majority):
    found = [count_votes(values, vote) for vote in ("mean", "median", "majority")]
    assert found == [mean, median, majority]


def by_model(scores):
    return lambda request: graded(scores[request["model"]], f"says {request['model']}")


def test_a_panel_shows_each_judge_and_how_far_they_differ(server, judge, sample):
    server.verdict = by_model({"a": 5, "b": 3, "c": 4})

    metric = Judge(judge=judge(), panel=("a", "b", "c"), criteria="accuracy", vote="median")
    (score,) = metric.score([sample()])

    assert score.value == 4
    assert score.reason == "the judges differ by 2 (a 5, b 3, c 4); accuracy 3: says b"
    whole, *members = score.evidence
    assert (whole["judge"], whole["disagreement"], whole["vote"]) == ("a, b, c", 2, "median")
    assert [(member["judge"], member["value"]) for member in members] == [("a", 5), ("b", 3), ("c", 4)]
    assert len({request["model"] for request in server.requests}) == 3


def test_a_panel_of_pairwise_judges_votes_in_each_order(server, judge, sample):
    server.verdict = lambda _: {"reason": "r", "evidence": "", "better": "first"}
    (score,) = Pairwise(judge=judge(), panel=("a", "b")).score([sample("OURS", rival="THEIRS")])

    assert score.value == 0.5
    assert score.evidence[0]["orders"] == [1, 0]
    assert score.evidence[0]["lengths"] == [4, 6]


@pytest.mark.parametrize(("quorum", "is_score"), [(None, False), (2, True), (3, False)])
def test_a_broken_member_breaks_the_panel_unless_the_quorum_says_otherwise(
    server, judge, sample, quorum, is_score
):
    server.verdict = by_model({"a": 5, "b": 3, "c": 4})
    server.meet = lambda request, _: "refusal" if request["model"] == "b" else None

    metric = Judge(judge=judge(), panel=("a", "b", "c"), criteria="accuracy", quorum=quorum)
    (result,) = metric.score([sample()])

    assert isinstance(result, Score) == is_score
    if is_score:
        assert result.value == 4.5
        assert "refused" in result.evidence[0]["broken"][0]
    else:
        assert result.error.startswith("b: the judge refused")


def test_members_of_a_panel_are_at_the_judges_endpoint_unless_they_say_otherwise(judge):
    there = {"model": "c", "base_url": "http://127.0.0.1:1/v1"}
    metric = Judge(judge=judge(attempts=2), panel=("a", there))

    assert [each.base_url for each in metric.judges] == [judge().base_url, there["base_url"]]
    assert metric.judges[0].attempts == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no judge is named"),
        ({"judge": "a", "panel": ("a", "a")}, "twice on the panel"),
        ({"judge": "a", "vote": "meen"}, "Did you mean 'mean'?"),
        ({"judge": "a", "panel": ("a", "b"), "quorum": 3}, "1 to 2, not 3"),
        ({"judge": "a", "quorum": 1}, "quorum needs a panel"),
        ({"judge": "a", "panel": []}, "panel is a list of judges, not []; leave it out for one judge"),
        ({"judge": "a", "panel": ("",)}, "no judge is named"),
        ({"judge": "a", "panel": ("b", "embeded")}, "Did you mean 'embedded'?"),
        ({"judge": "a", "expected": "yes"}, "expected: must be true or false"),
        ({"judge": {"model": "a", "logprobs": False}, "expected": True}, "probabilities"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(MetricOptionError) as caught:
        Judge(**options)

    assert message in str(caught.value)


def test_a_criterion_without_a_yes_no_question_is_refused_for_a_judge_that_is_asked_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(
        "version: v1\ncriteria: {wit: {asks: Witty?, anchors: {'1': a, '2': b, '3': c, '4': d, '5': e}}}"
    )
    with pytest.raises(MetricOptionError, match="wit of the rubric r has no such question"):
        Judge(judge="embedded", rubric="r.yaml")


@pytest.mark.parametrize("name", ["judge", "reference_grade", "pairwise"])
def test_metrics_are_found_under_their_names(name):
    metric = create_metric(name, {"judge": {"model": "small"}, "panel": ["a", {"model": "b"}]})

    assert isinstance(metric, Metric)
    assert metric.waits
    assert {metric} == {pickle.loads(pickle.dumps(metric))}  # noqa: S301
    low, high = metric.range
    assert low <= metric.bound.threshold <= high


CHANGES = [
    {"judge": "other"}, {"judge": {"model": "small", "seed": 1}}, {"rubric": "support"},
    {"criteria": "accuracy"}, {"criteria": {"accuracy": 2}}, {"expected": True}, {"panel": ("a", "b")},
    {"panel": ("a", "b"), "vote": "median"}, {"panel": ("a", "b"), "quorum": 1},
]  # fmt: skip


def test_the_signature_tells_apart_whatever_moves_a_score():
    made = [Judge(**{"judge": "small", **change}).made for change in ({}, *CHANGES)]

    assert len(set(made)) == len(made)
    assert "judge-rubric-1.0.0-" in made[0]
    assert "parser2" in made[0]


def digits(text, chances):
    """The text cut into tokens, each digit by itself with the chances of others in its place."""
    tokens = []
    for piece in text.replace('score": ', 'score":\0 ').split("\0"):
        tokens += [(" " + piece[1], chances), (piece[2:], {})] if piece[:1] == " " else [(piece, {})]
    return [
        {"token": word, "logprob": 0.0, "top_logprobs": [
            {"token": other, "logprob": math.log(chance)} for other, chance in others.items()
        ]} for word, others in tokens
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chances", "expected"),
    [
        ({" 4": 0.5, " 5": 0.25, " 3": 0.25}, 4.0),
        ({" 4": 0.6, " 5": 0.2, " the": 0.2}, 4.25),
        ({" 4": 0.3, " nine": 0.7}, None),
        ({" 4": 0.6, " 9": 0.4}, 4.0),
        ({" 4": 0.6, "5": 0.4}, 4.0),
        ({" 4": 0.6, " 10": 0.4}, 4.0),
        ({" 4": 0.5, " 4,": 0.3, " 5": 0.2}, 4.2),
        ({}, None),
    ],
)
def test_the_expected_score_weighs_the_digits_that_might_have_stood_there(chances, expected):
    text = json.dumps(graded(4, 'it says "score": 5, so there'))

    found = expect_scores(text, digits(text, chances), ["accuracy"], (1, 2, 3, 4, 5))

    assert found == ({} if expected is None else {"accuracy": pytest.approx(expected)})


@pytest.mark.parametrize(
    "others", [None, 3, {"4": -0.1}, [3], [{}], [{"token": "4"}], [{"token": 4, "logprob": "x"}]]
)
def test_probabilities_of_another_shape_tell_nothing(others):
    text = '{"a": {"score":4}}'
    tokens = [{"token": text[:-3]}, {"token": "4", "top_logprobs": others}, {"token": "}}"}]

    assert expect_scores(text, tokens, ["a"], (1, 2, 3, 4, 5)) == {}


def test_tokens_that_are_not_the_text_tell_nothing():
    text = json.dumps(graded(4))
    assert expect_scores(text, digits(text, {" 4": 1.0})[1:], ["accuracy"], (1, 2, 3, 4, 5)) == {}


def test_the_expected_score_is_kept_and_is_the_value_when_asked_for(server, judge, sample):
    server.verdict = lambda _: by_default(4, 4, 4)
    server.tokens = lambda text: digits(text, {" 4": 0.5, " 5": 0.5})

    (whole,) = Judge(judge=judge()).score([sample()])
    (expected,) = Judge(judge=judge(), expected=True).score([sample()])

    assert whole.value == 4.0
    assert whole.evidence[0]["criteria"]["accuracy"]["expected"] == 4.5
    assert expected.value == 4.5


def test_no_probabilities_is_a_failure_where_the_value_should_come_from_them(judge, sample):
    (result,) = Judge(judge=judge(), expected=True).score([sample()])

    assert isinstance(result, Failure)
    assert "no probabilities" in result.error


def test_of_many_calls_with_every_fault_each_ends_as_a_score_or_a_failure(server, judge, sample):
    kinds = [*TEXTS, *BODIES, *FINAL, "truncated", "429", "500", "cut", "slow"]
    server.verdict = lambda _: graded(4)
    server.slow_s = 30.0
    seen = {}

    def meet(request, _):
        number = int(request["messages"][1]["content"].split("number ")[1].split()[0])
        seen[number] = seen.get(number, 0) + 1
        kind = kinds[number // 5 % len(kinds)]
        return {0: kind, 1: kind if seen[number] == 1 else None}.get(number % 5)

    server.meet = meet
    samples = [sample("60 days", input=f"number {number} ") for number in range(5 * len(kinds))]
    results = Judge(judge=judge(attempts=2, timeout_s=3.0), criteria="accuracy").score(samples)

    for number, result in enumerate(results):
        lasting, passing = number % 5 == 0, number % 5 == 1
        if isinstance(result, Score):
            assert not lasting, kinds[number // 5]
            assert result.value == 4
        else:
            assert lasting or (passing and kinds[number // 5] in FINAL), (kinds[number // 5], result.error)
            assert result.error
