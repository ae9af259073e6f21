"""Why an item is red: the app's own traceback, the reason in the summary, what the app printed meanwhile."""

from __future__ import annotations

import json
import sys
from xml.etree import ElementTree as ET

import pytest

from tests.command import main
from tests.extras import needs_pii

BROKEN = """
    import json

    def read(question):
        try:
            return json.loads("{" + question)
        except ValueError as error:
            raise RuntimeError(f"no answer to {question}") from error

    def answer(question):
        return "Madrid" if "Spain" in question else read(question)
"""


def section(result, title: str) -> list[str]:
    """The lines of one item's report."""
    start = next(at for at, line in enumerate(result.outlines) if line.strip("_ ").endswith(title))
    rest = result.outlines[start + 1 :]
    end = next((at for at, line in enumerate(rest) if line.startswith(("____", "===="))), len(rest))
    return rest[:end]


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_the_apps_own_traceback_is_shown_and_nothing_of_ours(project, arguments):
    project.app(BROKEN)
    result = project.run_here("--llm-out", "run.json", "--junitxml", "junit.xml", *arguments)
    result.assert_outcomes(passed=1, errors=1)
    shown = "\n".join(section(result, "france"))
    assert 'File "capitals.py", line 6, in read' in shown
    assert 'File "capitals.py", line 11, in answer' in shown
    assert "The above exception was the direct cause" in shown
    for word in ("pytest_llmops", "asyncio", "concurrent", "pluggy", "threading.py", "tenacity"):
        assert word not in shown
    run = json.loads((project.path / "run.json").read_text())
    (failure,) = run["results"][0]["failures"]
    assert 'File "capitals.py", line 8, in read' in failure["traceback"]
    error = ET.parse(project.path / "junit.xml").find(".//error")  # noqa: S314 - pytest's own
    assert 'File "capitals.py", line 8, in read' in error.text
    result.stdout.fnmatch_lines(["ERROR golden/capitals.yaml::france - the app raised RuntimeError*"])


def test_an_async_app_has_its_traceback_too(project):
    project.app("""
        import asyncio

        async def answer(question):
            await asyncio.sleep(0)
            return await asyncio.wait_for(fail(), 1)

        async def fail():
            raise KeyError("nothing")
    """)
    result = project.run_here()
    shown = "\n".join(section(result, "france"))
    assert 'File "capitals.py", line 9, in fail' in shown
    assert "asyncio/" not in shown


def test_an_exit_of_the_app_has_its_traceback(project):
    project.app("def answer(question):\n    raise SystemExit(3)\n")
    shown = "\n".join(section(project.run_here(), "france"))
    assert "the app raised SystemExit: 3" in shown
    assert 'File "capitals.py", line 2, in answer' in shown


@pytest.mark.parametrize(
    ("style", "there", "missing"),
    [
        ("short", "capitals.py:8: in read", 'File "capitals.py"'),
        ("line", "capitals.py:8: the app raised RuntimeError: no answer", "in read"),
        ("native", 'File "capitals.py", line 8, in read', "pytest_llmops"),
        ("no", "ERROR golden/capitals.yaml::france", "capitals.py:6"),
    ],
)
def test_tb_is_obeyed(project, style, there, missing):
    project.app(BROKEN)
    result = project.run_here(f"--tb={style}")
    assert there in result.stdout.str()
    assert missing not in result.stdout.str()


def test_pdb_stands_where_the_app_raised(project):
    project.app(BROKEN.replace("return json", "where = 'in the app'; return json"))
    command = (sys.executable, "-m", "pytest", "--llm-golden", "-p", "no:cacheprovider", "--pdb")
    result = project.pytester.run(*command, stdin=b"p question, where\nq\n")
    result.stdout.fnmatch_lines(["*capitals.py(8)read()*", "*('capital of France?', 'in the app')*"])


