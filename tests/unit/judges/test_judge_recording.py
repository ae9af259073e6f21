"""What a judge is asked is recorded and replayed as an app's calls are."""

from __future__ import annotations

import pytest

from pytest_llmops.judges import completion
from pytest_llmops.judges.pairwise import Pairwise
from pytest_llmops.judges.rubric import Judge
from pytest_llmops.recorder import Recorder
from pytest_llmops.records import Failure, Score
from tests.judge_server import graded

CASE = "golden/shop.yaml::returns"
SECRET = "sk-0123456789abcdefghij"


@pytest.fixture
def recorder(tmp_path):
    made = []

    def make(mode, **options):
        for each in made:
            each.uninstall()
        completion.close()  # a new process has learned nothing
        new = Recorder(committed=tmp_path / "cassettes", local=tmp_path / "local", mode=mode, **options)
        new.install()
        made.append(new)
        return new

    yield make
    for each in made:
        each.uninstall()


@pytest.fixture
def asked(server, judge, sample):
    """Judges one sample of a case with that metric; the result and how many requests it cost."""

    def ask(metric=Judge, **options):
        before = len(server.requests)
        one = options.pop("sample", None) or sample(case=CASE, rival="In 30 days.")
        extra = {"criteria": "accuracy"} if metric is Judge else {}
        (result,) = metric(judge=judge(**options), **extra).score([one])
        return result, len(server.requests) - before

    return ask


@pytest.mark.parametrize("metric", [Judge, Pairwise])
def test_a_verdict_is_replayed(recorder, asked, tmp_path, metric):
    recorder("new")
    made, requests = asked(metric)
    assert isinstance(made, Score)
    assert requests == (2 if metric is Pairwise else 1)
    assert (tmp_path / "local/shop/returns.yaml").is_file()

    recorder("none")
    assert asked(metric) == (made, 0)


@pytest.mark.parametrize("metric", [Judge, Pairwise])
def test_a_replayed_verdict_needs_no_client_and_counts_as_a_call(recorder, asked, monkeypatch, metric):
    recorder("new")
    made, requests = asked(metric)

    again = recorder("new")
    monkeypatch.setattr(completion, "_endpoint", None)
    assert asked(metric) == (made, 0)
    assert again.describe_other_calls() == [f"judges: 0 model calls made, {requests} replayed, 0 failed"]


@pytest.mark.parametrize(
    "refused",
    [{"response_format"}, {"response_format", "tools"}, {"temperature"}, {"logprobs", "response_format"}],
)
def test_a_verdict_that_came_in_another_form_is_found_by_a_process_that_knows_of_no_refusal(
    recorder, asked, server, refused
):
    server.refused = frozenset(refused)
    server.verdict = lambda _: graded(4)
    recorder("new")
    made, _ = asked()

    recorder("none")
    assert asked() == (made, 0)


def test_a_verdict_behind_a_tool_that_was_ignored_is_replayed(recorder, asked, server):
    server.refused = frozenset({"response_format"})
    server.ignores = frozenset({"tools"})
    server.verdict = lambda request: "Fine." if "tools" in request else graded(4)
    recorder("new")
    made, requests = asked()
    assert (made.evidence[0]["form"], requests) == ("text", 3)

    recorder("none")
    assert asked() == (made, 0)


def test_a_recorded_verdict_of_a_far_endpoint_needs_no_key(recorder, asked, server, tmp_path, monkeypatch):
    far = {"base_url": "http://judge.example.test/v1", "api_key_env": "JUDGE_KEY"}
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
    recorder("new")
    refused, requests = asked(**far)
    assert "set the environment variable JUDGE_KEY" in refused.error
    assert requests == 0

    monkeypatch.setenv("JUDGE_KEY", SECRET)
    recorder("new")
    made, requests = asked(**far)
    assert (type(made), requests) == (Score, 1)
    assert SECRET not in (tmp_path / "cassettes/shop/returns.yaml").read_text()

    monkeypatch.delenv("JUDGE_KEY")
    recorder("none")
    assert asked(**far) == (made, 0)


def test_a_repaired_verdict_is_replayed_as_such(recorder, asked, server):
    server.meet = lambda _, number: "NaN" if number == 0 else None
    recorder("new")
    made, requests = asked()
    assert requests == 2

    recorder("none")
    replayed, requests = asked()
    assert (replayed, requests) == (made, 0)
    assert replayed.evidence[0]["repaired"]


def test_what_is_not_recorded_is_a_failure_with_the_remedy(recorder, asked):
    recorder("none")

    result, requests = asked()

    assert isinstance(result, Failure)
    assert requests == 0
    assert result.error.startswith(
        f"{CASE}: a chat call of small at loopback/v1/chat/completions is not recorded"
    )
    assert result.error.endswith("Record it with --llm-record new.")


REMEDY = "The answer is a recorded one; --llm-record all asks again"


@pytest.mark.parametrize("kind", ["prose", "refusal"])
def test_an_unusable_answer_that_is_replayed_is_told_with_the_remedy(recorder, asked, server, kind):
    server.meet = lambda *_: kind
    recorder("new")
    made, _ = asked()
    assert REMEDY not in made.error

    server.meet = lambda *_: None
    recorder("new")
    replayed, requests = asked()
    assert (replayed.error, requests) == (f"{made.error}. {REMEDY}", 0)

    recorder("all")
    assert isinstance(asked()[0], Score)


def test_of_a_panel_only_the_judge_whose_answer_was_replayed_is_told_so(recorder, judge, sample, server):
    server.meet = lambda request, _: "refusal" if request["model"] == "a" else "307"
    metric = Judge(panel=(judge(model="a"), judge(model="b")), criteria="accuracy")
    for _ in range(2):
        recorder("new")
        (failure,) = metric.score([sample(case=CASE)])

    first, second = failure.error.split("; b: ")
    assert first.endswith("asks again")
    assert REMEDY not in second


def test_repeats_have_recordings_of_their_own(recorder, asked, sample):
    recorder("new")
    asked(sample=sample(case=CASE))
    assert asked(sample=sample(case=CASE, repeat=1))[1] == 1
    assert asked(sample=sample(case=CASE, repeat=1))[1] == 0


def test_a_sample_of_no_case_is_kept_under_the_metric(recorder, asked, sample, tmp_path):
    recorder("new")
    asked(sample=sample())

    (path,) = (tmp_path / "local").rglob("*.yaml")
    assert path.parent.name.startswith("judges.")
    assert path.stem == "judge"


def test_secrets_are_masked_before_they_are_written(recorder, asked, sample, tmp_path, server):
    server.verdict = lambda _: graded(4, f"It says {SECRET}.")
    recorder("new")
    asked(sample=sample(f"The key is {SECRET}.", case=CASE))

    written = (tmp_path / "local/shop/returns.yaml").read_text()
    assert SECRET not in written
    assert "sk-redacted-" in written


def test_a_spent_budget_is_a_failure_and_no_other_form_is_tried(recorder, asked):
    from pytest_llmops.errors import BudgetError

    class Budget:
        asked = 0

        def permit(self, *_):
            self.asked += 1
            raise BudgetError("the budget is spent")

    budget = Budget()
    recorder("new", budget=budget)
    result, requests = asked()

    assert (result.error, requests, budget.asked) == ("the budget is spent", 0, 1)


def test_a_broken_cassette_is_a_failure(recorder, asked, tmp_path):
    (tmp_path / "local/shop").mkdir(parents=True)
    (tmp_path / "local/shop/returns.yaml").write_text("{")
    recorder("new")

    result, requests = asked()

    assert isinstance(result, Failure)
    assert requests == 0
