"""Metrics of a project's own: by a decorated function, by the hook, in this process and under workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.extras import needs_pii
from tests.plugin.conftest import GOLDEN
from tests.readme import run_page

PAGE = Path(__file__).parents[2] / "docs" / "metrics" / "custom.md"

HOOK = """
    from dataclasses import dataclass
    from pytest_llmops.records import Bound, Score

    @dataclass(frozen=True, kw_only=True)
    class Shout:
        name = "shout"
        version = 1
        needs = frozenset()
        range = (0.0, 1.0)
        higher_is_better = True
        bound = Bound(comparison=">=", threshold=1.0)

        def score(self, batch):
            return [Score(metric="shout", value=float(each.output.text.isupper())) for each in batch]

    def pytest_llmops_register_metrics(register):
        register("shout", Shout)
"""
DECORATED = """
    import pytest_llmops

    @pytest_llmops.metric("shout")
    def shout(output):
        return output.text.isupper()
"""


@pytest.mark.parametrize("folder", ["", "golden/"])
@pytest.mark.parametrize("conftest", [HOOK, DECORATED])
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_golden_file_knows_the_metric(project, conftest, workers, folder):
    project.write(f"{folder}conftest.py", conftest)
    project.golden(GOLDEN.replace("{keywords: {all: [Paris]}}", "{shout: true}"))
    result = project.run_here(*workers)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*failed*shout >= 1: 0"])


def test_a_hook_that_nobody_calls_so_is_told_by_pytest(project):
    project.write("conftest.py", "def pytest_llmops_register_metrics(registry): pass\n")
    result = project.run_here()
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*pytest_llmops_register_metrics*"])


def test_a_wrong_decorator_stops_the_run_in_its_own_words(project):
    project.write("conftest.py", "import pytest_llmops\n\n@pytest_llmops.metric('polite', needs=['x'])\n"
                                 "def polite(output): return 1\n")  # fmt: skip
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*polite: nothing needed is named 'x'*"])


@pytest.mark.usefixtures("warm")
def test_the_page_works_in_its_order(tmp_path):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTEST_ADDOPTS": "-p no:langsmith_plugin -p no:hypothesispytest -p no:anyio -p no:cacheprovider",
    }
    wrong = run_page(PAGE.read_text(encoding="utf-8"), tmp_path, environment)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("conftest", [HOOK, DECORATED])
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_conftest_cannot_shadow_a_built_in_metric(project, conftest, workers):
    project.write("conftest.py", conftest.replace('"shout"', '"keywords"'))
    result = project.run_here(*workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*conftest.py:*: the metric 'keywords' has the name of another one, *lexical.keywords*"]
    )
    result.stderr.no_fnmatch_line("*Traceback*")


def test_two_metrics_of_one_name_are_both_named(project):
    project.write("conftest.py", DECORATED)
    project.write("golden/conftest.py", "\n\n" + DECORATED)
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*golden/conftest.py:*'shout'*another one, *conftest.py:*"])


def test_a_metrics_file_cannot_shadow_a_built_in_metric(project):
    project.write("own.py", DECORATED.replace('"shout"', '"semantic"'))
    project.write("pyproject.toml", "[tool.pytest-llmops]\nmetrics = ['own.py']\n[tool.pytest.ini_options]\n")
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*own.py:*: the metric 'semantic' has the name of another one*"])


@pytest.mark.parametrize(
    "marker",
    [
        "semantic(min=-1)",
        "lexical(min=0)",
        "lexical(max=1)",
        pytest.param("pii_leak(min=0)", marks=needs_pii),
    ],
)
def test_a_marker_that_can_never_fail(project, marker):
    text = "import pytest\n\n@pytest.mark.{}\ndef test_it(llm):\n"
    text += "    llm('capital of France?', reference='Paris')\n"
    project.write("pytest.ini", "[pytest]\nllm_app = capitals:answer\n")
    path = project.write("tests/test_it.py", text.format(marker))
    result = project.pytester.runpytest_inprocess("tests")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"tests/test_it.py:3: @pytest.mark.{marker.split('(')[0]}: * can never fail*record_only*"]
    )
    assert not project.asked()
    if marker.startswith("semantic"):  # which needs weights
        return
    path.write_text(text.format(marker.replace(")", ", record_only=True)")))
    project.pytester.runpytest_inprocess("tests").assert_outcomes(passed=1)


def test_what_only_records_fails_no_build(project):
    text = GOLDEN.replace("{keywords: {all: [Paris]}}", "{keywords: {all: [Rome], record_only: true}}")
    project.golden(text.replace("cases:", "suite: {keywords: {mean: '>= 1', record_only: true}}\n    cases:"))
    result = project.run_here()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["keywords mean (recorded only)*0.5*"])
    assert project.run_here("--llm-accept").ret == 0
    project.app("def answer(question): return 'Madrid' if 'Spain' in question else 'nowhere'\n")
    assert project.run_here("--llm-record", "all").ret == 0
