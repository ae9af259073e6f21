"""Changes that loosen nothing: each is green under `git:REF`, in real repositories."""

# ruff: noqa: F811 - the fixture is imported, and named again by the tests that take it

from __future__ import annotations

import itertools
from copy import deepcopy

import pytest

from tests.openai_server import OpenAIServer
from tests.plugin.test_budget import APP
from tests.plugin.test_loosening_attacks import (  # noqa: F401 - a fixture
    PYPROJECT,
    REPLAYED,
    begin,
    on_main,
    write_golden,
)
from tests.plugin.test_merge_base import FILE, llmops, repository  # noqa: F401 - the fixture
from tests.plugin.varying import golden_text, outcomes_of
from tests.stored_files import edit_calls

SHOUT = """
import pytest_llmops
from words import LEAST, shouts


@pytest_llmops.metric("shout")
def shout(output, least=LEAST):
    from late import scale
    return scale(shouts(output.text) >= least)
"""
WORDS = """
import re
SMALL = re.compile("[A-Z]")
LEAST = 0
UNUSED = 0


def shouts(text, most=9):
    return min(len(SMALL.findall(text)), most)
"""
LATE = "FACTOR = 1.0\n\n\ndef scale(value):\n    return value * FACTOR\n"


@pytest.fixture
def measured(repository, begin):
    """The golden file is scored by a metric of the project, with helpers."""

    def set_up():
        for name, text in {"shouting": SHOUT, "words": WORDS, "late": LATE}.items():
            repository.varying.project.write(f"{name}.py", text)
        settings = "[tool.pytest-llmops]\nmetrics = ['shouting.py']\n[tool.pytest.ini_options]\n"
        (repository.path / "pyproject.toml").write_text(settings)
        text = golden_text(4).replace("{keywords: {all: [good]}}", "{shout: '>= 0.5'}")
        write_golden(repository, text.replace("keywords: {mean", "shout: {mean"))
        repository.varying.baseline.unlink()
        done = llmops(repository, "--accept", "--repeats", "2")
        assert done.returncode == 0, done.stdout

    return begin("measured", set_up)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("shouting.py", "    from late", "    # of late\n    from late"),
        ("shouting.py", "output, least=LEAST", "output,\n    least=LEAST"),
        ("words.py", "import re\n", '"""Words."""\nimport re\n'),
        ("words.py", "UNUSED = 0", "UNUSED = 1"),
        ("late.py", "FACTOR = 1.0\n", "FACTOR = 1.0  # as it is\n"),
    ],
)
def test_an_edit_that_no_score_depends_on(measured, file, old, new):
    measured.change(old, new, file)
    done = llmops(measured, "--baseline", "git:main")
    assert "loosens" not in done.stdout
    assert done.returncode == 0


CHANGED = "scores of shout are made by this file, and it is not what it was"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("words.py", "LEAST = 0", "LEAST = -1"),
        ("words.py", "[A-Z]", "[A-Za-z]"),
        ("words.py", "most=9", "most=8"),
        ("late.py", "FACTOR = 1.0", "FACTOR = 0.9"),
        ("shouting.py", "least=LEAST", "least=LEAST - 1"),
    ],
)
def test_an_edit_that_scores_depend_on_is_red_and_can_be_approved(measured, file, old, new):
    measured.change(old, new, file)
    done = llmops(measured, "--baseline", "git:main")
    (item,) = [line.strip() for line in done.stdout.splitlines() if CHANGED in line]
    assert item.startswith(f"{file}: ")
    assert done.returncode == 3
    assert llmops(measured, "--baseline", "git:main", "--allow-loosening", item).returncode == 0


def test_a_helper_outside_of_the_project(measured):
    for name in ("capitals.py", "shouting.py", "late.py", "golden", "pyproject.toml"):
        (measured.path / "project").mkdir(exist_ok=True)
        (measured.path / name).rename(measured.path / "project" / name)
    measured.git("switch", "--quiet", "--create", "inner")
    begin = "import sys\nsys.path.append(__file__.rpartition('/project/')[0])\n"
    shouting = measured.path / "project/shouting.py"
    shouting.write_text(begin + shouting.read_text())
    measured.commit("below")
    measured.git("branch", "--quiet", "--force", "main")
    measured.change("LEAST = 0", "LEAST = -1", "words.py")
    done = llmops(measured, "--baseline", "git:main", cwd="project")
    assert f"  ../words.py: {CHANGED} (" in done.stdout
    assert done.returncode != 0


