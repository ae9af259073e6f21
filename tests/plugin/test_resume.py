"""`--llm-resume`: a run that was killed goes on, and nothing that changed meanwhile is taken over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from pytest_llmops.documents.file_lock import take_lock, wait_for_lock
from tests.command import main
from tests.report_page import read_data

APP = """
    import os, time
    from pathlib import Path

    def answer(question):
        with Path("asked.log").open("a") as log:
            log.write(question + "\\n")
        tone = Path("tone.txt").read_text() if Path("tone.txt").exists() else ""
        if question == "n5" and not Path("go").exists():
            time.sleep(60)
        return question + tone
"""
CASES = "".join(
    f"  - {{id: n{at}, input: n{at}, checks: {{keywords: {{all: [n{at}]}}}}}}\n" for at in range(12)
)
GOLDEN = f"app: shop:answer\nsuite: {{keywords: {{mean: '>= 0.9'}}}}\ncases:\n{CASES}"
UNFINISHED = ".llmops/runs/unfinished.jsonl"


def set_up(project, app):
    project.write("shop.py", app)
    project.golden(GOLDEN, "golden/shop.yaml")
    (project.path / "golden/capitals.yaml").unlink()
    (project.path / "pyproject.toml").touch()
    project.write("tone.txt", "")


@pytest.fixture
def killed(project):
    """A project whose run of twelve cases was killed in the sixth."""
    set_up(project, APP)

    def kill(*arguments):
        command = [sys.executable, "-m", "pytest", "--llm-golden", "-p", "no:cacheprovider", *arguments]
        run = subprocess.Popen(  # noqa: S603 - our own words
            command, cwd=project.path, start_new_session=True, stdout=subprocess.DEVNULL
        )
        file = project.path / UNFINISHED
        deadline = time.monotonic() + 60
        while not file.exists() or file.read_bytes().count(b'"case"') < 11:
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        lock = wait_for_lock(file.with_suffix(".lock"))  # a process that it forked may end a moment later
        lock.release()
        (project.path / "go").touch()
        return project

    return kill


def read_run(project, name=".llmops/runs/last.json"):
    return json.loads((project.path / name).read_text())


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_killed_run_goes_on(killed, workers):
    project = killed("-o", "llm_concurrency=12", *workers)
    before = project.asked()
    result = project.run("--llm-resume", *workers)

    result.assert_outcomes(passed=13)
    result.stdout.fnmatch_lines(["resumed: 11 cases taken over from the run that began at 20*"])
    assert project.asked()[len(before) :] == ["n5"]
    assert len(read_run(project)["results"]) == 12
    assert not (project.path / UNFINISHED).exists()
    stamps = read_run(project)["signature"]
    assert {"code:shop.py", "file:tone.txt"} <= stamps.keys()
    assert "partial" not in stamps


def test_a_killed_run_can_be_reported(killed, monkeypatch, capsys):
    project = killed("-o", "llm_concurrency=12")
    monkeypatch.chdir(project.path)

    assert main(["comment", UNFINISHED]) == 0
    text = capsys.readouterr().out
    assert "**undecided**" in text
    assert "the run did not come to its end" in text
    assert "11 cases" in text
    assert main(["report"]) == 0
    assert "pytest --llm-golden --llm-resume" in capsys.readouterr().err
    assert len(read_data(project.path / "report.html")["cases"]) == 11
    assert main(["accept", UNFINISHED]) != 0
    monkeypatch.syspath_prepend(project.path)
    project.run("--llm-accept").assert_outcomes(passed=13)
    (project.path / ".llmops/runs/unfinished-before.jsonl").rename(project.path / "killed.jsonl")
    assert main(["compare", "golden/baseline.json", "killed.jsonl"]) != 0
    for name in ("r.md", "r.xml"):
        assert main(["report", "killed.jsonl", "-o", name]) == 0
    assert "**undecided**" in (project.path / "r.md").read_text()
    assert "did not come to its end" in (project.path / "r.xml").read_text()


CHANGES = {
    "golden/shop.yaml": (GOLDEN.replace("all: [n7]", "all: [n8]"), "golden file golden/shop.yaml changed"),
    "shop.py": (textwrap.dedent(APP.replace("question + tone", "question")), "code shop.py changed"),
    "tone.txt": ("!", "file tone.txt changed"),
}


def test_a_run_of_something_else_is_not_gone_on_with(killed):
    project = killed("-o", "llm_concurrency=12")
    asked = project.asked()
    kept = (project.path / UNFINISHED).read_bytes()
    assert (project.path / UNFINISHED).stat().st_mode & 0o077 == 0
    assert (project.path / ".llmops/.gitignore").read_text() == "*\n"

    def refuse(expected, *flags):
        result = project.run_here("--llm-resume", *flags)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        line = f"*the unfinished run cannot be resumed*{expected}*leave out --llm-resume*"
        result.stderr.fnmatch_lines([line])

    for name, (text, expected) in CHANGES.items():
        before = (project.path / name).read_text()
        (project.path / name).write_text(text)
        refuse(expected)
        (project.path / name).write_text(before)
    refuse("repeats", "--llm-repeats", "2")
    for words in (["init", "-q"], ["add", "-f", UNFINISHED]):
        subprocess.run(["git", *words], cwd=project.path, check=True)  # noqa: S603, S607 - our own words
    result = project.run_here("--llm-resume")
    result.stderr.fnmatch_lines(["*unfinished.jsonl: is in git, so a change may have written it*"])
    subprocess.run(["git", "rm", "-q", "--cached", UNFINISHED], cwd=project.path, check=True)  # noqa: S603, S607 - as above
    refuse("the setting record", "--llm-record", "all")
    assert project.asked() == asked
    assert (project.path / UNFINISHED).read_bytes() == kept


def test_a_folder_that_a_link_in_git_leads_to_is_none_of_ours(killed):
    project = killed("-o", "llm_concurrency=12")
    (project.path / ".llmops").rename(project.path / "golden/_kept")
    (project.path / ".llmops").symlink_to("golden/_kept", target_is_directory=True)
    for words in (["init", "-q"], ["add", "-f", ".llmops"]):
        subprocess.run(["git", *words], cwd=project.path, check=True)  # noqa: S603, S607 - our own words

    result = project.run_here("--llm-resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*.llmops: is in git, so a change may have written it*"])


def test_what_was_edited_while_the_run_was_under_way_is_not_taken_over(project):
    """Its answers are of both versions, and nobody knows which of which."""
    set_up(project, APP.replace("def answer(question):", EDITS))
    subprocess.run(
        [sys.executable, "-m", "pytest", "--llm-golden", "-p", "no:cacheprovider", "-q"],
        cwd=project.path,
        check=False,
        stdout=subprocess.DEVNULL,
    )
    assert (project.path / UNFINISHED).read_bytes().count(b'"case"') >= 2
    result = project.run("--llm-resume")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*cannot be resumed*code shop.py changed*"])


EDITS = """def answer(question):
        if question == "n3" and not Path("go").exists():
            time.sleep(1.2)
            Path("shop.py").write_text(Path("shop.py").read_text() + "TONE = 1\\n")
            time.sleep(1.5)
            import signal
            os.kill(os.getpid(), signal.SIGKILL)"""


def test_a_file_on_which_a_check_rests_refuses_the_results_that_it_made(killed, project):
    project.write("golden/any.json", "{}")
    schema = "{keywords: {all: [n0]}, json_schema: {schema: golden/any.json, record_only: true}}"
    project.golden(GOLDEN.replace("{keywords: {all: [n0]}}", schema), "golden/shop.yaml")
    killed("-o", "llm_concurrency=12")
    project.write("golden/any.json", '{"type": "object"}')
    result = project.run_here("--llm-resume")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*cannot be resumed*data golden/any.json changed*"])


def test_a_second_session_leaves_the_file_of_the_first_alone(project):
    set_up(project, APP)
    (project.path / ".llmops/runs").mkdir(parents=True, exist_ok=True)
    lock = take_lock(project.path / ".llmops/runs/unfinished.lock")
    (project.path / UNFINISHED).write_text("of another session\n")
    (project.path / "go").touch()
    try:
        project.run("-n", "2").assert_outcomes(passed=13)
    finally:
        lock.release()
    assert (project.path / UNFINISHED).read_text() == "of another session\n"


def test_a_torn_line_is_cut_before_the_run_goes_on(killed):
    project = killed("-o", "llm_concurrency=12")
    with (project.path / UNFINISHED).open("ab") as file:
        file.write(b'{"case": "golden/sh')
    (project.path / "go").unlink()
    result = project.run("--llm-resume", "-x", "-o", "llm_timeout_s=2")
    assert result.ret == 1
    (project.path / "go").touch()

    project.run("--llm-resume").assert_outcomes(passed=13)


def test_going_on_with_a_part_keeps_the_rest(killed):
    project = killed("-o", "llm_concurrency=12")
    asked = len(project.asked())
    project.run("--llm-resume", "-k", "n5").assert_outcomes(passed=1, deselected=12)
    project.run("--llm-resume").assert_outcomes(passed=13)

    assert project.asked()[asked:] in (["n5", "n5"], ["n5"])
    assert not (project.path / UNFINISHED).exists()


def test_a_run_that_does_not_go_on_sets_the_results_aside(killed):
    project = killed("-o", "llm_concurrency=12")
    kept = (project.path / UNFINISHED).read_bytes()
    project.run().assert_outcomes(passed=13)

    assert (project.path / ".llmops/runs/unfinished-before.jsonl").read_bytes() == kept


def test_an_app_that_ends_its_process_and_sets_a_variable_is_run_to_the_end(project, monkeypatch):
    """By `--isolate`, whose further processes go on by themselves."""
    app = """
        import os
        from pathlib import Path

        def answer(question):
            os.environ["SESSION"] = os.environ.get("SESSION", "") + "x"
            if question == "n5" and not Path("went").exists():
                Path("went").touch()
                os.kill(os.getpid(), 9)
            return question
    """
    set_up(project, app)
    monkeypatch.chdir(project.path)
    run = subprocess.run(
        [sys.executable, "-c", "import sys; from pytest_llmops.cli import main; sys.exit(main(sys.argv[1:]))",
         "run", "--isolate", "--concurrency", "2"],
        cwd=project.path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(project.path), *sys.path])},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "resumed" not in run.stdout
    assert not (project.path / UNFINISHED).exists()


def test_a_run_that_stopped_at_the_first_failure_goes_on_and_tries_what_broke_again(project):
    set_up(project, APP.replace("time.sleep(60)", "raise ValueError('no n5')"))
    result = project.run_here("-x")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["stopped before its end: pytest --llm-golden --llm-resume goes on with it"])
    asked = project.asked()
    project.write("go", "")

    result = project.run("--llm-resume")
    assert result.ret == 0
    assert {"n5"} <= set(project.asked()[len(asked) :])
    assert not set(project.asked()[len(asked) :]) & {"n0", "n1"}


def test_without_an_unfinished_run_all_cases_are_run(project):
    project.run_here()
    result = project.run_here("--llm-resume")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["nothing to resume: there is no unfinished run"])
    assert len(project.asked()) == 4


def test_the_last_run_that_has_no_result_is_not_reported_as_the_one_before_it(project, monkeypatch, capsys):
    project.run_here()
    (project.path / UNFINISHED).write_text('{"version": 2}\n')
    monkeypatch.chdir(project.path)

    assert main(["report"]) == 3
    assert "ended before a case had a result" in capsys.readouterr().err
    assert main(["report", ".llmops/runs/last.json"]) == 0


def test_a_broken_file_is_one_message_and_stays(project):
    project.write(UNFINISHED, '{"version": 2}\n{"case":\n{}\n')
    result = project.run_here("--llm-resume")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*cannot be resumed: *unfinished.jsonl*line 2*leave out --llm-resume*"])
    assert (project.path / UNFINISHED).exists()
