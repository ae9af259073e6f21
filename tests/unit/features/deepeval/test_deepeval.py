"""DeepEval's metrics under our runner and recorder; their model is a local server."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import openai
import pytest

from pytest_llmops import load_golden, run_golden
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.features.deepeval.check import DeepEval
from pytest_llmops.recorder import Recorder
from pytest_llmops.records import Failure, Output, Passage, Sample, Score, ToolCall
from pytest_llmops.registry import create_metric
from pytest_llmops.runner.scoring import Scorer, score_here, score_safely
from pytest_llmops.settings import load_settings
from tests.openai_server import OpenAIServer

os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "1"
deepeval_metrics = pytest.importorskip("deepeval.metrics")
BaseMetric = deepeval_metrics.BaseMetric

GEVAL = {"metric": "GEval", "criteria": "Is the answer polite?"}


def sample(text="You have 60 days.", **changes) -> Sample:
    return Sample(output=Output(text=text, **changes), input="How long?", reference="60 days", case="t.py::a")


def score(metric, given) -> Score | Failure:
    (result,) = score_safely(score_here, metric, [given])
    return result


@pytest.fixture
def server():
    with OpenAIServer(
        answer=lambda _: json.dumps({"score": 7, "reason": "a  bit\ncurt", "steps": ["read it"]})
    ) as server:
        yield server


@pytest.fixture
def judge(server):
    return {"model": "judge-1", "base_url": server.url, "timeout_s": 5}


class Odd(BaseMetric):
    """A metric of a user's own; does what the answer asks for."""

    _required_params = ()

    def __init__(self, threshold: float = 0.5):
        self.threshold = threshold

    def measure(self, test_case):
        if test_case.actual_output == "raise":
            raise OSError("line is down")
        if test_case.actual_output == "tell":
            self.error = "no verdict"
        if test_case.actual_output == "notice":
            import warnings

            warnings.warn("now the other way", DeprecationWarning, stacklevel=1)
        self.score = {"nan": math.nan, "none": None, "text": "high", "far": 7}.get(
            test_case.actual_output, 0.25
        )
        return self.score


def test_a_judging_metric_is_a_check(server, judge):
    metric = create_metric("deepeval", {**GEVAL, "judge": judge})
    result = score(metric, sample())
    assert isinstance(result, Score)
    assert (result.metric, result.value, result.reason) == ("deepeval", 0.7, "a bit curt")
    assert result.evidence[0]["metric"] == "GEval"
    assert "judge-1" in result.signature
    assert {request["model"] for request in server.requests} == {"judge-1"}
    assert "You have 60 days." in str(server.requests[-1])
    assert metric.bound.threshold == 0.5
    assert create_metric("deepeval", {**GEVAL, "strict_mode": True}).bound.threshold == 1


def test_options_reach_the_metric(server, judge):
    options = {
        "evaluation_steps": ["Look for a please."], "model": "judge-2", "threshold": 0.9,
        "evaluation_params": ["actual_output", "expected_output"],
        "rubric": [{"score_range": [0, 10], "expected_outcome": "Whatever."}],
    }  # fmt: skip
    metric = create_metric("deepeval", {"metric": "g_eval", "judge": judge, **options})
    assert metric.bound.threshold == 0.9
    assert metric.needs == {"reference"}
    assert score(metric, sample()).value == 0.7
    (request,) = server.requests  # no call for steps
    assert request["model"] == "judge-2"
    assert "Look for a please." in str(request)
    assert "Whatever." in str(request)


def test_the_sample_fills_the_test_case():
    seen = []

    class Looking(Odd):
        def measure(self, test_case):
            seen.append(test_case)
            return super().measure(test_case)

    globals()["Looking"] = Looking
    metric = create_metric(
        "deepeval", {"metric": f"{__name__}:Looking", "expected_tools": ["find", {"name": "send"}]}
    )
    calls = (ToolCall(name="find", arguments={"id": 7}, result="found"),)
    score(metric, sample(passages=(Passage(id="a", text="60 days it is."),), tool_calls=calls))
    (case,) = seen
    assert (case.input, case.actual_output, case.expected_output) == (
        "How long?",
        "You have 60 days.",
        "60 days",
    )
    assert case.retrieval_context == case.context == ["60 days it is."]
    (call,) = case.tools_called
    assert (call.name, call.input_parameters, call.output) == ("find", {"id": 7}, "found")
    assert [tool.name for tool in case.expected_tools] == ["find", "send"]