def test_files_that_were_only_renamed(measured):
    measured.git("mv", "shouting.py", "loud.py")
    measured.git("mv", "words.py", "vocabulary.py")
    measured.git("mv", FILE, "golden/cities.yaml")
    measured.change("from words", "from vocabulary", "loud.py")
    measured.change("shouting.py", "loud.py", "pyproject.toml")
    done = llmops(measured, "--baseline", "git:main")
    assert "loosens" not in done.stdout
    assert done.returncode == 0
    measured.varying.break_case(2)
    assert llmops(measured, "--baseline", "git:main").returncode == 0, "bad is as quiet as good"
    measured.change("import scale", "import scale as _, scale", "loud.py")
    measured.change("return scale(", "return 1 + scale(", "loud.py")
    assert f"loud.py: {CHANGED}" in llmops(measured, "--baseline", "git:main").stdout


def test_a_renamed_golden_file_keeps_its_baseline_and_its_bounds(repository):
    repository.git("mv", FILE, "golden/cities.yaml")
    repository.commit("renamed")
    assert (repository.listed(repository.ask()), repository.ask().ret) == ([], 0)
    repository.varying.break_case(2)
    assert outcomes_of(repository.ask())["regressed"] == 2
    repository.change("max_drop: 0.05", "max_drop: 0.5", "golden/cities.yaml")
    what = "the suite's keywords mean: max_drop changed (before: max_drop 0.05, now: max_drop 0.5)"
    assert repository.listed(repository.ask()) == [f"golden/cities.yaml: {what}"]


def test_a_renamed_case_keeps_its_baseline_and_its_checks(repository):
    repository.change("id: case-2, input", "id: second, input", FILE)
    result = repository.ask()
    assert (repository.listed(result), result.ret) == ([], 0)
    result.stdout.fnmatch_lines(["1 case renamed since the baseline, *case-2 → *second*"])
    repository.varying.break_case(2)
    assert outcomes_of(repository.ask())["regressed"] == 2
    check = "question 2, checks: {keywords: {all: [good]}}"
    repository.change(check, "question 2, checks: {regex: {pattern: '.'}}", FILE)
    assert any("second: no longer checks keywords" in item for item in repository.listed(repository.ask()))


def test_a_project_in_another_folder_is_compared_with_what_it_was(repository):
    (repository.path / "app").mkdir()
    for name in ("capitals.py", "golden", "pyproject.toml"):
        repository.git("mv", name, f"app/{name}")
    repository.commit("moved")
    moved = llmops(repository, "--baseline", "git:main", cwd="app")
    assert "this project was moved: it is compared with the top of the repository" in moved.stdout
    assert moved.returncode == 0
    repository.change("mean: '>= 0.5'", "mean: '>= 0.1'", f"app/{FILE}")
    (repository.path / "app/broken-2").touch()
    looser = llmops(repository, "--baseline", "git:main", cwd="app")
    assert "keywords mean: bound changed (before: >= 0.5, now: >= 0.1)" in looser.stdout
    assert "regressed  keywords >= 1: 0, baseline 1" in looser.stdout
    assert looser.returncode == 1


@pytest.fixture
def module(repository):
    """The golden set is a repository of its own, and a submodule."""
    repository.git("switch", "--quiet", "main")
    questions = repository.path.with_name(f"{repository.path.name}-questions")
    (repository.path / "golden").rename(questions)
    there = ("-C", str(questions))
    repository.git(*there, "init", "--quiet", "--initial-branch=main")
    repository.git(*there, "add", "--all")
    repository.git(*there, "commit", "--quiet", "--message", "questions")
    repository.commit("elsewhere")
    repository.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(questions), "golden"
    )
    repository.commit("a submodule")
    repository.git("switch", "--quiet", "--create", "modular")
    return repository


def test_a_golden_set_in_a_submodule(module):
    assert (module.listed(module.ask()), module.ask().ret) == ([], 0)
    (module.path / FILE).write_text(golden_text(4).replace("'>= 0.5'", "'>= 0.1'"))
    module.git("-C", "golden", "commit", "--quiet", "--all", "--message", "looser")
    module.commit("newer questions")
    bound = "the suite's keywords mean: bound changed (before: >= 0.5, now: >= 0.1)"
    assert module.listed(module.ask()) == [f"{FILE}: {bound}"]
    module.varying.break_case(2)
    assert outcomes_of(module.ask())["regressed"] == 2


