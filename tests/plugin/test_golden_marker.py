"""`@pytest.mark.golden`: ordinary tests that run for each case of a golden file; fixtures named `llm_…`."""

from __future__ import annotations

import pytest

GOLDEN = """
    app: capitals:answer
    cases:
      - {id: france, input: capital of France?, reference: Paris, relevant: [fr], tags: [north]}
      - {id: spain, input: capital of Spain?, reference: Madrid}
"""
TEST = """
    import pytest

    @pytest.mark.golden("golden/capitals.yaml")
    def test_capital(case, llm):
        assert llm(case.input) == case.reference
"""


@pytest.fixture
def written(project):
    project.golden(GOLDEN)
    project.write("test_capitals.py", TEST)
    project.pytester.syspathinsert()
    return project


def run(project, *arguments):
    own = ("-p", "no:cacheprovider", "-W", "default")
    return project.pytester.runpytest_inprocess(*own, *arguments)


def test_a_marked_test_runs_for_each_case(written):
    result = run(written, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "test_capitals.py::test_capital[[]france[]] PASSED*",
            "test_capitals.py::test_capital[[]spain[]] PASSED*",
        ]
    )
    assert written.asked() == ["capital of France?", "capital of Spain?"]


def test_cases_are_chosen_as_any_test(written):
    run(written, "-k", "spain").assert_outcomes(passed=1, deselected=1)
    run(written, "-m", "north", "--strict-markers").assert_outcomes(passed=1, deselected=1)
    run(written, "test_capitals.py::test_capital[spain]").assert_outcomes(passed=1)


def test_a_case_is_called_with_what_its_markers_need(written):
    written.write(
        "test_capitals.py",
        """
        import pytest

        @pytest.mark.golden("golden/capitals.yaml")
        @pytest.mark.lexical(min=0.9)
        def test_capital(case, llm):
            llm(case)

        @pytest.mark.golden("golden/capitals.yaml")
        def test_fields(case, llm):
            assert case.relevant in {("fr",), ()}
            assert case.source.line in {4, 5}
            assert [case.reference] == [str(llm(case))]
        """,
    )
    run(written).assert_outcomes(passed=4)
    written.golden(GOLDEN.replace("Madrid", "Lisbon"))
    run(written, "-k", "test_capital[").assert_outcomes(passed=1, failed=1, deselected=2)


def test_the_golden_file_rules_the_calls(written):
    written.golden("require_spans: true\n" + GOLDEN.replace("\n    ", "\n"))
    result = run(written, "-k", "spain")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*span*"])


def test_another_app_comes_first(written):
    written.write("other.py", "def answer(question):\n    return 'Rome'\n")
    run(written, "--llm-app", "other:answer").assert_outcomes(failed=2)
    written.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="session")
        def llm_app():
            return lambda question: "Paris"
        """,
    )
    run(written).assert_outcomes(passed=1, failed=1)


def test_skipped_cases_and_expected_failures(written):
    written.golden(
        GOLDEN.replace("id: france,", "id: france, skip: not today,").replace(
            "Madrid", "Lisbon, xfail: wrong"
        )
    )
    result = run(written, "-rsx")
    result.assert_outcomes(skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["SKIPPED*not today", "XFAIL*spain*wrong*"])


def test_an_app_that_breaks_is_no_expected_failure(written):
    written.golden(GOLDEN.replace("input: capital of Spain?", "input: capital of Peru?, xfail: wrong"))
    run(written).assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (
            TEST.replace("capitals.yaml", "capital.yaml"),
            "*no such file or folder. Did you mean 'capitals.yaml'?",
        ),
        (TEST.replace('yaml")', 'yaml", "b.yaml")'), "* takes one path, such as golden(*"),
        (TEST.replace('yaml")', 'yaml", k=1)'), "* takes one path, such as golden(*"),
        (TEST.replace("(case, llm)", "(llm)"), ": the test must take the argument case"),
    ],
)
def test_a_wrong_mark_is_an_error_of_collection(written, test, message):
    written.write("test_capitals.py", test)
    result = run(written)
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"*test_capitals.py:4: @pytest.mark.golden{message}"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("golden", "message"),
    [
        (GOLDEN.replace("input:", "inptu:", 1), "golden/capitals.yaml:4: france: unknown key 'inptu'.*"),
        (GOLDEN.replace("north", "skip"), "*golden/capitals.yaml:4: france: the tag 'skip' is a mark that*"),
    ],
)
def test_a_mistake_in_the_golden_file_is_an_error_of_collection(written, golden, message):
    written.golden(golden)
    result = run(written)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{message}"])


def test_a_mark_of_another_plugin_is_left_alone(written):
    written.write(
        "test_capitals.py",
        """
        import pytest

        @pytest.mark.golden
        def test_one():
            pass

        @pytest.mark.golden("what")
        def test_two():
            pass
        """,
    )
    run(written).assert_outcomes(passed=2)


def test_workers_run_the_same_cases(written):
    written.pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2").assert_outcomes(passed=2)


SEMANTIC = """
    import pytest

    @pytest.fixture
    def lexical():
        return "the project's own"
"""


def test_fixtures_have_a_second_name(written):
    written.write("conftest.py", SEMANTIC)
    written.write(
        "test_capitals.py",
        """
        def test_own(lexical, llm_lexical):
            assert lexical == "the project's own"
            assert llm_lexical("Paris", "Paris") >= 0.9
        """,
    )
    result = run(written)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*warning*")


def test_a_clash_of_names_is_a_warning_that_names_both(written):
    written.write("conftest.py", SEMANTIC)
    written.write("test_capitals.py", TEST.replace("(case, llm)", "(case, llm, lexical)"))
    result = run(written)
    result.assert_outcomes(passed=2, warnings=1)
    message = "*the fixture lexical is that of *conftest.py:*; the one of pytest-llmops is llm_lexical*"
    result.stdout.fnmatch_lines([message])
    result = run(written, "-W", "error")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_fixture_that_builds_on_ours_is_no_clash(written):
    written.write("conftest.py", SEMANTIC.replace("def lexical()", "def lexical(lexical)"))
    written.write("test_capitals.py", TEST.replace("(case, llm)", "(case, llm, lexical)"))
    run(written).assert_outcomes(passed=2)
