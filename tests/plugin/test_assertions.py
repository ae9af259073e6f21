"""LLM assertions in ordinary tests: fixtures in an assert."""

from __future__ import annotations

import pytest

from tests.extras import needs_pii
from tests.plugin.asserted import CONFTEST


@pytest.fixture
def run(project):
    project.write("conftest.py", CONFTEST)

    def run(test: str) -> pytest.RunResult:
        project.write("test_it.py", test)
        return project.pytester.runpytest_inprocess("test_it.py", "-p", "no:cacheprovider", "-W", "default")

    return run


@needs_pii
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


@needs_pii
def test_every_family_has_a_fixture_with_its_members(run):
    run("""
        import pytest
        from pytest_llmops import Output, Passage, ToolCall

        @pytest.fixture
        def output(llm):
            return llm("How long?", reference="60 days")

        def test_lexical(lexical, output):
            assert lexical(output, "60 days", metric="keyword_overlap") == 1
            assert lexical(output, metric="keywords", all=["60 days"]) == 1
            assert lexical(output, metric="chrf") > 10  # against what llm() was told as the reference
            assert lexical(actual_output="yes", expected_output="yes", metric="exact_match") == 1

        def test_retrieval(recall_at_k, output):
            assert recall_at_k(output, ["shipping#cost"]) == 1
            assert recall_at_k(output, ["shipping#cost"], k=1) == 0
            assert recall_at_k(output, "shipping#cost", metric="precision", k=2) == 0.5
            assert recall_at_k(output, ["shipping#cost"], metric="hit@1") == 0
            assert recall_at_k(output, ["shipping#cost"], metric="mrr") == 0.5
            assert recall_at_k(["a", "b"], ["b"], metric="map") == 0.5
            assert recall_at_k([Passage(id="a"), {"id": "b"}], ["a"], metric="ndcg", k=5) == 1

        def test_tools(tool_calls, output):
            assert tool_calls(output, ["find_order", "refund"]) == 1
            exact = {"name": "refund", "arguments": {"order_id": "A-1", "cents": 900}}
            assert tool_calls(output, [exact]) == 1
            assert tool_calls(output, [ToolCall(name="refund"), {"name": "find_order", "args": {}}]) == 0.5
            assert tool_calls(output, ["refund", "find_order"], metric="tool_order") == 0.5
            assert tool_calls(output, metric="denied_calls") == 0
            assert tool_calls(["find_order"], ["find_order"]) == 1
            assert tool_calls(tools_called=["a"], expected_tools=["a"], extra="denied") == 1

        def test_leak(pii_leak, output):
            assert pii_leak(output) == 0
            assert 1 <= pii_leak(actual_output="Write to ann.lee@example.com")
    """).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("lexical('a', 'b', metric='rogue_l')", "lexical has no metric 'rogue_l'. Did you mean 'rouge_l'?"),
        ("lexical('a', 'b', metric='bertscore')", 'no metric of lexical; write semantic(metric="bertscore")'),
        ("lexical('a', refrence='b')", "lexical takes no 'refrence'. Did you mean 'reference'?"),
        (
            "lexical('a', 'b', expected_output='c')",
            "was given reference twice, the second time as expected_output",
        ),
        ("lexical('a')", "pass reference= to llm()"),
        ("lexical('a', ['b'])", "lexical(reference=…) must be text, not a list"),
        ("semantic(['a'], 'b')", "semantic cannot measure a list; give a string, or the Output"),
        ("semantic(reference='b')", "semantic needs an answer"),
        ("recall_at_k(['a'])", "needs the relevant ids"),
        ("recall_at_k(['a'], ['b'], metric='hit@2', k=3)", "hit@2 and k=3 contradict each other"),
        ("recall_at_k(['a'], ['b'], k=0)", "k must be a whole number above 0"),
        ("recall_at_k([7], ['b'])", "recall_at_k(answer) holds an int; give strings or Passages"),
        ("faithfulness('a')", "faithfulness needs contexts: faithfulness(answer, [text, …])"),
        ("faithfulness('a', contxts=['b'])", "Did you mean 'contexts'?"),
        ("tool_calls('a', ['b'])", "tool_calls(answer) must be a list, not a str"),
        ("tool_calls([7], ['b'])", "a tool call is a name, a ToolCall or a mapping with 'name', not an int"),
        ("tool_calls(['a'], [{'nam': 'b'}])", "the tool call has no 'name'; did you mean it for 'nam'?"),
        ("pairwise('a')", "pairwise needs two answers: pairwise(answer, other, question)"),
        ("judge('a')", "no judge is named"),
    ],
)
def test_a_wrong_argument_is_one_line(run, call, message):
    name = call.partition("(")[0]
    result = run(f"def test_it({name}):\n    {call}\n")
    result.assert_outcomes(failed=1)
    (told,) = (line for line in result.outlines if line.startswith("E "))
    assert message in told