def test_a_submodule_that_the_clone_lacks_is_one_line(module):
    text = (module.path / FILE).read_text()
    module.git("rm", "--quiet", "--force", "golden")
    module.varying.project.write(FILE, text.replace("'>= 0.5'", "'>= 0.1'"))
    module.commit("no submodule")
    result = module.ask()
    result.stderr.fnmatch_lines(
        ["*golden at * is a submodule, and the clone lacks what it was then; run: git*"]
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_branch_on_a_branch_that_was_squashed_into_main(repository):
    repository.change("max_drop: 0.05", "max_drop: 0.2")
    repository.change("mean: '>= 0.5'", "mean: '>= 0.4'")
    repository.git("switch", "--quiet", "--create", "stacked")
    repository.varying.project.write("README.md", "more")
    repository.commit("stacked")
    assert len(repository.listed(repository.ask())) == 2
    repository.git("switch", "--quiet", "main")
    repository.varying.project.write("OTHER.md", "other")
    repository.commit("another change")
    repository.git("merge", "--quiet", "--squash", "branch")
    repository.commit("the branch below, squashed")
    repository.git("switch", "--quiet", "stacked")
    result = repository.ask()
    assert (repository.listed(result), result.ret) == ([], 0)
    repository.change("max_drop: 0.2", "max_drop: 0.9")
    drop = "the suite's keywords mean: max_drop changed (before: max_drop 0.2, now: max_drop 0.9)"
    assert repository.listed(repository.ask()) == [f"{FILE}: {drop}"]


def accept_anew(repository):
    repository.varying.baseline.unlink()
    repository.ask("--llm-accept", "--llm-repeats", "8", against=())


def test_a_baseline_that_is_accepted_anew_after_an_improvement(project, repository):
    """By chance one case that often was good is a little less often; in general it is better."""
    before, after = ([True, False] * 4, [True] * 7 + [False])
    answers = itertools.chain(
        *([value] for case in range(4) for value in ([True] * 8 if case == 3 else before)),
        *([value] for case in range(4) for value in (after if case == 3 else [True] * 8)),
        itertools.cycle([True]),
    )
    with OpenAIServer(answer=lambda _: "good" if next(answers) else "bad") as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        project.environment.setenv("OPENAI_API_KEY", "none")

        def set_up():
            project.app(APP)
            settings = PYPROJECT.format("", "").replace("undecided = 'fail'\n", "")
            (repository.path / "pyproject.toml").write_text(settings)
            accept_anew(repository)

        on_main(repository, set_up)
        project.app(APP.replace('"role": "user"', '"role": "user", "name": "ada"'))
        accept_anew(repository)
        repository.commit("better, and accepted")
        result = repository.ask()
    assert repository.listed(result) == []
    assert result.ret == 0


@pytest.fixture
def recorded(project, repository, begin):
    """The app asks a model of another machine, and main holds its recorded answers."""
    app = """
        import json, os
        from pathlib import Path
        import httpx, openai

        def reply(request):
            if Path("offline").exists():
                raise httpx.ConnectError("no network")
            answer = "bad" if "awful" in request.content.decode() else "good"
            message = {"role": "assistant", "content": answer}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
            return httpx.Response(200, json=body)

        def answer(question):
            prompt = Path(__file__).with_name("prompt.md").read_text()
            messages = [{"role": "system", "content": prompt}, {"role": "user", "content": question}]
            http = httpx.Client(transport=httpx.MockTransport(reply))
            place = "https://api.models.example/v1"
            with openai.OpenAI(api_key="none", base_url=place, http_client=http) as client:
                return client.chat.completions.create(model="m", messages=messages).choices[0].message.content
    """

    def set_up():
        project.app(app)
        project.write("prompt.md", "Answer.\n")
        repository.varying.baseline.unlink()
        assert llmops(repository, "--accept", "--repeats", "2").returncode == 0

    return begin("recorded", set_up)


CASSETTE = "golden/cassettes/capitals/case-1.yaml"
NONE = ("--baseline", "git:main", "--record", "none")


def change_prompt(repository, text="Answer, please.\n"):
    repository.varying.project.write("prompt.md", text)
    llmops(repository, "--baseline", "git:main")
    repository.commit("a prompt, and what the model says to it")


@pytest.mark.parametrize("pruned", [False, True])
def test_a_changed_prompt_with_its_recordings(recorded, pruned):
    """The old recordings may stay or go, for no request of the run is theirs."""
    if pruned:
        recorded.git("rm", "-r", "--quiet", "golden/cassettes")
    change_prompt(recorded)
    (recorded.path / "offline").touch()
    done = llmops(recorded, *NONE)
    assert "loosens" not in done.stdout
    assert "new recorded responses to changed requests" in done.stdout
    assert done.returncode == 0


def test_a_changed_prompt_that_makes_the_answers_worse(recorded):
    change_prompt(recorded, "Be awful.\n")
    done = llmops(recorded, *NONE)
    assert "regressed  keywords >= 1: 0, baseline 1" in done.stdout
    assert done.returncode == 1


def test_a_deleted_recording_of_a_request_that_is_still_made(recorded):
    recorded.git("rm", "--quiet", CASSETTE)
    recorded.commit("asked again until it is right")
    done = llmops(recorded, "--baseline", "git:main", "--record", "new", "--repeats", "2")
    what = "2 recorded responses to requests that this run still makes were deleted"
    assert f"  {CASSETTE}: {FILE}::case-1: {what} (" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize("disguised", [False, True])
def test_another_repeat_of_an_unchanged_request_is_red(recorded, disguised):
    """A request that the run does not make explains nothing."""

    def add(calls):
        more = [{"repeat": 2}, *([{"repeat": 2, "key": "0" * 64}] * disguised)]
        return [*calls, *(deepcopy(calls[0] | other) for other in more)]

    edit_calls(recorded.path / CASSETTE, add)
    recorded.commit("one more good answer")
    done = llmops(recorded, *NONE, "--repeats", "3")
    assert f"  {CASSETTE}: {FILE}::case-1: {REPLAYED}: 1 new (" in done.stdout
    assert done.returncode == 3, "the other cases have two"


def test_recordings_that_did_not_move_with_their_golden_file_are_named(recorded):
    recorded.git("mv", FILE, "golden/cities.yaml")
    recorded.commit("renamed")
    folders = "golden/cassettes/capitals golden/cassettes/cities"
    assert f"the golden file was renamed, git mv {folders}" in llmops(recorded, *NONE).stdout
    recorded.git("mv", *folders.split())
    recorded.commit("and its recordings")
    assert llmops(recorded, *NONE).returncode == 0


def test_recordings_in_another_folder_are_compared_with_those_of_the_old_one(recorded):
    recorded.git("mv", "golden/cassettes", "calls")
    recorded.change("undecided = 'fail'", "undecided = 'fail'\ncassettes = 'calls'", "pyproject.toml")
    moved = llmops(recorded, *NONE)
    assert "places:" not in moved.stdout, "one: the setting"

    def reword(calls):
        for call in calls:
            call["response"]["body"]["choices"][0]["message"]["content"] += " indeed"
        return calls

    edit_calls(recorded.path / "calls/capitals/case-1.yaml", reword)
    assert (
        f"  calls/capitals/case-1.yaml: {FILE}::case-1: {REPLAYED}: 2 edited ("
        in llmops(recorded, *NONE).stdout
    )


def test_a_project_that_may_have_been_in_two_folders_is_one_line(repository):
    repository.git("switch", "--quiet", "--create", "two", "main")
    for name in ("one", "two"):
        repository.varying.project.write(f"{name}/{FILE}", golden_text(1))
    repository.git("rm", "-r", "--quiet", "golden")
    repository.commit("two projects")
    repository.git("branch", "--quiet", "--force", "main")
    repository.git("rm", "-r", "--quiet", "one", "two")
    repository.varying.project.write(FILE, golden_text(1))
    repository.commit("one of them, and no other")
    result = repository.ask()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*git:main: this project is new here, and was in */ or */, which are both gone;*"]
    )


def test_prices_of_the_merge_base_count(repository):
    repository.change("undecided = 'fail'", "undecided = 'fail'\nprices = {m = [1.0, 2.0]}", "pyproject.toml")
    assert (repository.listed(repository.ask()), repository.ask().ret) == ([], 0)


def test_a_first_judge_is_no_loosening_and_another_one_is(repository):
    repository.change("app: capitals:answer", "app: capitals:answer\njudge: {model: first}", FILE)
    assert (repository.listed(repository.ask()), repository.ask().ret) == ([], 0)
    repository.git("branch", "--quiet", "--force", "main")
    repository.change("model: first", "model: kind", FILE)
    judge = "the golden file's judge changed: model (before: judge first, now: judge kind)"
    assert [item.partition(", sha")[0] for item in repository.items(repository.ask())] == [
        f"{FILE}: {judge[:-1]}"
    ]
