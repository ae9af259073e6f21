"""Our metrics under DeepEval, and the page that shows both ways."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_llmops import as_deepeval
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.features.deepeval.check import DeepEval
from tests.openai_server import OpenAIServer
from tests.readme import read_blocks

os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "1"
deepeval_metrics = pytest.importorskip("deepeval.metrics")
BaseMetric = deepeval_metrics.BaseMetric


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


def test_the_page_works(tmp_path):
    page = Path(__file__).parents[4] / "docs" / "metrics" / "deepeval.md"
    (block,) = (block for block in read_blocks(page.read_text(encoding="utf-8")) if "file" in block.told)
    (tmp_path / block.told["file"]).write_text(block.text, encoding="utf-8")
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path, capture_output=True,
        text=True, check=False, env={**os.environ, "PYTEST_ADDOPTS": "-p no:deepeval -p no:langsmith_plugin"},
    )  # fmt: skip
    assert told.returncode == 0, told.stdout
    for checks in (
        block for block in read_blocks(page.read_text(encoding="utf-8")) if block.language == "yaml"
    ):
        written = yaml.safe_load(checks.text)
        for name, each in written["checks"].items():
            options = (
                {key: value for key, value in each.items() if key != "min"} if isinstance(each, dict) else {}
            )
            made = DeepEval(label=name.partition(":")[2], judge=written["judge"], **options)
            assert made.name == name


def test_ours_is_a_metric_of_deepeval():
    from deepeval.test_case import LLMTestCase

    case = LLMTestCase(input="How long?", actual_output="You have 60 days.", expected_output="60 days")
    metric = as_deepeval("keywords", all=["60 days", "refund"])
    assert isinstance(metric, BaseMetric)
    assert metric.__name__ == "keywords"
    assert metric.measure(case) == metric.score == 0.5
    assert (metric.is_successful(), metric.error) == (False, None)
    assert "refund" in metric.reason
    assert as_deepeval("keywords", 0.5, all=["60 days", "refund"]).measure(case) == 0.5


def test_a_metric_without_a_bound_needs_a_threshold():
    with pytest.raises(LLMOpsError, match=r"has no default threshold; write .*threshold=…"):
        as_deepeval("faithfulness")
    assert as_deepeval("faithfulness", 0.7).threshold == 0.7


def test_deepeval_runs_ours():
    from deepeval import assert_test, evaluate
    from deepeval.evaluate.configs import AsyncConfig, CacheConfig, DisplayConfig
    from deepeval.test_case import LLMTestCase

    case = LLMTestCase(
        input="How long?", actual_output="You have 60 days.", expected_output="60 days",
        retrieval_context=["Within 60 days."],
    )  # fmt: skip
    good, bad = as_deepeval("keywords", 1.0, all=["60 days"]), as_deepeval("keywords", 1.0, all=["refund"])
    assert_test(case, [good], run_async=False)
    with pytest.raises(AssertionError):
        assert_test(case, [good, bad], run_async=False)  # whose own loop DeepEval leaves open
    told = evaluate(
        [case], [good, bad], async_config=AsyncConfig(run_async=False),
        cache_config=CacheConfig(write_cache=False),
        display_config=DisplayConfig(show_indicator=False, print_results=False),
    )  # fmt: skip
    (result,) = told.test_results
    assert [(each.name, each.success, each.score) for each in result.metrics_data] == [
        ("keywords", True, 1.0), ("keywords", False, 0.0),
    ]  # fmt: skip


def test_ours_read_all_of_a_test_case(server, tmp_path, monkeypatch):
    from deepeval.test_case import LLMTestCase
    from deepeval.test_case import ToolCall as TheirCall

    case = LLMTestCase(
        input="How long?", actual_output="60 days.", context=["within 60 days"],
        retrieval_context=["Shipping costs 5.", "Boots come back within 60 days."],
        tools_called=[TheirCall(name="find", input_parameters={"id": 7})],
    )  # fmt: skip
    assert as_deepeval("recall@1").measure(case) == 0
    assert as_deepeval("mrr").measure(case) == 0.5
    assert as_deepeval("tool_calls", expected=[{"name": "find", "arguments": {"id": 7}}]).measure(case) == 1
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.pytest-llmops]\njudge = {{model = "judge-1", base_url = "{server.url}"}}\n'
    )
    monkeypatch.chdir(tmp_path)
    server.answer = lambda _: json.dumps({"accuracy": {"reason": "so", "evidence": "", "score": 4}})
    judged = as_deepeval("judge", threshold=4, criteria="accuracy")
    assert (judged.measure(case), judged.is_successful()) == (4, True)
    assert "Boots come back" in str(server.requests[0])


def test_ours_that_cannot_score_raises_and_is_no_success():
    from deepeval.test_case import LLMTestCase

    metric = as_deepeval("exact_match")
    case = LLMTestCase(input="How long?", actual_output="x")
    for measure in (metric.measure, lambda given: asyncio.run(metric.a_measure(given))):
        with pytest.raises(LLMOpsError, match="no reference"):
            measure(case)
        assert (metric.score, metric.is_successful()) == (None, False)
        assert "no reference" in metric.error


def test_where_lower_is_better_the_threshold_is_the_highest():
    from deepeval.test_case import LLMTestCase

    metric = as_deepeval("pii_leak", 0)
    metric.measure(LLMTestCase(input="?", actual_output="Write to ann.lee@example.com"))
    assert (metric.score, metric.is_successful()) == (1, False)
    metric.measure(LLMTestCase(input="?", actual_output="Write to us."))
    assert (metric.score, metric.is_successful()) == (0, True)