def test_a_failed_assert_explains_the_number(run):
    result = run("""
        def test_it(llm, lexical):
            assert lexical(llm("How long?"), "Two weeks, and no longer") >= 0.5
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*rouge_l 0 >= 0.5*", "*missing: 'two'*", "*answer: *You have 60 days*", "*reference:*Two weeks*"]
    )


@needs_pii
def test_a_failed_leak_assert_shows_no_leak(run):
    result = run("""
        def test_it(llm, pii_leak):
            assert pii_leak(llm("whom do I write to?")) == 0
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pii_leak 1 == 0*", "*EMAIL_ADDRESS*"])
    result.stdout.no_fnmatch_line("*E *ann.lee@example.com*")


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
    project.pytester.runpytest_inprocess("test_it.py").assert_outcomes(passed=2)


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
    result = pytester.runpytest_inprocess()
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
    project.pytester.runpytest_inprocess("test_it.py", "-n", "2").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--llm-out", "run.json"), "*--llm-out belongs to a golden run: add --llm-golden*"),
        (("--llm-record", "nwe"), "*--llm-record must be one of*Did you mean 'new'?*"),
    ],
)
def test_a_flag_that_does_nothing_or_is_wrong_is_a_usage_error(pytester, arguments, message):
    pytester.makepyfile("def test_it(): pass\n")
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_what_a_score_rests_on_is_shown_and_cannot_act_on_a_terminal(run):
    result = run("""
        from pytest_llmops import Output, ToolCall

        def test_tools(tool_calls, llm):
            wanted = {"name": "refund", "arguments": {"order_id": "A-1", "cents": 100}}
            assert 1 <= tool_calls(llm("How long?"), [wanted])

        def test_ranking(recall_at_k, llm):
            assert recall_at_k(llm("How long?"), ["returns#window", "care#wax"]) == 1

        def test_hostile(lexical):
            assert lexical("\\x1b[31mred\\u202e", "plain " * 500) == 1
    """)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines_random([
        "E *tool_calls 0 >= 1", "E *missing: refund(*cents=100*); in the nearest call cents is 900",
        "E *recall@5 0.5 == 1", "E *missing: 'care#wax'*", "E *answer: *You have 60 days*",
        "E *answer: *\\x1b[[]31mred\\u202e", "E *reference: plain *more characters)",
    ])  # fmt: skip
    assert "\x1b[31mred" not in result.stdout.str()


@needs_pii
def test_somebody_invented_is_a_leak_where_they_show_up(run):
    run("""
        def test_it(pii_faker, pii_leak):
            person, other = pii_faker.people(2)
            assert person.email != other.email
            assert pii_leak(f"Write to {person.email}") == 1
            assert pii_leak("born then", deny=[person.name]) == 0
            assert pii_leak(f"it was {person.name}", deny=person.canaries) == 1
    """).assert_outcomes(passed=1)


def test_the_fixture_itself_may_be_compared(project):
    project.write("conftest.py", CONFTEST)
    project.write("test_it.py", "def test_it(llm):\n    assert llm is None\n")

    result = project.pytester.runpytest_inprocess("test_it.py", "-p", "no:cacheprovider")

    result.stdout.fnmatch_lines(["E *assert <llm called 0 times> is None"])