@pytest.mark.parametrize("text", ["", " \n", "..."])
def test_an_output_that_says_nothing_scores_zero_and_no_model_is_asked(server, judge, text):
    """DeepEval finds no fault in an answer that says nothing: of its statements none is irrelevant."""
    metric = create_metric("deepeval", {**GEVAL, "judge": judge})
    blank = score(metric, sample(text))
    assert (blank.value, blank.reason[:10]) == (0.0, "the output")
    assert server.requests == []
    assert blank.signature == score(metric, sample()).signature


def test_a_metric_of_tool_calls_needs_no_text():
    options = {"metric": "ToolCorrectnessMetric", "expected_tools": ["find"]}
    found = score(
        create_metric("deepeval", options), sample("", tool_calls=(ToolCall(name="find", arguments={}),))
    )
    assert "the output is empty" not in getattr(found, "reason", "")


def test_metrics_without_a_model():
    exact = create_metric("deepeval", {"metric": "ExactMatchMetric"})
    assert exact.needs == {"reference"}
    assert score(exact, sample("60 days")).value == 1
    assert score(exact, sample("70 days")).value == 0
    assert isinstance(score(exact, Sample(output=Output(text="x"), input="q")), Failure)


def test_a_metric_without_what_it_needs_says_so():
    result = score(create_metric("deepeval", {"metric": "Faithfulness", "judge": {"model": "m"}}), sample())
    assert isinstance(result, Failure)
    assert "passages" in result.error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("raise", "OSError: line is down"),
        ("tell", "no verdict"),
        ("nan", "gave nan, which is no score"),
        ("none", "gave None, which is no score"),
        ("text", "gave 'high', which is no score"),
        ("far", "outside its range"),
        ("notice", "DeprecationWarning: now the other way"),
    ],
)
def test_what_breaks_is_a_failure(text, error):
    result = score(create_metric("deepeval", {"metric": f"{__name__}:Odd"}), sample(text))
    assert isinstance(result, Failure)
    assert error in result.error


@pytest.mark.parametrize("fault", ["500", "cut", "malformed", "401"])
def test_an_endpoint_that_breaks_is_a_failure(server, judge, fault, monkeypatch):
    monkeypatch.setenv("DEEPEVAL_RETRY_MAX_ATTEMPTS", "1")
    server.fault = fault
    result = score(create_metric("deepeval", {**GEVAL, "judge": judge}), sample())
    assert isinstance(result, Failure)
    assert "RetryError" not in result.error


def test_an_answer_that_is_no_verdict_is_a_failure(server, judge):
    server.answer = lambda _: "I would rather not say."
    assert isinstance(score(create_metric("deepeval", {**GEVAL, "judge": judge}), sample()), Failure)


def test_calls_are_recorded_and_replayed(server, judge, tmp_path):
    metric = create_metric("deepeval", {**GEVAL, "judge": judge})
    samples = [
        Sample(output=Output(text=f"answer {number}"), input="?", case=f"golden/x.yaml::{number}")
        for number in range(8)
    ]
    values = []
    for mode in ("new", "none"):
        recorder = Recorder(committed=tmp_path / "c", local=tmp_path / "l", mode=mode)
        recorder.install()
        scorer = Scorer()
        try:
            jobs = [scorer.submit(metric, [each]) for each in samples]
            values.append([getattr(job.result(30)[0], "value", job.result(30)) for job in jobs])
        finally:
            scorer.close()
            recorder.uninstall()
        asked = len(server.requests)
    assert values[0] == values[1] == [0.7] * 8
    assert asked == 16  # steps and verdict of each, all in the first round
    recorded = "".join(path.read_text() for path in tmp_path.rglob("*.yaml"))
    assert "answer 3" in recorded


class Swallowing(Odd):
    """Asks a model and makes do without an answer."""

    def measure(self, test_case):
        with contextlib.suppress(Exception), openai.OpenAI(base_url=test_case.input, api_key="x") as client:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
        self.score = 1.0
        return self.score


@pytest.mark.parametrize("options", [GEVAL, {"metric": f"{__name__}:Swallowing"}])
def test_a_call_that_is_not_recorded_and_may_not_be_made_is_told_as_such(server, judge, tmp_path, options):
    recorder = Recorder(committed=tmp_path / "c", local=tmp_path / "l", mode="none")
    recorder.install()
    try:
        asked = replace(sample(), input=server.url)
        result = score(create_metric("deepeval", {**options, "judge": judge}), asked)
    finally:
        recorder.uninstall()
    assert isinstance(result, Failure)
    assert "APIConnectionError" not in result.error
    assert "record" in result.error
    assert not server.requests


