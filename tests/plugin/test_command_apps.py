"""An app that is a command: its answers are read, and whatever it does else is an error of its case alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from tests.plugin.conftest import Project

BOT = """
    import json, os, subprocess, sys, time

    def say(**answer):
        print(json.dumps(answer), flush=True)

    for line in sys.stdin:
        asked = json.loads(line)
        question = asked["input"]
        with open("asked.log", "a") as log:
            log.write(json.dumps([os.getpid(), asked]) + "\\n")
        print("a log line", flush=True)
        print("warned of", question, file=sys.stderr, flush=True)
        if question == "ends":
            sys.exit(3)
        if question == "killed":
            os.kill(os.getpid(), 9)
        if question == "hangs":
            subprocess.Popen(["sleep", "120"])
            with open("group.txt", "w") as file:
                file.write(str(os.getpgid(0)))
            time.sleep(120)
        if question == "large":
            print("x" * (2 << 20), flush=True)
        if question == "forks":
            subprocess.Popen(["sleep", "1"])
        if question == "error":
            say(error="no model for jane.roe@example.org")
        elif question == "late":
            say(output="hello, wait")
            time.sleep(0.5)
            say(output="hello of the late one")
        elif question == "misspelt":
            say(output="hello", pasages=[])
        elif question == "no text":
            say(answer="hello")
        elif question == "other session":
            say(output="hello", session="s-1")
        elif question == "all":
            say(text="hello", session=asked["session"], passages=[{"id": "a", "text": "b"}],
                tool_calls=[{"name": "look", "arguments": {"id": 1}}],
                usage={"prompt_tokens": 3, "completion_tokens": 4})
        elif question == "twice":
            say(output="hello twice")
            say(output="hello of nobody")
        else:
            say(output=f"hello {question}", session=asked["session"])
