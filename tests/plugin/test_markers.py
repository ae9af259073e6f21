"""Markers: every `llm()` answer of a marked test must hold the marker's threshold."""

from __future__ import annotations

import json

import pytest

from tests.extras import needs_pii
from tests.openai_server import OpenAIServer
from tests.plugin.asserted import CONFTEST

RUBRIC = {"accuracy": {"reason": "not so", "evidence": "60 days", "score": 2}}


@pytest.fixture
def run(project):
    project.write("conftest.py", CONFTEST)

    def run(test: str) -> pytest.RunResult:
        project.write("test_it.py", test)
        return project.pytester.runpytest_inprocess("test_it.py", "-p", "no:cacheprovider", "-W", "default")

    return run


@needs_pii
def test_markers_check_every_answer(run):
    result = run("""
        import pytest

        @pytest.mark.lexical(min=0.5)
        @pytest.mark.recall_at_k(k=1, min=1)
        @pytest.mark.pii_leak
        def test_good(llm):
            llm("How long?", reference="60 days to send boots back", relevant=["returns#window"])

        @pytest.mark.lexical(min=0.9, reference="two weeks")
        def test_bad(llm):
            llm("How long?")

        @pytest.mark.pii_leak
        def test_leak(llm):
            llm("whom do I write to?")
    """)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*rouge_l >= 0.9*"])
    result.stdout.fnmatch_lines(["*EMAIL_ADDRESS*"])
    result.stdout.no_fnmatch_line("*ann.lee@example.com*answer*")


@needs_pii
def test_every_family_has_a_marker_with_its_members(run):
    run("""
        import pytest

        @pytest.mark.lexical(metric="keywords", all=["60 days"])
        @pytest.mark.lexical(metric="keyword_overlap", threshold=0.9)
        @pytest.mark.recall_at_k(metric="mrr", min=0.5, relevant="shipping#cost")
        @pytest.mark.recall_at_k(metric="precision@2", min=0.5, max=0.5, relevant=["shipping#cost"])
        @pytest.mark.tool_calls(expected=["refund", {"name": "find_order"}])
        @pytest.mark.tool_calls(metric="tool_order", expected=["find_order", "refund"])
        @pytest.mark.tool_calls(metric="denied_calls", threshold=0)
        @pytest.mark.pii_leak
        def test_it(llm):
            llm("How long?", reference="60 days")
    """).assert_outcomes(passed=1)


