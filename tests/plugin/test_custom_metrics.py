"""Metrics of a project's own: by a decorated function, by the hook, in this process and under workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import GOLDEN
from tests.readme import read_blocks, run_console

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
    result = project.run(*workers)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*failed*shout >= 1: 0"])


def test_a_hook_that_nobody_calls_so_is_told_by_pytest(project):
    project.write("conftest.py", "def pytest_llmops_register_metrics(registry): pass\n")
    result = project.run()
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*pytest_llmops_register_metrics*"])


def test_a_wrong_decorator_stops_the_run_in_its_own_words(project):
    project.write("conftest.py", "import pytest_llmops\n\n@pytest_llmops.metric('polite', needs=['x'])\n"
                                 "def polite(output): return 1\n")  # fmt: skip
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*polite: nothing needed is named 'x'*"])


def test_the_page_works_in_its_order(tmp_path):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTEST_ADDOPTS": "-p no:langsmith_plugin -p no:hypothesispytest -p no:anyio -p no:cacheprovider",
    }
    wrong = []
    for block in read_blocks(PAGE.read_text(encoding="utf-8")):
        if "file" in block.told:
            path = tmp_path / block.told["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            wrong += run_console(block, tmp_path, environment)
    assert not wrong, "\n\n".join(wrong)