"""


def cases_of(*questions: Any, checks: str = "{keywords: {all: [hello]}}") -> str:
    lines = [
        f"      - {{id: c{number}, input: {json.dumps(question)}, checks: {checks}}}"
        for number, question in enumerate(questions)
    ]
    return "    cases:\n" + "\n".join(lines) + "\n"


@pytest.fixture
def run(project: Project) -> Callable[..., pytest.RunResult]:
    """Run questions against a command, `bot.py` by default."""

    def run(
        *questions: Any, command: Any = None, protocol: str = "jsonl", flags: Any = (), **more: Any
    ) -> Any:
        command = command or ["python3", "bot.py"]  # no warm one, which is in another group
        app = f"    app: {json.dumps({'command': command, 'protocol': protocol})}\n"
        project.golden(app + cases_of(*questions, **more))
        return project.run_here("--llm-out", "run.json", *flags)

    return run


@pytest.fixture
def bot(project: Project) -> Path:
    return project.write("bot.py", BOT)


def results(project: Project) -> dict[str, Any]:
    read = json.loads((project.path / "run.json").read_text())
    return {result["case"].rpartition("::")[2]: result for result in read["results"]}


def asked(project: Project) -> list[Any]:
    return [json.loads(line) for line in project.asked()]


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.killpg(pid, 0)
        except (ProcessLookupError, PermissionError):
            return True
        time.sleep(0.05)
    return False


Run = Callable[..., pytest.RunResult]


@pytest.mark.usefixtures("bot")
def test_processes_are_kept_for_further_cases(project: Project, run: Run) -> None:
    run(*map(str, range(8)), flags=["--llm-concurrency", "2"]).assert_outcomes(passed=8)
    assert 1 <= len({process for process, _ in asked(project)}) <= 2
    sessions = [line["session"] for _, line in asked(project)]
    assert len(set(sessions)) == 8
    assert {line["traceparent"][:3] for _, line in asked(project)} == {"00-"}
    assert all(map(gone, {process for process, _ in asked(project)}))


@pytest.mark.usefixtures("bot")
def test_all_of_an_answer_is_read(project: Project, run: Run) -> None:
    checks = '{keywords: {all: [hello]}, tool_calls: [{name: look, arguments: {id: 1}}], tokens: "<= 7"}'
    run("all", checks=checks).assert_outcomes(passed=1)
    (output,) = results(project)["c0"]["outputs"]
    assert output["passages"] == [{"id": "a", "text": "b", "score": None}]
    assert output["usage"]["completion_tokens"] == 4


@pytest.mark.usefixtures("bot")
def test_the_input_is_any_value(project: Project, run: Run) -> None:
    question = {"text": "a\nb \u2028 \u00fc", "list": [1, None]}
    run(question).assert_outcomes(passed=1)
    assert asked(project)[0][1]["input"] == question


BROKEN = {
    "ends": "*the command ended with exit code 3 (standard error: warned of ends) before it answered*",
    "killed": "*the command was ended by SIGKILL*",
    "large": "*the output of the command is larger than 1 MiB*",
    "error": "*the command reports an error: no model for <EMAIL_ADDRESS>*",
    "misspelt": "*with the key 'pasages'. Did you mean 'passages'?*",
    "no text": "*the output has no 'text'; it has: answer*",
    "other session": "*the command answered for another session: 's-1'*",
}


@pytest.mark.parametrize("question", BROKEN)
@pytest.mark.usefixtures("bot")
def test_others_go_on(run: Run, question: str) -> None:
    result = run("first", question, "last", flags=["--llm-concurrency", "1"])
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines([BROKEN[question]])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.usefixtures("bot")
def test_a_hanging_command_ends_with_its_group(project: Project, run: Run) -> None:
    result = run("hangs", "last", flags=["--llm-timeout-s", "2", "--llm-concurrency", "1"])
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*no answer within 2 s (timeout_s)*"])
    assert gone(int((project.path / "group.txt").read_text()))


@pytest.mark.usefixtures("bot")
def test_a_command_that_forks_holds_nothing_up(project: Project, run: Run) -> None:
    run("forks", "last", flags=["--llm-concurrency", "1"]).assert_outcomes(passed=2)
    assert len({process for process, _ in asked(project)}) == 1


@pytest.mark.usefixtures("bot")
def test_an_answer_too_many_is_nobodys(project: Project, run: Run) -> None:
    run("twice", "last", "more", flags=["--llm-concurrency", "1"]).assert_outcomes(passed=3)
    texts = [result["outputs"][0]["text"] for result in results(project).values()]
    assert "hello of nobody" not in texts


@pytest.mark.usefixtures("bot")
def test_a_later_line_of_a_process_that_names_no_session_is_no_answer_to_another_case(
    project: Project, run: Run
) -> None:
    run("late", "last", flags=["--llm-concurrency", "1"]).assert_outcomes(passed=2)
    texts = [result["outputs"][0]["text"] for result in results(project).values()]
    assert texts == ["hello, wait", "hello last"]


@pytest.mark.usefixtures("bot")
def test_what_is_printed_belongs_to_its_case(run: Run) -> None:
    checks = "{keywords: {all: [nothing like it]}}"
    result = run("one", "two", checks=checks, flags=["--llm-concurrency", "1"])
    result.assert_outcomes(failed=2)
    shown = result.stdout.str()
    assert shown.count("warned of one") == shown.count("warned of two") == 1
    assert shown.index("warned of one") < shown.index("warned of two")
    assert shown.count("a log line") == 2


@pytest.mark.usefixtures("bot")
def test_personal_data_on_standard_error_is_found(project: Project, run: Run) -> None:
    result = run("jane.roe@example.org", checks="{pii_leak: {kinds: [EMAIL_ADDRESS]}}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*place: span 'stderr' /attributes/text, kind: EMAIL_ADDRESS*"])
    assert "jane.roe" not in (project.path / "run.json").read_text().replace('"input": "jane.roe', "")


@pytest.mark.parametrize("protocol", ["argv", "stdin", "jsonl"])
def test_a_command_that_is_not_there(run: Run, protocol: str) -> None:
    result = run("a", "b", command=["no-such-bot"], protocol=protocol)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*the command 'no-such-bot' cannot be started: there is no such program*"])


def test_a_command_that_may_not_be_run(project: Project, run: Run) -> None:
    project.write("bot.txt", "hello")
    result = run("a", command=["./bot.txt"], protocol="argv")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*cannot be started: Permission denied*"])


def test_the_input_is_the_last_argument(project: Project, run: Run) -> None:
    run(
        "a 'b'", "hello", command=["sh", "-c", 'echo "hello $1 <$#>"', "bot"], protocol="argv"
    ).assert_outcomes(passed=2)
    texts = {result["outputs"][0]["text"] for result in results(project).values()}
    assert texts == {"hello a 'b' <1>", "hello hello <1>"}


def test_the_input_is_on_standard_input(project: Project, run: Run) -> None:
    run("a\nb", {"k": "ü"}, command=["sed", "s/^/hello /"], protocol="stdin").assert_outcomes(passed=2)
    texts = {result["outputs"][0]["text"] for result in results(project).values()}
    assert texts == {"hello a\nhello b", 'hello {"k": "ü"}'}


SHELL = {
    "exit code": (
        "echo hello; echo because >&2; exit 4",
        "*ended with exit code 4 (standard error: because)*no answer*",
    ),
    "large": ("yes hello", "*larger than 1 MiB*"),
    "no text": (r"printf 'hello \377'", "*no UTF-8*"),
    "hangs": ("echo hello; sleep 120", "*no answer within 2 s*"),
    "hangs without its output": ("echo hello; exec >/dev/null; sleep 120", "*no answer within 2 s*"),
}


@pytest.mark.parametrize("protocol", ["argv", "stdin"])
@pytest.mark.parametrize("name", SHELL)
def test_one_process_a_case_breaks_alone(run: Run, name: str, protocol: str) -> None:
    script, expected = SHELL[name]
    result = run("a", command=["sh", "-c", script], protocol=protocol, flags=["--llm-timeout-s", "2"])
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([expected])


def test_what_a_process_leaves_behind_holds_nothing_up(project: Project, run: Run) -> None:
    began = time.monotonic()
    run("a", command=["sh", "-c", "sleep 120 & echo hello $!"], protocol="stdin").assert_outcomes(passed=1)
    child = int(results(project)["c0"]["outputs"][0]["text"].split()[1])
    assert time.monotonic() - began < 60
    assert not Path(f"/proc/{child}").exists() or "sleep" not in Path(f"/proc/{child}/cmdline").read_text()


def test_an_input_that_is_too_long_for_an_argument(run: Run) -> None:
    result = run("x" * 3_000_000, command=["echo", "hello"], protocol="argv")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*Argument list too long; protocol: stdin*"])


def test_a_changed_script_is_a_named_cause(run: Run, bot: Path) -> None:
    run("one", flags=["--llm-accept"]).assert_outcomes(passed=1)
    bot.write_text(bot.read_text() + "\n# changed\n")
    result = run("one")
    result.stdout.fnmatch_lines(["*file bot.py*changed*"])


def test_a_command_that_ends_after_each_answer(run: Run) -> None:
    """Its exit may be seen before the next case, or not: never is there an answer of another one."""
    script = 'read line; echo "{\\"output\\": \\"hello\\"}"'
    result = run("a", "b", "c", command=["sh", "-c", script], flags=["--llm-concurrency", "1"])
    outcomes = result.parseoutcomes()
    assert outcomes.get("passed", 0) + outcomes.get("errors", 0) == 3
    assert outcomes["passed"] >= 1


@pytest.mark.usefixtures("bot")
def test_its_connections_are_watched_and_its_model_calls_are_not_seen(run: Run) -> None:
    result = run("one", flags=["--llm-record", "none"])
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["no model call seen*", "*another process (command: *bot.py (jsonl))*nobody here sees*"]
    )


@pytest.mark.usefixtures("bot")
def test_workers_have_processes_of_their_own(project: Project, run: Run) -> None:
    run("one")  # writes the golden file
    project.golden((project.path / "golden/capitals.yaml").read_text().replace("c0", "zero"))
    project.run("-n", "2").assert_outcomes(passed=1)


@pytest.mark.skipif(which("node") is None, reason="needs node")
def test_a_bot_in_node(project: Project, run: Run) -> None:
    project.write(
        "bot.js",
        """
        const lines = require("readline").createInterface({ input: process.stdin });
        lines.on("line", (line) => {
          const { input, session } = JSON.parse(line);
          console.log(JSON.stringify({ output: `hello ${input}`, session }));
        });
        """,
    )
    run("one", "two", command=["node", "bot.js"]).assert_outcomes(passed=2)