@needs_pii
def test_what_a_traceback_quotes_is_masked_escaped_and_bounded(project):
    key = "sk-" + "a1b2" * 8
    project.app(f"""
        def answer(question):
            deep(question, 60)

        def deep(question, left):
            if left:
                return [deep, also][left % 2](question, left - 1)
            raise ValueError("ann.lee@example.com \\x1b[2J\\u202e {key} " + "x" * 100_000)

        def also(question, left):
            return deep(question, left)
    """)
    result = project.run_here("--llm-out", "run.json", "--junitxml", "junit.xml")
    files = [(project.path / name).read_text() for name in ("run.json", "junit.xml")]
    for shown in (result.stdout.str(), *files):
        assert "line 7, in deep" in shown
        assert "ann.lee" not in shown
        assert key not in shown
        assert "\x1b[2J" not in shown
        assert "\u202e" not in shown
    traceback = json.loads(files[0])["results"][0]["failures"][0]["traceback"]
    assert len(traceback) < 7_000


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
@pytest.mark.parametrize(
    ("body", "message", "place"),
    [
        ("raise ValueError('no key')", "ValueError: no key at setup_shop.py:2", "line 2, in <module>"),
        ("def answer(:", "SyntaxError*at setup_shop.py:2", 'File "setup_shop.py", line 2'),
        ("import pytest; pytest.skip('x', allow_module_level=True)", "Skipped: x*setup_shop.py:2", "line 2"),
        ("raise SystemExit(0)", "its module ends the process: SystemExit: 0 at setup_shop.py:2", "line 2"),
    ],
)
def test_an_app_that_cannot_be_imported_is_one_message(project, arguments, body, message, place):
    project.app("import setup_shop\n\ndef answer(question):\n    return 'Paris Madrid'\n")
    project.write("setup_shop.py", f"# reads the shop\n{body}\n")
    result = project.run_here(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    shown = result.stdout.str() + result.stderr.str()
    result.stderr.fnmatch_lines([f"ERROR: the app 'capitals:answer' cannot be imported: *{message}*"])
    assert shown.count("cannot be imported") == 1
    assert place in shown
    assert "INTERNALERROR" not in shown
    assert "pytest_llmops/" not in shown


def test_the_command_says_the_same_of_an_app_that_cannot_be_imported(project, capsys, monkeypatch):
    project.app("raise ValueError('no key')\n")
    monkeypatch.chdir(project.path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "capitals", raising=False)
    assert main(["run"]) == 4
    assert "importing it raised ValueError: no key at capitals.py:1\nTraceback" in capsys.readouterr().err


def test_a_fixture_that_raises_shows_its_own_frames(project):
    project.write("conftest.py", """
        import pytest

        @pytest.fixture(scope="session")
        def llm_app():
            raise OSError("no shop")
    """)  # fmt: skip
    shown = "\n".join(section(project.run_here(), "france"))
    assert 'File "conftest.py", line 6, in llm_app' in shown
    assert "pytest_llmops" not in shown


def test_the_summary_says_the_reason(project):
    project.golden("""
        version: 1
        app: capitals:answer
        suite: {keywords: {mean: ">= 0.9"}}
        cases:
          - {id: france, input: capital of France?, checks: {keywords: {all: ["five years"]}}}
          - {id: spain, input: capital of Spain?, checks: {regex: {pattern: Rome}, latency_s: "<= 0"}}
    """)
    result = project.run_here("-vv")
    result.stdout.fnmatch_lines([
        "FAILED golden/capitals.yaml::france - keywords 0 < 1: missing 'five years'",
        "FAILED golden/capitals.yaml::spain - regex 0 < 1: *(and 1 more)",
        "FAILED golden/capitals.yaml::suite?keywords? - keywords mean 0 < 0.9*",
    ])  # fmt: skip


PRINTS = """
    import logging, sys, time

    def answer(question):
        for _ in range(20):
            print(f"out: {question}")
            print(f"err: {question}", file=sys.stderr)
            logging.getLogger("shop").warning("log: %s", question)
            time.sleep(0.005)
        return "London"
"""


@pytest.mark.parametrize("arguments", [(), ("--capture=sys",), ("-n", "2")])
def test_what_a_case_prints_stands_under_its_item(project, arguments):
    project.app(PRINTS)
    result = project.run_here(*arguments)
    result.assert_outcomes(failed=2)
    for title, own, other in (("france", "France", "Spain"), ("spain", "Spain", "France")):
        shown = section(result, title)
        for channel in ("out", "err", "log"):
            assert sum(f"{channel}: capital of {own}?" in line for line in shown) == 20
        assert not any(f"capital of {other}?" in line for line in shown)
    before = result.stdout.str().partition("FAILURES")[0]
    assert "capital of" not in before


def test_what_is_printed_while_the_first_item_is_set_up_is_its_cases_own(project):
    project.app(PRINTS)
    project.write("conftest.py", """
        import time
        import pytest

        @pytest.hookimpl(wrapper=True, trylast=True)
        def pytest_runtest_setup():
            time.sleep(0.2)
            return (yield)
    """)  # fmt: skip
    result = project.run_here()
    for title, own, other in (("france", "France", "Spain"), ("spain", "Spain", "France")):
        shown = section(result, title)
        assert sum(f"out: capital of {own}?" in line for line in shown) == 20
        assert not any(f"capital of {other}?" in line for line in shown)


def test_without_capturing_prints_are_shown_at_once(project):
    project.app(PRINTS)
    result = project.run("-s")
    assert result.stdout.str().count("out: capital of France?") == 20


LEAKS_LATE = """
    def answer(question):
        for _ in range({lines}):
            print("some words of a long log " * 40)
        print("Write to ann.lee@example.com.")
        return "London"
"""
NO_LEAK = """
    version: 1
    app: capitals:answer
    checks: {pii_leak: none}
    cases:
      - {id: france, input: What is the capital of France?}
"""


@needs_pii
def test_a_leak_after_much_output_is_found(project):
    project.golden(NO_LEAK)
    project.app(LEAKS_LATE.format(lines=150))
    result = project.run_here()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pii_leak <= 0: 1; <EMAIL_ADDRESS 19 chars> in span 'stdout'*"])
    result.stdout.no_fnmatch_line("*ann.lee*")


@needs_pii
def test_a_leak_in_a_log_is_found_with_its_logger_and_the_line_that_logs_it(project):
    project.golden(NO_LEAK)
    project.app("""
        import logging

        def note(text):
            logging.getLogger("shop.orders").warning("Write to %s", text)

        def answer(question):
            logging.getLogger("shop").warning("begins")
            note("ann.lee@example.com")
            return "London"
    """)
    result = project.run_here()
    result.assert_outcomes(failed=1)
    line = "*<EMAIL_ADDRESS 19 chars> in span 'log of shop.orders, note (capitals.py:5)'*"
    result.stdout.fnmatch_lines([line])


@needs_pii
@pytest.mark.parametrize("arguments", [("-s",), ("-s", "-n", "2"), ("-p", "no:capture")])
def test_a_leak_is_found_where_pytest_does_not_capture(project, arguments):
    project.golden(NO_LEAK)
    project.app(LEAKS_LATE.format(lines=0))
    result = project.run(*arguments)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pii_leak <= 0: 1; <EMAIL_ADDRESS 19 chars> in span 'stdout'*"])


@needs_pii
def test_more_output_than_is_kept_is_an_error(project):
    project.golden(NO_LEAK)
    project.app(LEAKS_LATE.format(lines=1100))
    result = project.run_here()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the app printed * characters more than are kept*"])


def test_what_a_case_prints_is_escaped_and_in_a_file_as_a_span_only(project):
    project.app("def answer(question):\n    print('\\x1b[2J', question.upper())\n    return 'London'\n")
    result = project.run_here("--llm-out", "run.json", "--llm-spans", "none")
    assert "\x1b[2J" not in result.stdout.str()
    result.stdout.fnmatch_lines(["\\x1b?2J CAPITAL OF FRANCE?"])
    assert "CAPITAL" not in (project.path / "run.json").read_text()
    project.run_here("--llm-out", "run.json")
    (span,) = json.loads((project.path / "run.json").read_text())["results"][0]["spans"]
    assert (span["name"], span["repeat"]) == ("stdout", 0)
    assert "CAPITAL OF FRANCE?" in str(span["attributes"])


def test_streams_are_put_back(project):
    before = (sys.stdout, "write" in vars(sys.stdout) if hasattr(sys.stdout, "__dict__") else False)
    project.app(PRINTS)
    project.run_here()
    after = (sys.stdout, "write" in vars(sys.stdout) if hasattr(sys.stdout, "__dict__") else False)
    assert before == after


@pytest.mark.parametrize(
    "flag", ["--setup-plan", "--setup-only", "--collect-only", "--fixtures", "--markers"]
)
def test_showing_what_would_run_calls_nothing(project, flag):
    result = project.run_here(flag, "--llm-out", "run.json")
    assert result.ret in {0, pytest.ExitCode.NO_TESTS_COLLECTED}
    assert project.asked() == []
    assert not (project.path / "run.json").exists()
    assert not (project.path / ".llmops").exists()


def test_golden_files_in_subfolders_are_items(project):
    (project.path / "golden/capitals.yaml").unlink()
    project.golden(name="golden/europe/south/capitals.yaml")
    project.write("golden/plan.schema.json", "{}")
    project.write("golden/europe/reviews.jsonl", "{}")
    project.write("golden/rubrics/kind.yaml", "criteria: {}")
    result = project.run_here("-rA")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["PASSED golden/europe/south/capitals.yaml::france"])
    assert project.run_here("golden").ret == 0
    assert project.run_here("golden/europe/south/capitals.yaml::spain").ret == 0


