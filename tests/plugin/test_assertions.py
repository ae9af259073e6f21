"""LLM assertions in ordinary tests: markers and fixtures."""

from __future__ import annotations

import pytest

CONFTEST = """
    import pytest

    @pytest.fixture(scope="session")
    def llm_app():
        def answer(question):
            return {"text": "You have 60 days. Write to ann.lee@example.com" if "write" in question else
                    "You have 60 days to send boots back.", "passages": ["returns#window", "shipping#cost"]}
        return answer
"""


@pytest.fixture
def run(project):
    project.write("conftest.py", CONFTEST)

    def run(test: str) -> pytest.RunResult:
        project.write("test_it.py", test)
        return project.pytester.runpytest_subprocess("test_it.py", "-p", "no:cacheprovider")

    return run


def test_fixtures_give_numbers_to_compare(run):
    run("""
        def test_it(llm, lexical, recall_at_k, pii_leak, llm_traces):
            output = llm("How long?")
            assert lexical(output, "60 days to send boots back") >= 0.5
            assert lexical(output, "You have 60 days", metric="bleu") > 0
            assert recall_at_k(output, ["returns#window"], k=1) == 1
            assert recall_at_k(["a", "b"], ["b"], k=1) == 0
            assert pii_leak(output, llm_traces) == 0
    """).assert_outcomes(passed=1)


def test_a_failed_assert_explains_the_number(run):
    result = run("""
        def test_it(llm, lexical):
            assert lexical(llm("How long?"), "Two weeks, and no longer") >= 0.5
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*rouge_l 0 >= 0.5*", "*missing: 'two'*", "*answer: *You have 60 days*", "*reference:*Two weeks*"]
    )


def test_a_failed_leak_assert_shows_no_leak(run):
    result = run("""
        def test_it(llm, pii_leak):
            assert pii_leak(llm("whom do I write to?")) == 0
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pii_leak 1 == 0*", "*EMAIL_ADDRESS*"])
    result.stdout.no_fnmatch_line("*E *ann.lee@example.com*")


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


def test_an_async_client_lives_through_a_test(project):
    project.write("conftest.py", """
        import asyncio, pytest

        @pytest.fixture(scope="session")
        def llm_app():
            loops = set()

            async def answer(question):
                loops.add(asyncio.get_running_loop())
                return f"{len(loops)} loop"

            return answer
    """)  # fmt: skip
    project.write("test_it.py", """
        import asyncio

        def test_it(llm):
            assert llm("one").text == llm("two").text == "1 loop"

        def test_in_a_running_loop(llm):
            async def inside():
                return llm("three").text
            assert asyncio.run(inside()) == "1 loop"
    """)  # fmt: skip
    project.pytester.runpytest_subprocess("test_it.py").assert_outcomes(passed=2)


def test_an_app_that_breaks_is_no_score(run, project):
    project.write("conftest.py", """
        import pytest

        @pytest.fixture(scope="session")
        def llm_app():
            def answer(question):
                raise OSError("line is down")
            return answer
    """)  # fmt: skip
    result = run("def test_it(llm): llm('x')\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the app raised OSError: line is down*"])


def test_without_an_app_the_fixture_says_how_to_name_one(pytester):
    pytester.makepyfile("def test_it(llm): llm('x')\n")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*define a fixture llm_app in conftest.py*"])
    assert len(result.outlines) < 20


def test_tests_that_ask_run_under_workers_too(project):
    project.write("conftest.py", CONFTEST)
    project.write("test_it.py", """
        import pytest

        @pytest.mark.lexical(min=0.5, reference="60 days to send boots back")
        def test_one(llm):
            llm("How long?")

        def test_two(llm, lexical):
            assert lexical(llm("How long?"), "60 days to send boots back") >= 0.5
    """)  # fmt: skip
    project.pytester.runpytest_subprocess("test_it.py", "-n", "2").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--llm-out", "run.json"), "*--llm-out belongs to a golden run: add --llm-golden*"),
        (("--llm-record", "nwe"), "*record is one of*Did you mean 'new'?*"),
    ],
)
def test_a_flag_that_does_nothing_or_is_wrong_is_a_usage_error(pytester, arguments, message):
    pytester.makepyfile("def test_it(): pass\n")
    result = pytester.runpytest_subprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
