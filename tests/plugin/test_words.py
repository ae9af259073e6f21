"""What users read: awkward inputs, and the words that they are answered with."""

from __future__ import annotations

import re
import sys

import pytest

from tests.command import main
from tests.openai_server import OpenAIServer

CASE = "cases: [{id: a, input: q, checks: {keywords: {all: [60 days]}}}]"
WRONG_NUMBER = re.compile(
    r"(?<![\d.,/])1 (?:more |model |new |other )?(?:cases|calls|items|problems|repeats|answers|passages|rows"
    r"|labels|pairs|files|spans|lines|characters|contexts|words|results|outputs|attempts|prompts|groups|texts|times)\b"
)
WRONG_ARTICLE = re.compile(r"\ba (?:int|object|array|Output|integer|error|async|item)\b")
BANNED = ("nobody knows", "mend ", "taken down", "none was seen", "names a single case")


def speaks_well(shown: str) -> None:
    assert not WRONG_NUMBER.search(shown), WRONG_NUMBER.search(shown)
    assert not WRONG_ARTICLE.search(shown), WRONG_ARTICLE.search(shown)
    for word in BANNED:
        assert word not in shown


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 3", "the app returned an int; it must return a string, an Output, or a mapping with 'text'"),
        ("return 1.5", "the app returned a float; it must return a string"),
        ("return {'answer': 'x'}", "the output has no 'text'; it has: answer"),
        ("return {'txt': 'x'}", "the output has no 'text'; did you mean it for 'txt'?"),
        ("return {}", "the output has no 'text'; it has: nothing"),
        (
            "return {'text': 'x', 'tool_calls': [{'nme': 'f'}]}",
            "the tool call has no 'name'; did you mean it for 'nme'?",
        ),
        ("return {'text': 'x', 'tool_calls': [{}]}", "the tool call has no 'name'; it has: nothing"),
        (
            "return {'text': 'x', 'passages': [{'ident': 'f'}]}",
            "the passage has no 'id'; it has: ident",
        ),
        ("return {'text': 'x', 'tool_calls': [3]}", "a mapping with 'name', not an int"),
        ("return 'within 30 days'", "keywords >= 1: 0; missing: '60 days'"),
    ],
)
def test_answers_of_the_app(project, body, message):
    project.app(f"def answer(question):\n    {body}\n")
    project.golden(f"version: 1\napp: capitals:answer\n{CASE}\n")
    result = project.run_here()
    assert message in result.stdout.str()
    assert "none_of" not in result.stdout.str()
    assert "no model call seen" in result.stdout.str()
    speaks_well(result.stdout.str())


@pytest.mark.parametrize(
    ("golden", "arguments", "message"),
    [
        (f"judge: {{}}\n{CASE}", (), "golden/x.yaml:1: judge: model is missing"),
        (
            CASE,
            ("--llm-record", "nwe"),
            "--llm-record must be one of none, once, new, all, not 'nwe'. Did you",
        ),
        (CASE, ("--llm-timeout-s", "0"), "--llm-timeout-s must be a number of seconds above 0, not '0'"),
        (CASE, ("-o", "llm_undecided=no"), "llm_undecided must be one of pass, warn, fail, not 'no'"),
        (CASE, ("--llm-app", "http://"), "http: url is no URL; it begins as http://127.0.0.1:"),
        (CASE, ("--llm-app", "json:loads.__doc__"), "is a str, which cannot be called"),
        (
            CASE,
            (),
            "golden/x.yaml names no app; pass --llm-app, or define the fixture llm_app in a conftest.py",
        ),
    ],
)
def test_mistakes_in_files_and_flags(project, golden, arguments, message):
    (project.path / "golden/capitals.yaml").unlink()
    project.golden(golden, name="golden/x.yaml")
    result = project.run_here(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    shown = result.stdout.str() + result.stderr.str()
    assert message in shown
    speaks_well(shown)


def test_a_file_of_cases_alone_is_told_the_flag(project):
    project.write("golden/x.jsonl", '{"id": "a", "input": "q"}\n')
    result = project.run_here("golden/x.jsonl")
    result.stderr.fnmatch_lines(
        ["ERROR: golden/x.jsonl names no app, and a .jsonl file cannot; pass --llm-app*"]
    )
    assert "app:" not in result.stderr.str()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "golden/x.yaml names no app; pass --app, or write `app: module:attribute` into it"),
        (("--record", "nwe"), "--record must be one of none, once, new, all, not 'nwe'. Did you mean 'new'?"),
    ],
)
def test_mistakes_of_the_command(project, capsys, monkeypatch, arguments, message):
    (project.path / "golden/capitals.yaml").unlink()
    project.golden(CASE, name="golden/x.yaml")
    monkeypatch.chdir(project.path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["run", *arguments]) == 4
    shown = capsys.readouterr().err
    assert message in shown
    assert "conftest" not in shown
    speaks_well(shown)


@pytest.mark.parametrize(
    ("marker", "remedy"),
    [
        ("lexical(min=0.5)", "there is no reference; pass reference= to llm(), or to the marker"),
        (
            "pairwise(min=0.5, judge={'model': 'm', 'base_url': 'http://127.0.0.1:9/v1'})",
            "there is no other answer to compare with; pass other= to the marker, or reference= to llm()",
        ),
    ],
)
def test_an_ordinary_test_is_told_its_own_remedy(project, marker, remedy):
    project.write("test_it.py", f"""
        import pytest

        @pytest.mark.{marker}
        def test_it(llm):
            llm("capital of France?")
    """)  # fmt: skip
    result = project.pytester.runpytest_inprocess(
        "test_it.py", "--llm-app", "capitals:answer", "-p", "no:cacheprovider", "-W", "default"
    )
    result.stdout.fnmatch_lines([f"*{remedy}*"])
    assert "reference:`" not in result.stdout.str()


def test_one_model_call_is_one(project):
    project.app("""
        import openai

        def answer(question):
            with openai.OpenAI(api_key="none", max_retries=0) as client:
                reply = client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": question}])
            return reply.choices[0].message.content
    """)
    project.golden(f"version: 1\napp: capitals:answer\n{CASE}\n")
    with OpenAIServer() as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        result = project.run_here()
    assert "1 model call made, 0 replayed" in result.stdout.str()
    speaks_well(result.stdout.str())
