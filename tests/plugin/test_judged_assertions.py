"""Fixtures that ask a chat model, and what a failed assert of theirs shows."""

from __future__ import annotations

import json

import pytest

from tests.extras import needs_local
from tests.openai_server import OpenAIServer
from tests.plugin.asserted import CONFTEST
from tests.stored_files import WEIGHTS


@pytest.fixture
def run(project):
    project.write("conftest.py", CONFTEST)

    def run(test: str) -> pytest.RunResult:
        project.write("test_it.py", test)
        return project.pytester.runpytest_inprocess("test_it.py", "-p", "no:cacheprovider", "-W", "default")

    return run


RUBRIC = {
    name: {"reason": f"about {name}", "evidence": "60 days", "score": score}
    for name, score in {"accuracy": 5, "completeness": 2, "hallucination": 5}.items()
}


def test_a_judge_is_asked_once_and_then_replayed(run, project):
    with OpenAIServer(answer=lambda _: json.dumps(RUBRIC)) as server:
        project.write(
            "pyproject.toml",
            f"""
            [tool.pytest-llmops]
            judge = {{model = "judge-1", base_url = "{server.url}"}}
        """,
        )
        test = """
            def test_low(judge):
                assert judge("60 days.", question="How long?", reference="Two weeks") >= 4.5

            def test_it(llm, judge):
                assert judge("60 days.", question="How long?", contexts=["60 days it is."]) == 4
                assert judge(llm("How long to send back?")) == 4
        """
        result = run(test)
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines([
            "E *judge 4 >= 4.5", "E *about completeness", "E *completeness (2) points to: 60 days",
            "E *answer: *60 days.", "E *reference: Two weeks",
        ])  # fmt: skip
        assert len(server.requests) == 3
        assert "60 days it is." in str(server.requests[1])
        assert "How long to send back?" in str(server.requests[2])  # as llm() was asked
        run(test)
        assert len(server.requests) == 3
    kept = "".join(path.read_text() for path in (project.path / ".llmops" / "cassettes").rglob("*.yaml"))
    assert "about completeness" in kept


def test_a_judge_that_breaks_is_no_number(run):
    with OpenAIServer(answer=lambda _: "I would rather not say.") as server:
        result = run(f"""
            def test_it(judge):
                asked = {{"model": "m", "base_url": "{server.url}", "attempts": 1}}
                assert judge("60 days.", question="How long?", judge=asked) >= 1
        """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *NotScoredError: judge: *"])


def test_two_answers_are_compared(run):
    def prefer(request):
        said = str(request["messages"])
        better = "first" if said.index("60 days") < said.index("No idea") else "second"
        return json.dumps({"reason": "it says how long", "evidence": "60", "better": better})

    with OpenAIServer(answer=prefer) as server:
        run(f"""
            def test_it(pairwise, llm):
                asked = {{"model": "m", "base_url": "{server.url}"}}
                assert pairwise("60 days.", "No idea.", "How long?", judge=asked) == 1
                assert pairwise("No idea.", other="60 days.", question="How long?", judge=asked) == 0
        """).assert_outcomes(passed=1)


def test_the_least_supported_claim_is_shown_with_what_comes_nearest(run):
    def check(request):
        free, supported = {"label": "absent", "evidence": ""}, {"label": "supported", "evidence": "60 days"}
        kinds = [supported, free] if "Boots are free" in str(request["messages"]) else [free]
        return json.dumps(
            {"claims": [{"claim": at, "reason": "so", **kind} for at, kind in enumerate(kinds, start=1)]}
        )

    with OpenAIServer(answer=check) as server:
        result = run(f"""
            import pytest

            ASKED = {{"by": "judge", "judge": {{"model": "m", "base_url": "{server.url}"}}}}

            def test_asserted(faithfulness):
                contexts = ["Boots may be sent back within 60 days."]
                answer = "You have 60 days. " + "Boots are free of charge for everybody " * 3 + "here."
                assert faithfulness(answer, contexts, **ASKED) >= 0.8

            @pytest.mark.faithfulness(min=0.8, **ASKED)
            def test_marked(llm):
                llm("How long?")
        """)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines_random([
        "E *faithfulness * >= 0.8", "E *least supported (0), absent: Boots are free * here.",
        "E *answer: *You have 60 days. Boots*", "E *context 1: Boots may be*",
        "*failed *faithfulness >= 0.8: *'You have 60 days to send boots back.'*", "  context 1: *",
    ])  # fmt: skip


@needs_local
def test_faithfulness_needs_no_key(run, project):
    project.environment.setenv("LLMOPS_WEIGHTS", WEIGHTS)
    run("""
        def test_it(faithfulness, llm):
            contexts = ["Boots may be sent back within 60 days of delivery."]
            good = faithfulness("Boots may be sent back within 60 days.", contexts)
            bad = faithfulness("Boots may be sent back within 90 days.", retrieval_context=contexts)
            assert good > bad
            assert faithfulness(llm("How long?")) > 0  # by the passages that the app found
    """).assert_outcomes(passed=1)


@pytest.mark.parametrize(("undecided", "outcomes"), [("warn", {"passed": 1}), ("fail", {"failed": 1})])
def test_a_marker_may_ask_for_agreement_with_people(run, project, undecided, outcomes):
    """Where no labels are recorded, a judge that says yes has not passed."""
    with OpenAIServer(answer=lambda _: json.dumps(RUBRIC)) as server:
        project.write(
            "pyproject.toml",
            f"""
            [tool.pytest-llmops]
            undecided = "{undecided}"
            judge = {{model = "judge-1", base_url = "{server.url}"}}
        """,
        )
        result = run("""
            import pytest

            @pytest.mark.judge(min=4, min_kappa=0.6, floors=False)
            def test_it(llm):
                llm("How long?")
        """)
    result.assert_outcomes(**outcomes, warnings=1 if undecided == "warn" else 0)
    result.stdout.fnmatch_lines(["*min_kappa 0.6: no labels are recorded; run: llmops calibrate judge *"])


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("lexical(min=0.1, min_kappa=0.5)", "min_kappa is for judges, and rouge_l asks none"),
        ("judge(min=4, min_kappa=7, judge='m')", "min_kappa is a number from 0 to 1, not 7"),
    ],
)
def test_agreement_that_cannot_be_asked_for_is_told(run, marker, told):
    result = run(f"""
        import pytest

        @pytest.mark.{marker}
        def test_it(llm):
            llm("How long?", reference="60 days")
    """)

    assert told in result.stdout.str()