def test_a_broken_marker_tells_the_part_that_is_missing(run):
    result = run("""
        import pytest

        @pytest.mark.tool_calls(expected=[{"name": "refund", "arguments": {"order_id": "A-1", "cents": 100}}])
        def test_tools(llm):
            llm("How long?")
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*failed*tool_calls >= 1: 0; missing: refund(*cents is 900*"])


def test_a_judge_reads_what_a_marker_gives_it(run, project):
    with OpenAIServer(answer=lambda _: json.dumps(RUBRIC)) as server:
        project.write("pyproject.toml", f"""
            [tool.pytest-llmops]
            judge = {{model = "judge-1", base_url = "{server.url}"}}
        """)  # fmt: skip
        result = run("""
            import pytest

            @pytest.mark.judge(min=4.5, reference="Two weeks", contexts=["It is 60."], criteria="accuracy")
            def test_low(llm):
                llm("How long?")

            @pytest.mark.judge(threshold=2, criteria=["accuracy"])
            def test_good(llm):
                llm("How long?")
        """)
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines([
            "*failed *judge >= 4.5: 2; accuracy 2: not so", "  accuracy (2) points to: 60 days",
            "*context 1: It is 60.",
        ])  # fmt: skip
        assert all(text in str(server.requests[0]) for text in ("Two weeks", "It is 60.", "How long?"))
        assert len(server.requests) == 2
        run((project.path / "test_it.py").read_text())
        assert len(server.requests) == 2


def test_a_marked_test_that_never_asks_is_not_green(run):
    result = run("""
        import pytest

        @pytest.mark.lexical(min=0.5, reference="x")
        def test_it(llm):
            pass
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*llm() was never called*"])


@pytest.mark.parametrize(
    ("marker", "takes", "message"),
    [
        ("lexical(min=0.5)", "", "*does not take the fixture llm*"),
        ("lexical(0.5)", "llm", "*name the arguments*"),
        ("lexical(min='high')", "llm", "*a threshold is a number, not 'high'*"),
        ("lexical(min=0.5, metric='rogue_l')", "llm", "*'rogue_l'*Did you mean 'rouge_l'?*"),
        ("semantic(min=0.5, encodr='x')", "llm", "*'encodr'*Did you mean 'encoder'?*"),
        ("semantic(mn=0.5, reference='x')", "llm", "*semantic takes no 'mn'. Did you mean 'min'?*"),
        ("lexical(min=0.5, threshold=0.6)", "llm", "*threshold and min are the same limit*"),
        ("recall_at_k(metric='rouge_l')", "llm", "*'rouge_l' is no metric of recall_at_k; write lexical()*"),
        ("tool_calls(expected='find')", "llm", "*expected must be a list, not a str*"),
        ("judge(min=4)", "llm", "*no judge is named*"),
    ],
)
def test_a_wrong_marker_fails_its_test_before_it_runs(run, marker, takes, message):
    result = run(f"""
        import pytest

        @pytest.mark.{marker}
        def test_it({takes}):
            pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])
    assert len(result.outlines) < 20


def test_markers_of_one_metric_are_judged_one_by_one(run):
    """A good answer to one reference does not make up for a bad one to another."""
    result = run("""
        import pytest

        @pytest.mark.lexical(min=0.5, reference="London")
        class TestCapital:
            @pytest.mark.lexical(min=0.5, reference="You have 60 days to send boots back.")
            def test_it(self, llm):
                llm("How long?")
    """)
    result.assert_outcomes(failed=1)


def test_a_mark_of_somebody_else_is_let_be(run):
    run("""
        import pytest

        @pytest.mark.semantic
        def test_it():
            pass
    """).assert_outcomes(passed=1)


def test_markers_and_fixtures_work_in_workers(project):
    project.write("conftest.py", CONFTEST)
    with OpenAIServer(answer=lambda _: json.dumps(RUBRIC)) as server:
        project.write("pyproject.toml", f"""
            [tool.pytest-llmops]
            judge = {{model = "judge-1", base_url = "{server.url}"}}
        """)  # fmt: skip
        project.write("test_it.py", """
            import pytest

            @pytest.mark.judge(min=3, criteria="accuracy")
            def test_marked(llm):
                llm("How long?")

            @pytest.mark.parametrize("number", range(3))
            def test_asserted(judge, number):
                assert judge("60 days", f"How long is {number}?", criteria="accuracy") >= 3
        """)  # fmt: skip
        for _ in range(2):
            result = project.pytester.runpytest_inprocess("test_it.py", "-n", "2")
            result.assert_outcomes(failed=4)
            result.stdout.fnmatch_lines(["E *judge 2 >= 3"])
        assert len(server.requests) == 4


def test_a_marker_that_is_plainly_ours_needs_an_answer(project):
    project.write("test_it.py", """
        import pytest

        @pytest.mark.pii_leak
        def test_it():
            print("nothing was asked")
    """)  # fmt: skip
    result = project.pytester.runpytest_inprocess("test_it.py")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the test does not take the fixture llm*"])


def test_collecting_marked_tests_opens_no_run(project, monkeypatch):
    project.write("conftest.py", CONFTEST)
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.lexical(min=0.5)
        def test_it(llm):
            llm("How long?")
    """,
    )
    monkeypatch.setattr("pytest_llmops.plugin.session._open", None)  # which would be an error to call

    result = project.pytester.runpytest_inprocess("--collect-only", "-p", "no:cacheprovider")

    assert result.ret == pytest.ExitCode.OK
