"""Rows as samples, and scores of them without an app."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

import pytest_llmops
from pytest_llmops.errors import MetricOptionError, UnknownMetricError
from pytest_llmops.features.calibrate.rows import Row, RowError, check_rows, read_rows
from pytest_llmops.features.calibrate.scoring import score, score_rows
from pytest_llmops.metrics.spending import LatencyS
from pytest_llmops.records import Bound, Failure, Output, Passage, Sample, Score
from pytest_llmops.registry import create_metric, register_metric
from pytest_llmops.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Spy:
    """Keeps the batches it saw; its score is the length of the output."""

    judge: object = None
    seen: ClassVar[list[list[Sample]]] = []

    name: ClassVar[str] = "spy"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset] = frozenset()
    range: ClassVar[tuple[float, float]] = (0.0, 1000.0)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">=", threshold=1)

    def score(self, batch):
        self.seen.append(list(batch))
        return [Score(metric="spy", value=float(len(each.output.text)), signature="spy|v1") for each in batch]


@dataclass(frozen=True, kw_only=True)
class Reading(Spy):
    needs: ClassVar[frozenset] = frozenset({"passages"})


@dataclass(frozen=True, kw_only=True)
class Waiting(Spy):
    waits: ClassVar[bool] = True


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    monkeypatch.setattr("pytest_llmops.registry._registered", {})
    monkeypatch.setattr(Spy, "seen", [])
    register_metric("spy", Spy)
    register_metric("waiting", Waiting)


def sample_of(**fields):
    score("spy", [{"output": "", **fields}])
    ((sample,),) = Spy.seen
    return sample


def test_the_public_name_scores_in_order():
    rows = [{"output": "60 days", "reference": "60 days"}, {"output": "a week", "reference": "60 days"}]

    found = pytest_llmops.score("exact_match", rows)

    assert [each.value for each in found] == [1.0, 0.0]
    assert found[0].signature.startswith("exact_match|")


def test_options_and_metrics_that_are_made_already():
    row = [{"output": "The 60 days.", "reference": "60 days"}]

    assert score("exact_match", row, options={"normalize": False})[0].value == 0.0
    assert score(create_metric("exact_match"), row)[0].value == 1.0


@pytest.mark.parametrize(
    ("metric", "options", "error"),
    [("exact_mach", {}, UnknownMetricError), ("exact_match", {"normalise": True}, MetricOptionError)],
)
def test_an_unknown_metric_or_option_is_an_error(metric, options, error):
    with pytest.raises(error, match="Did you mean"):
        score(metric, [{"output": "a"}], options=options)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"input": {"q": 1}}, {"input": {"q": 1}}),
        ({"references": ["a", "b"]}, {"reference": "a"}),
        ({"reference": "c", "references": ["a"]}, {"reference": "c"}),
        ({"relevant": ["p1", 2]}, {"relevant": ("p1", "2")}),
        ({"relevant": {"p1": 2, "p2": 0}}, {"relevant": ("p1",)}),
        ({"id": 7}, {"case": "score/rows::7"}),
        ({}, {"case": "score/rows::1", "rival": None, "reference": None}),
        ({"output": None, "outputs": ["a", {"text": "b"}]}, {"output": Output(text="a"), "rival": "b"}),
    ],
)
def test_fields_of_a_row(fields, expected):
    sample = sample_of(**fields)

    assert {name: getattr(sample, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "passages"),
    [
        ({}, None),
        ({"contexts": []}, ()),
        (
            {"contexts": ["x", {"id": "p", "text": "y"}]},
            (Passage(id="0", text="x"), Passage(id="p", text="y")),
        ),
        ({"retrieved": ["p", 7]}, (Passage(id="p"), Passage(id="7"))),
        ({"retrieved": [{"id": "p", "text": "x", "score": 2}]}, (Passage(id="p", text="x", score=2.0),)),
        (
            {"retrieved": ["p", "q"], "contexts": ["x", "y"]},
            (Passage(id="p", text="x"), Passage(id="q", text="y")),
        ),
        (
            {"retrieved": ["q", "p", "r"], "contexts": [{"id": "p", "text": "x"}, {"id": "q", "text": "y"}]},
            (Passage(id="q", text="y"), Passage(id="p", text="x"), Passage(id="r")),
        ),
        ({"retrieved": [{"id": "p", "text": "own"}], "contexts": ["x"]}, (Passage(id="p", text="own"),)),
        ({"output": {"text": "a", "passages": [{"id": "p", "text": "x"}]}}, (Passage(id="p", text="x"),)),
        ({"retrieved": ["p"], "contexts": ["x", "y"]}, (Passage(id="p"),)),  # nobody reads them
    ],
)
def test_contexts_and_retrieved_are_passages(fields, passages):
    assert sample_of(**fields).output.passages == passages


MISTAKES = [
    ({"input": "hi"}, "has no output; write the text to score, or a pair as outputs"),
    ({"output": 3}, "output cannot be read: an int"),
    ({"output": {"txt": "a"}}, "output cannot be read: the output has no 'text'; did you mean it for 'txt'?"),
    ({"outputs": ["a"]}, "outputs must be a list of two, not"),
    ({"outputs": "ab"}, "outputs must be a list of two, not ab"),
    ({"output": "a", "outputs": ["a", "b"]}, "has both output and outputs"),
    ({"output": "a", "reference": 3}, "reference must be a text, not 3"),
    ({"output": "a", "references": []}, "references must be a list of texts"),
    ({"output": "a", "contexts": "x"}, "contexts must be a list, not x"),
    (
        {"output": "a", "contexts": [3]},
        "contexts[0] must be a text, or a mapping of id, text and score, not 3",
    ),
    ({"output": "a", "contexts": [{"id": "p", "text": None}]}, "contexts[0] must be a text"),
    ({"output": "a", "retrieved": [{"text": "x"}]}, "retrieved[0] must be an id"),
    ({"output": "a", "relevant": "p"}, "relevant must be a list of ids, not p"),
    ({"output": "a", "relevant": [True]}, "relevant must contain ids, not true"),
    ({"output": "a", "relevant": {"p": "high"}}, "relevant must map each id to a number"),
    ({"output": "a", "id": [1]}, "id must be a text or a whole number, not [1]"),
]


@pytest.mark.parametrize(("row", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_nothing_is_scored(row, message):
    rows = [Row(id="1", place="f.jsonl:1", fields={"output": "fine"}), *read_rows(json.dumps(row), "f.jsonl")]

    with pytest.raises(RowError) as error:
        score_rows(Spy(), rows, "f", None)

    (told,) = error.value.problems
    assert told.startswith("f.jsonl:1: ")
    assert message in told
    assert Spy.seen == []


@pytest.mark.parametrize("metric", [Reading(), Waiting()])
def test_contexts_that_cannot_be_joined_are_a_mistake_where_the_metric_may_read_them(metric):
    row = {"output": "a", "retrieved": ["p"], "contexts": ["x", "y"]}

    with pytest.raises(RowError, match="row 1: has 2 contexts and 1 retrieved; give contexts ids"):
        score(metric, [row])
    assert score("recall@1", [{**row, "relevant": ["p"]}])[0].value == 1.0


def test_a_key_that_stands_twice_is_a_mistake_also_within_a_field():
    rows = read_rows('{"output": "a", "output": "b"}\n{"output": {"text": "a", "text": "b"}}', "f.jsonl")

    with pytest.raises(RowError) as error:
        score_rows(Spy(), rows, "f", None)

    assert error.value.problems == (
        "f.jsonl:1: holds 'output' twice; keep one",
        "f.jsonl:2: holds 'text' twice; keep one",
    )


def test_a_number_that_stands_for_an_id_is_nobody_elses():
    rows = [{"output": "a"}, {"output": "b", "id": "4"}, {"output": "c", "id": None}, {"output": "d"}]

    with pytest.raises(RowError) as error:
        score("spy", rows)

    assert error.value.problems == ("row 4: has no id, and its number is the id of row 2; give it one",)
    assert [row.id for row in read_rows("{}\n{}", "f")] == ["1", "2"]


def test_rows_of_which_each_counts_once():
    rows = read_rows('{"id": "a"}\n{"id": "b"}\n{"id": "a"}\n{"id": "a"}\n[]', "f")

    with pytest.raises(RowError) as error:
        check_rows(rows)

    assert error.value.problems == (
        "f:3: has the id 'a' as f:1 has; each row is one label",
        "f:4: has the id 'a' as f:1 has; each row is one label",
        "f:5: is no JSON object but []",
    )


ROW = {"output": "a", "reference": "a"}


@pytest.mark.parametrize(
    ("metric", "rows", "options", "error", "message"),
    [
        (5, [ROW], None, MetricOptionError, "metric must be a name, such as 'rouge_l', or a metric, not 5"),
        (Spy, [ROW], None, MetricOptionError, "metric must be a name"),
        ("rouge_l", [ROW], "x", MetricOptionError, "options must map names to values, not be x"),
        ("rouge_l", [ROW], {1: 2}, MetricOptionError, "options must map names to values"),
        (Spy(), [ROW], {"judge": 1}, MetricOptionError, "spy is made already"),
        (LatencyS(), [ROW], None, MetricOptionError, "latency_s is measured in a run"),
        ("cost_usd", [ROW], None, MetricOptionError, "cost_usd is measured in a run"),
        ("rouge_l", 5, None, RowError, "rows must be a list of mappings, one a row, not 5"),
        ("rouge_l", ROW, None, RowError, "rows must be a list of mappings"),
        ("rouge_l", "text", None, RowError, "rows must be a list of mappings"),
    ],
)
def test_a_mistake_in_a_call_is_one_of_our_errors(metric, rows, options, error, message):
    with pytest.raises(error, match=message):
        score(metric, rows, options=options)


def test_all_mistakes_of_a_file_are_told_at_once():
    text = '{"output": "a"}\n\n{"output": NaN}\n[1]\n{"output": 3}\n{"outp\n'

    with pytest.raises(RowError) as error:
        score_rows(Spy(), read_rows(text, "f.jsonl"), "f", None)

    places = [problem.split(": ")[0] for problem in error.value.problems]
    assert places == ["f.jsonl:3", "f.jsonl:4", "f.jsonl:5", "f.jsonl:6"]


def test_the_first_two_hundred_mistakes_are_shown():
    with pytest.raises(RowError) as error:
        score("spy", [{}] * 205)

    assert len(error.value.problems) == 205
    assert str(error.value).splitlines()[-1] == "and 5 more problems"


def test_a_file_without_rows_is_an_error():
    with pytest.raises(RowError, match=r"f\.jsonl: holds no row"):
        read_rows("\n \n", "f.jsonl")


def test_rows_are_one_batch():
    score("spy", [{"output": "a"}, {"output": "b"}, {"output": "c"}])

    assert [len(batch) for batch in Spy.seen] == [3]


def test_rows_of_a_metric_that_waits_are_asked_each_by_itself():
    found = score("waiting", [{"output": "a" * length} for length in range(1, 9)])

    assert sorted(len(batch) for batch in Spy.seen) == [1] * 8
    assert [each.value for each in found] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_what_breaks_a_row_breaks_no_other():
    class Breaking(Spy):
        def score(self, batch):
            if any(each.output.text == "bad" for each in batch):
                raise ValueError("no")
            return Spy.score(self, batch)

    found = score(Breaking(), [{"output": "a"}, {"output": "bad"}, {"output": "abc"}])

    assert isinstance(found[1], Failure)
    assert [each.value for each in found if isinstance(each, Score)] == [1.0, 3.0]


def test_a_missing_need_is_a_failure_of_its_row():
    found = score("exact_match", [{"output": "a"}, {"output": "a", "reference": "a"}])

    assert isinstance(found[0], Failure)
    assert found[1].value == 1.0


def test_a_ranking_needs_no_output_and_takes_its_own_grades():
    rows = [
        {"retrieved": ["a", "b"], "relevant": ["b"]},
        {"retrieved": ["a", "b"], "relevant": {"a": 1, "b": 3}},
    ]

    assert score("recall@1", rows[:1])[0].value == 0.0
    found = score("ndcg@2", rows)
    assert found[0].value == pytest.approx(0.6309, abs=1e-4)
    assert found[1].value == pytest.approx((1 + 3 * 0.63093) / (3 + 0.63093), abs=1e-4)


@pytest.mark.parametrize(
    ("options", "judge"), [({}, {"model": "gpt-4o"}), ({"judge": {"model": "llama"}}, {"model": "llama"})]
)
def test_the_settings_judge_is_asked_unless_another_is_named(tmp_path, options, judge):
    made = []
    register_metric("judged", lambda judge=None: made.append(judge) or Spy())

    score(
        "judged",
        [{"output": "a"}],
        options=options,
        settings=Settings(root=tmp_path, judge={"model": "gpt-4o"}),
    )

    assert made == [judge]


def test_without_settings_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    score("spy", [{"output": "a"}])

    assert list(tmp_path.iterdir()) == []