def test_a_golden_file_checks_by_it(server, tmp_path):
    (tmp_path / "app_of_deepeval.py").write_text("def answer(question):\n    return question.upper()\n")
    golden = tmp_path / "golden" / "x.yaml"
    golden.parent.mkdir()
    golden.write_text(f"""
version: 1
app: app_of_deepeval:answer
judge: {{model: judge-1, base_url: "{server.url}"}}
cases:
  - id: polite
    input: please
    checks:
      deepeval: {{metric: GEval, criteria: Is it polite?, min: 0.6}}
  - id: same
    input: please
    reference: PLEASE
    checks:
      deepeval: {{metric: ExactMatch}}
""")
    for record in ("new", "none"):
        settings = load_settings(tmp_path, ("test", {"record": record}))
        run = run_golden(load_golden(golden), settings=settings)
        assert [[score.value for score in result.scores] for result in run.results] == [[0.7], [1.0]]
        assert [result.failures for result in run.results] == [(), ()]
    assert len(server.requests) == 2
    server.answer = lambda _: "no verdict"
    run = run_golden(load_golden(golden), settings=load_settings(tmp_path, ("test", {"record": "all"})))
    assert [len(result.failures) for result in run.results] == [1, 0]


def test_side_by_side_metrics_hold_no_result_of_each_other():
    metric = create_metric("deepeval", {"metric": "ExactMatchMetric"})
    texts = ["60 days", "no"] * 20
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda text: score(metric, sample(text)).value, texts))
    assert results == [1, 0] * 20


def test_labels_tell_several_apart(judge):
    polite = DeepEval(label="polite", judge=judge, **GEVAL)
    assert polite.name == "deepeval:polite"
    assert json.loads(polite.options)["name"] == "polite"
    assert DeepEval(label="ExactMatchMetric").metric == "ExactMatchMetric"


def test_equal_options_make_equal_metrics_that_travel(judge):
    first, second = (create_metric("deepeval", {**GEVAL, "judge": judge}) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert pickle.loads(pickle.dumps(first)) == first  # noqa: S301 - our own
    assert first != create_metric("deepeval", GEVAL)
    assert first.waits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs the option 'metric'"),
        ({"metric": "GEvall"}, "Did you mean 'GEval'?"),
        ({"metric": "ArenaGEval"}, "does not look at single answers"),
        ({"metric": "BaseMetric"}, "does not look at single answers"),
        ({"metric": "json:dumps"}, "must be a class of its BaseMetric"),
        ({"metric": "no.such:Thing"}, "cannot be imported: ModuleNotFoundError"),
        ({**GEVAL, "critera": "x"}, "no option 'critera'. Did you mean 'criteria'?"),
        ({"metric": "PatternMatchMetric"}, "needs the option 'pattern'"),
        ({**GEVAL, "evaluation_params": ["actual_outptu"]}, "Did you mean 'actual_output'?"),
        ({**GEVAL, "rubric": [{"range": [0, 1]}]}, "rubric is a list of {score_range"),
        ({**GEVAL, "threshold": "high"}, "threshold is a number, not 'high'"),
        ({**GEVAL, "model": object()}, "options must be plain values"),
        ({**GEVAL, "judge": {"base_url": "http://x"}}, "judge needs a model"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(MetricOptionError) as caught:
        create_metric("deepeval", options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_that_is_not_there_and_a_model_that_is_no_endpoint(monkeypatch):
    monkeypatch.delenv("SOME_KEY", raising=False)
    for judge, error in (
        ({"model": "gpt-4o-mini", "api_key_env": "SOME_KEY"}, "SOME_KEY, with the judge's key, is not set"),
        ({"model": "embedded"}, "no embedded model"),
    ):
        assert error in score(create_metric("deepeval", {**GEVAL, "judge": judge}), sample()).error


def test_nothing_is_sent_written_loaded_or_printed(tmp_path):
    (tmp_path / ".env").write_text("LEAKED_INTO_THE_APP=1\n")
    code = """
import os, socket, sys
def refuse(*_, **__): raise AssertionError("a socket was opened")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from pytest_llmops.registry import create_metric
from pytest_llmops.records import Output, Sample
metric = create_metric("deepeval", {"metric": "ExactMatchMetric"})
(score,) = metric.score([Sample(output=Output(text="a"), input="q", reference="a")])
assert score.value == 1, score
assert "LEAKED_INTO_THE_APP" not in os.environ
from deepeval.telemetry import telemetry_opt_out
assert telemetry_opt_out()
assert "posthog" not in sys.modules
"""
    environment = {**os.environ, "DEEPEVAL_TELEMETRY_OPT_OUT": "0", "DEEPEVAL_UPDATE_WARNING_OPT_IN": "1",
                   "HOME": str(tmp_path)}  # fmt: skip
    environment.pop("DEEPEVAL_DISABLE_DOTENV", None)
    told = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