def test_a_mistake_in_a_subfolder_is_an_error(project):
    project.golden("version: 1\ncasse: []\n", name="golden/europe/x.yaml")
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*golden/europe/x.yaml:2: *'casse'*"])


def test_a_golden_file_that_pytest_passes_over_is_told(project):
    project.golden(name="golden/build/capitals.yaml")
    result = project.run_here()
    result.stdout.fnmatch_lines(["golden/build/capitals.yaml: not collected*"])


def test_a_warning_points_at_the_line_of_the_suite_check(project):
    cases = "".join(f"  - {{id: c{at}, input: '{at}', reference: good}}\n" for at in range(12))
    project.golden(
        "version: 1\napp: capitals:answer\nrival: capitals:base\nchecks: {exact_match: true}\n"
        "suite:\n  latency_s: {p95: '<= 60'}\n  exact_match: {min_gain: 0.2}\n"
        f"cases:\n{cases}"
    )
    project.app(
        "def answer(at):\n    return 'good'\ndef base(at):\n    return 'good' if int(at) < 9 else 'bad'\n"
    )
    result = project.run_here()
    result.stdout.fnmatch_lines([
        "golden/capitals.yaml::suite?exact_match?",
        "*golden/capitals.yaml:7: GoldenWarning: undecided: exact_match gain >= 0.2: *",
    ])  # fmt: skip


def test_the_accepted_baseline_may_be_named_in_the_ini_file(project):
    project.write("pytest.ini", "[pytest]\nllm_accepted = accepted/base.json\n")
    project.run_here("--llm-accept", "--strict-config")
    assert (project.path / "accepted/base.json").exists()
