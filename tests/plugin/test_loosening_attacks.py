"""Ways in which a change may loosen its own gate: each is listed under `git:REF`, red without permission."""

# ruff: noqa: F811 - the fixture is imported, and named again by the tests that take it

from __future__ import annotations

import itertools
import json
import os
import shutil

import pytest

from tests.openai_server import OpenAIServer
from tests.plugin.test_budget import APP
from tests.plugin.test_merge_base import FILE, LOWER, RED, llmops, repository  # noqa: F401 - the fixture
from tests.plugin.varying import golden_text, outcomes_of
from tests.stored_files import edit_calls

SET_AT_RUN_TIME = """
import os
os.environ["PYTEST_ADDOPTS"] = os.environ.get("PYTEST_ADDOPTS", "") + " --llm-allow-loosening='{}'"
"""


@pytest.mark.parametrize("file", ["conftest.py", "golden/conftest.py", "capitals.py"])
def test_permission_that_the_project_gives_itself_at_run_time(repository, file):
    before = (repository.path / file).read_text() if file == "capitals.py" else ""
    repository.varying.project.write(file, SET_AT_RUN_TIME.format(LOWER) + before)
    repository.change("mean: '>= 0.5'", "mean: '>= 0.1'")
    repository.varying.project.environment.setenv("PYTEST_ADDOPTS", "")

    result = repository.ask()

    assert RED in result.outlines
    assert result.ret == 1


def test_another_repository_that_a_conftest_names(repository):
    repository.git("clone", "--quiet", "--bare", ".", "../elsewhere")
    repository.git("--git-dir", "../elsewhere", "symbolic-ref", "HEAD", "refs/heads/main")
    repository.change("mean: '>= 0.5'", "mean: '>= 0.1'")
    repository.git("push", "--quiet", "--force", "../elsewhere", "HEAD:main")
    elsewhere = (repository.path / "../elsewhere").resolve()
    repository.varying.project.write(
        "conftest.py", f"import os\nos.environ['GIT_DIR'] = {str(elsewhere)!r}\n"
    )

    result = repository.ask()
    os.environ.pop("GIT_DIR")

    assert [each for each in repository.listed(result) if each.startswith(FILE)]
    assert result.ret == 1


def on_main(repository, edit, message="before the change", branch="change"):
    """Something that stood on main when the change began."""
    repository.git("switch", "--quiet", "main")
    edit()
    repository.commit(message)
    repository.git("switch", "--quiet", "--create", branch)


@pytest.fixture
def begin(repository, tmp_path_factory):
    """Begins a change on a main that `edit` made; the files of the first one are copied for all others."""

    def put(name, edit):
        first = tmp_path_factory.getbasetemp() / f"repository-{name}"
        if first.exists():
            shutil.rmtree(repository.path)
            shutil.copytree(first, repository.path)
        else:
            on_main(repository, edit)
            part = first.with_name(f"{first.name}.part")
            shutil.copytree(repository.path, part)
            part.rename(first)
        return repository

    return put


def lists(repository, *told: str, arguments: tuple[str, ...] = ()) -> pytest.RunResult:
    """Red, with exactly these lines; and not red where the pipeline approves each."""
    result = repository.ask(*arguments)
    assert repository.listed(result) == list(told)
    assert RED in result.outlines
    assert result.ret == 1
    allowed = repository.ask(*arguments, *repository.approvals(result))
    assert repository.listed(allowed, approved=True) == list(told)
    assert RED not in allowed.outlines
    return result


def write_golden(repository, text: str, file: str = FILE) -> None:
    (repository.path / file).parent.mkdir(exist_ok=True)
    (repository.path / file).write_text(text)


BARE = golden_text(4).replace("suite: {keywords: {mean: '>= 0.5', max_drop: 0.05}}\n", "")


def test_a_first_suite_that_watches_a_sum_instead_of_a_mean(repository):
    on_main(repository, lambda: write_golden(repository, BARE))
    write_golden(repository, BARE.replace("cases:", "suite: {keywords: {sum: '>= 1'}}\ncases:"))
    repository.commit("a suite")
    lists(
        repository,
        f"{FILE}: the suite is no longer judged by keywords mean (before: keywords mean)",
    )


@pytest.mark.parametrize(
    "suite", ["", "keywords: {mean: '>= 0.5'}", "keywords: {sum: '>= 1', record_only: true}"]
)
def test_a_first_suite_leaves_means_watched(repository, suite):
    on_main(repository, lambda: write_golden(repository, BARE))
    suite = f"suite: {{latency_s: {{p95: '<= 100'}}{suite and ', '}{suite}}}\ncases:"
    write_golden(repository, BARE.replace("cases:", suite))
    repository.commit("a suite")
    result = repository.ask()
    assert (repository.listed(result), result.ret) == ([], 0)


def test_a_case_that_is_run_once_where_the_pipeline_asks_for_auto(repository):
    repository.change("id: case-1, input", "id: case-1, repeats: 1, input")
    lists(
        repository,
        f"{FILE}:6: case-1: repeats changed (before: repeats auto, now: repeats 1)",
        arguments=("--llm-repeats", "auto"),
    )


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (
            ("-m", "smoke"),
            f"{FILE}:6: case-1: tags that this run selects by changed: smoke",
        ),
        (
            ("-k", "not smok"),
            f"{FILE}:6: case-1: tags that this run selects by changed: smoke",
        ),
        (("-m", "not slow"), f"{FILE}:6: case-1: tags that this run selects by changed: slow"),
    ],
)
def test_a_tag_by_which_the_pipeline_chooses(repository, chosen, told):
    tagged = golden_text(4, case_1=", tags: [smoke, other]", case_2=", tags: [smoke]")
    on_main(repository, lambda: write_golden(repository, tagged))
    gone = "[slow, smoke]" if chosen[1] == "not slow" else "[more]"
    repository.change("[smoke, other]", gone)
    lists(repository, told, arguments=chosen)


def test_a_tag_that_nobody_chooses_by_is_free(repository):
    tagged = golden_text(4, case_1=", tags: [smoke, other]", case_2=", tags: [smoke]")
    on_main(repository, lambda: write_golden(repository, tagged))
    repository.change("[smoke, other]", "[smoke, more]")
    result = repository.ask("-m", "smoke")
    assert (repository.listed(result), result.ret) == ([], 0)


PYPROJECT = "[tool.pytest-llmops]\nundecided = 'fail'\n{}[tool.pytest.ini_options]\n{}"


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        (
            "pyproject.toml",
            PYPROJECT.format("baseline = 'git:main'\n", ""),
            PYPROJECT.format("baseline = 'none'\n", ""),
        ),
        ("pyproject.toml", PYPROJECT.format("baseline = 'git:main'\n", ""), PYPROJECT.format("", "")),
        ("pyproject.toml", PYPROJECT.format("baseline = 'git:main'\n", ""), None),
        (
            "pytest.ini",
            "[pytest]\nllm_baseline = git:main\n",
            "[pytest]\nllm_baseline = golden/baseline.json\n",
        ),
        ("pytest.ini", "[pytest]\naddopts = --llm-baseline=git:main\n", "[pytest]\n"),
        ("pytest.ini", "[pytest]\naddopts = --llm-baseline git:main\n", "[pytest]\n"),
    ],
)
def test_a_baseline_by_revision_that_the_change_takes_out_of_the_settings(repository, file, before, after):
    on_main(repository, lambda: (repository.path / file).write_text(before))
    if after is None:
        (repository.path / file).unlink()
    else:
        (repository.path / file).write_text(after)
    repository.commit("no gate, no red")
    repository.change("mean: '>= 0.5'", "mean: '>= 0.1'")
    result = repository.ask(against=())
    told = repository.listed(result)
    assert any("mean: bound changed" in each for each in told)
    assert any(each.startswith(f"{file}: ") for each in told)
    assert RED in result.outlines
    assert result.ret == 1


def test_whoever_runs_it_may_say_that_nothing_is_compared(repository):
    settings = PYPROJECT.format("baseline = 'git:main'\n", "")
    on_main(repository, lambda: (repository.path / "pyproject.toml").write_text(settings))
    (repository.path / "pyproject.toml").write_text(PYPROJECT.format("", ""))
    repository.commit("no gate")
    result = repository.ask(against=("--llm-baseline", "none"))
    assert (repository.listed(result), result.ret) == ([], 0)


def test_a_baseline_by_revision_that_main_itself_gave_up(repository):
    settings = repository.path / "pyproject.toml"
    on_main(repository, lambda: settings.write_text(PYPROJECT.format("baseline = 'git:main'\n", "")))
    on_main(
        repository,
        lambda: settings.write_text(PYPROJECT.format("", "")) and repository.git("branch", "-D", "change"),
    )
    result = repository.ask(against=())
    assert (repository.listed(result), result.ret) == ([], 0)


FIXTURE = "import pytest\n\n@pytest.fixture(scope='session')\ndef llm_app():\n    {}\n"
LOADED = "pytest loads this file, which may replace the app or a verdict, and it is not what it was"


@pytest.mark.parametrize("file", ["conftest.py", "golden/conftest.py"])
def test_a_conftest_that_replaces_the_app(repository, file):
    canned = FIXTURE.format("return lambda question: 'good'")
    repository.varying.project.write(file, canned)
    repository.commit("canned answers")
    repository.varying.break_case(0, 1, 2, 3)
    lists(
        repository,
        f"{file}: {LOADED}",
    )


def test_a_conftest_that_patches_the_app(repository):
    on_main(repository, lambda: repository.varying.project.write("conftest.py", "import os\n"))
    repository.varying.project.write(
        "conftest.py", "import capitals\ncapitals.answer = lambda question: 'good'\n"
    )
    repository.commit("patched")
    lists(
        repository,
        f"conftest.py: {LOADED}",
    )


def test_a_plugin_that_addopts_load(repository):
    repository.varying.project.write(
        "patching.py", "import capitals\ncapitals.answer = lambda question: 'good'\n"
    )
    repository.varying.project.write("pytest.ini", "[pytest]\naddopts = -p patching\npythonpath = .\n")
    repository.commit("patched")
    path = os.pathsep.join(filter(None, (str(repository.path), os.environ.get("PYTHONPATH"))))
    repository.varying.project.environment.setenv("PYTHONPATH", path)
    repository.varying.project.pytester.syspathinsert()  # pytest 8.2 reads `pythonpath` after `-p`
    result = repository.varying.ask("--llm-baseline", "git:main", workers=2)
    told = repository.listed(result)
    assert any(each.startswith("patching.py: pytest loads this file") for each in told)
    assert any("addopts changed" in each for each in told)
    assert result.ret == 1


def test_a_conftest_that_named_the_app_and_is_gone(repository):
    named = FIXTURE.format("import capitals; return capitals.answer")
    on_main(repository, lambda: repository.varying.project.write("golden/conftest.py", named))
    repository.git("rm", "--quiet", "golden/conftest.py")
    repository.commit("gone")
    lists(repository, "golden/conftest.py: this file was removed, and may have said which app is run")


def test_a_conftest_that_stays_as_it_was_is_not_listed(repository):
    on_main(repository, lambda: repository.varying.project.write("conftest.py", "import os\n"))
    repository.change("VARIES = False", "VARIES = bool(0)", "capitals.py")
    (repository.path / "conftest.py").write_bytes(b"import os  # not used\r\n")
    result = repository.ask()
    assert (repository.listed(result), result.ret) == ([], 0)


SHOUT = """
import pytest_llmops
from words import shouts

@pytest_llmops.metric('shout')
def shout(output):
    return shouts(output.text)
"""
WORDS = "def shouts(text):\n    return text.isupper()\n"


@pytest.mark.parametrize("edited", ["shouting.py", "words.py"])
def test_a_metric_whose_source_changed_under_its_version(repository, edited):
    def set_up():
        repository.varying.project.write("shouting.py", SHOUT)
        repository.varying.project.write("words.py", WORDS)
        settings = PYPROJECT.format("metrics = ['shouting.py']\n", "")
        (repository.path / "pyproject.toml").write_text(settings)
        write_golden(
            repository,
            golden_text(4)
            .replace("{keywords: {all: [good]}}", "{shout: '>= 0.5'}")
            .replace("keywords: {mean", "shout: {mean"),
        )
        (repository.path / "golden/baseline.json").unlink()
        repository.git("commit", "--quiet", "--all", "--message", "a metric")
        repository.varying.project.pytester.runpytest_subprocess(
            "--llm-golden", "--llm-accept", "--llm-repeats", "2"
        )

    on_main(repository, set_up)
    old, new = (
        ("shouts(output.text)", "shouts('GOOD')") if edited == "shouting.py" else ("text.isupper()", "True")
    )
    repository.change(old, new, edited)
    result = repository.varying.project.pytester.runpytest_subprocess(
        "--llm-golden", "--llm-baseline", "git:main"
    )
    told = f"{edited}: scores of shout are made by this file, and it is not what it was"
    assert told in repository.listed(result)
    assert RED in result.outlines
    assert result.ret == 1
    assert outcomes_of(result)["error"] == 5, "the baseline's scores were made in another way"


@pytest.fixture
def server(project, repository):
    """The app asks a model whose answers varied, and are bad by now: that is confirmed by further calls."""
    answers = itertools.chain(["good", "good", "bad"] * 8, itertools.repeat("bad"))
    with OpenAIServer(answer=lambda _: next(answers)) as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        project.environment.setenv("OPENAI_API_KEY", "none")

        def set_up():
            project.app(APP)
            repository.varying.baseline.unlink()
            repository.ask("--llm-accept", "--llm-repeats", "6", "--llm-record", "all", against=())

        on_main(repository, set_up)
        yield server


@pytest.mark.usefixtures("server")
def test_a_budget_too_small_to_decide_anything(repository):
    told = "the budget was spent before every verdict was decided, and what is undecided fails no build"
    auto = ("--llm-repeats", "auto", "--llm-record", "all")
    lists(
        repository,
        f"--llm-budget: {told} (now: budget 5 calls)",
        arguments=(*auto, "--llm-budget", "5 calls"),
    )
    settings = PYPROJECT.format("budget = '5 calls'\n", "")
    (repository.path / "pyproject.toml").write_text(settings)
    repository.commit("no money")
    lists(
        repository,
        "pyproject.toml: the setting budget changed (now: budget 5 calls)",
        f"the setting budget: {told} (now: budget 5 calls)",
        arguments=auto,
    )
    repository.git("switch", "--quiet", "--detach", "main")
    done = llmops(
        repository, "--baseline", "git:main", "--repeats", "auto", "--record", "all", "--budget", "5 calls"
    )
    assert f"--llm-budget: {told}" in done.stdout
    assert done.returncode == 1


def main_moves_on(repository, edit):
    """Something that main got after the change began."""
    repository.git("switch", "--quiet", "main")
    edit()
    repository.commit("after the change began")
    repository.git("switch", "--quiet", "branch")


NINTH = "cases:\n  - {id: case-9, input: question 9, checks: {keywords: {all: [good]}}}\n"
NEWER = "newer than this change, from main: {}; where they are red, merge main first"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_case_that_main_got_since_is_run(repository, workers):
    main_moves_on(repository, lambda: write_golden(repository, golden_text(4).replace("cases:\n", NINTH)))
    repository.varying.break_case(9)
    result = repository.varying.ask("--llm-baseline", "git:main", workers=workers)
    result.stdout.fnmatch_lines([NEWER.format(f"{FILE}::case-9"), f"FAILED {FILE}::case-9*"])
    assert repository.listed(result) == []
    assert result.ret == 1
    (repository.path / "broken-9").unlink()
    assert repository.varying.ask("--llm-baseline", "git:main", workers=workers).ret == 0


def test_a_check_and_a_bound_that_main_raised_since_are_asked(repository):
    def raised():
        text = golden_text(4).replace("mean: '>= 0.5'", "mean: '>= 0.9'")
        text = text.replace("question 1, checks: {", "question 1, checks: {regex: {pattern: fine}, ")
        write_golden(repository, text)

    main_moves_on(repository, raised)
    repository.change("id: case-0", "tags: [mine], id: case-0")
    repository.varying.break_case(0)
    result = repository.ask()
    result.stdout.fnmatch_lines(["*failed*regex >= 1: 0*", "*keywords mean >= 0.9*0.75*"])
    assert result.ret == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_golden_file_that_main_got_since_is_run(repository, workers):
    main_moves_on(
        repository,
        lambda: write_golden(repository, golden_text(1).replace("case-0", "new"), "golden/later.yaml"),
    )
    assert not (repository.path / "golden/later.yaml").exists()
    result = repository.varying.ask("--llm-baseline", "git:main", workers=workers)
    assert outcomes_of(result)["passed"] == 7
    assert NEWER.format("golden/later.yaml") in result.outlines
    assert result.ret == 0
    repository.varying.break_case(0)
    result = repository.varying.ask("--llm-baseline", "git:main", workers=workers)
    result.stdout.fnmatch_lines(["FAILED golden/later.yaml::new*"])
    done = llmops(repository, "--baseline", "git:main")
    assert "golden/later.yaml:5: new" in done.stdout
    assert repository.ask("golden/capitals.yaml", "-k", "case-1").ret == 0, "it was not asked for"


def test_golden_files_of_main_that_this_checkout_cannot_read(repository):
    text = golden_text(1).replace("{keywords: {all: [good]}}", "{shout: true}")
    main_moves_on(repository, lambda: write_golden(repository, text, "golden/later.yaml"))
    result = repository.ask()
    result.stderr.fnmatch_lines(
        ["*at git:main: *", "golden/later.yaml:5: *'shout'*", "main moved on *merge main first"]
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_setting_that_main_raised_since_is_listed(repository):
    def raised():
        settings = PYPROJECT.format("known_failures = 'fail'\n", "")
        (repository.path / "pyproject.toml").write_text(settings)

    main_moves_on(repository, raised)
    lists(
        repository,
        "pyproject.toml: the setting known_failures changed, compared with main by now: merge it "
        "(before: known_failures fail, now: known_failures warn)",
    )


def test_what_main_did_elsewhere_since_is_not_listed(repository):
    main_moves_on(repository, lambda: repository.varying.project.write("README.md", "more"))
    result = repository.ask()
    assert (repository.listed(result), result.ret) == ([], 0)


@pytest.fixture
def recorded(project, repository):
    """The app asks a model, and main holds its recorded answers."""
    with OpenAIServer(answer=lambda _: "good") as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        project.environment.setenv("OPENAI_API_KEY", "none")
        project.environment.setenv("PRICED", "")

        def set_up():
            project.app(APP)
            repository.varying.baseline.unlink()
            repository.ask("--llm-accept", "--llm-repeats", "2", against=())
            (repository.path / ".llmops/cassettes").rename(repository.path / "golden/cassettes")

        on_main(repository, set_up)
        yield repository


CASSETTE = "golden/cassettes/capitals/case-1.yaml"
REPLAYED = "recorded responses to unchanged requests, which this run replays"


def edit_cassette(repository, *, sign: bool) -> None:
    path = repository.path / CASSETTE
    if sign:
        edit_calls(path, lambda calls: json.loads(json.dumps(calls).replace(': "good', ': "great good')))
    else:
        path.write_text(path.read_text().replace("content: good", "content: great good"))
    repository.commit("better answers")


def test_a_cassette_that_was_edited_by_hand_is_an_error(recorded):
    edit_cassette(recorded, sign=False)
    result = recorded.ask("--llm-record", "none", against=())
    result.stdout.fnmatch_lines([f"*{CASSETTE}:*: call 1: was edited after it was recorded*"])
    assert outcomes_of(result)["error"] >= 1


def test_a_cassette_that_was_edited_with_its_digest_is_listed(recorded):
    edit_cassette(recorded, sign=True)
    result = recorded.ask("--llm-record", "none")
    assert recorded.listed(result) == [f"{CASSETTE}: {FILE}::case-1: {REPLAYED}: 2 edited"]
    assert RED in result.outlines
    assert result.ret == 1
    live = recorded.ask("--llm-record", "all")
    assert (recorded.listed(live), live.ret) == ([], 0), "nothing is replayed"


def test_a_call_that_was_made_again_and_got_the_same_answer_is_no_edit(recorded):
    def make_again(calls):
        for call in calls:
            call |= {"duration_s": 9.0, "offset_s": 1.0}
            call["response"]["body"] |= {"id": "another", "created": 7}
        return calls

    edit_calls(recorded.path / CASSETTE, make_again)
    recorded.commit("recorded again")
    assert recorded.listed(recorded.ask("--llm-record", "none")) == []


def test_ids_that_make_copies_of_repeats_count(recorded):
    def name(calls, *, alike):
        for number, call in enumerate(calls):
            call["response"]["body"]["id"] = f"chatcmpl-{0 if alike else number}"
        return calls

    on_main(
        recorded,
        lambda: edit_calls(recorded.path / CASSETTE, lambda calls: name(calls, alike=False)),
        branch="named",
    )
    edit_calls(recorded.path / CASSETTE, lambda calls: name(calls, alike=True))
    recorded.commit("one answer")
    assert recorded.listed(recorded.ask("--llm-record", "none")) == [
        f"{CASSETTE}: {FILE}::case-1: {REPLAYED}: 1 edited"
    ]


def test_the_id_in_the_answer_to_a_listed_request_counts(recorded):
    def answer(name):
        return lambda calls: [
            call | {"path": "POST /order", "response": call["response"] | {"body": {"id": name}}}
            for call in calls
        ]

    on_main(recorded, lambda: edit_calls(recorded.path / CASSETTE, answer("A-1")), branch="listed")
    edit_calls(recorded.path / CASSETTE, answer("A-2"))
    recorded.commit("another order")
    assert recorded.listed(recorded.ask("--llm-record", "none")) == [
        f"{CASSETTE}: {FILE}::case-1: {REPLAYED}: 2 edited"
    ]


def test_the_time_of_a_call_that_was_made_again_counts_where_time_is_checked(recorded):
    golden = recorded.path / FILE
    timed = golden.read_text().replace("suite: {", "suite: {latency_s: {max: '<= 60'}, ")
    on_main(recorded, lambda: golden.write_text(timed), branch="timed")
    edit_calls(recorded.path / CASSETTE, lambda calls: [call | {"duration_s": 0.0} for call in calls])
    recorded.commit("faster")
    assert recorded.listed(recorded.ask("--llm-record", "none")) == [
        f"{CASSETTE}: {FILE}::case-1: {REPLAYED}: 2 edited"
    ]


def test_recorded_calls_that_are_committed_to_the_working_folder(recorded):
    path = recorded.path / ".llmops/cassettes/capitals/case-1.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((recorded.path / CASSETTE).read_text())
    recorded.git("add", "--force", ".llmops/cassettes")
    recorded.commit("replay mine")
    (told,) = recorded.listed(recorded.ask())
    assert told.startswith(
        ".llmops: the working folder is not for git, and what was committed to it is replayed:"
    )


def test_a_recorded_verdict_on_the_canary_of_a_judge_is_listed(recorded):
    settings = PYPROJECT.format("judge = {model = 'kind'}\n", "")
    on_main(recorded, lambda: (recorded.path / "pyproject.toml").write_text(settings), branch="judged")
    item, path = "judges::injection-canary", "golden/cassettes/judges.6e9ecebecad2741a/injection-canary.yaml"
    text = (recorded.path / CASSETTE).read_text()
    recorded.varying.project.write(path, text.replace(f"{FILE}::case-1", item))
    recorded.commit("a judge that sees attacks")
    (listed,) = recorded.listed(recorded.ask("--llm-record", "none"))
    assert listed == f"{path}: {item}: {REPLAYED}: 2 new"


def test_a_new_case_brings_its_cassette_unlisted(recorded):
    recorded.change("cases:\n", NINTH)
    recorded.varying.project.write(
        "golden/cassettes/capitals/case-9.yaml", "version: 1\ncase: x\ncalls: []\n"
    )
    recorded.commit("a case")
    assert recorded.listed(recorded.ask()) == []


def test_a_folder_that_becomes_the_root_of_the_project(repository):
    """Settings and baseline would be looked for below it, where there are none."""
    repository.varying.project.write("golden/pytest.ini", "[pytest]\npythonpath = ..\nllm_golden = .\n")
    repository.commit("a root of my own")
    result = repository.ask("golden")
    told = "pytest.ini: this file makes its folder the project's root, which was that of pyproject.toml"
    assert told in repository.listed(result)
    assert result.ret == 1


def test_a_golden_file_that_becomes_a_link_to_a_looser_one(repository):
    write_golden(repository, golden_text(4).replace("'>= 0.5'", "'>= 0.1'"), "elsewhere/looser.yaml")
    (repository.path / FILE).unlink()
    (repository.path / FILE).symlink_to("../elsewhere/looser.yaml")
    repository.commit("a link")
    lists(
        repository,
        f"{FILE}: the suite's keywords mean: bound changed (before: >= 0.5, now: >= 0.1)",
    )


def test_a_golden_folder_that_becomes_a_link(repository):
    repository.git("mv", "golden", "elsewhere")
    (repository.path / "golden").symlink_to("elsewhere")
    repository.commit("a link")
    repository.change("'>= 0.5'", "'>= 0.1'", "elsewhere/capitals.yaml")
    assert repository.ask().ret != 0


def test_a_golden_file_that_moves_into_a_subfolder(repository):
    (repository.path / "golden/sub").mkdir()
    repository.git("mv", FILE, "golden/sub/capitals.yaml")
    repository.commit("moved")
    moved = repository.ask("golden/sub/capitals.yaml")
    assert (repository.listed(moved), moved.ret) == ([], 0)
    repository.change("'>= 0.5'", "'>= 0.1'", "golden/sub/capitals.yaml")
    lists(
        repository,
        "golden/sub/capitals.yaml: the suite's keywords mean: bound changed (before: >= 0.5, now: >= 0.1)",
        arguments=("golden/sub/capitals.yaml",),
    )
    repository.varying.break_case(2)
    result = repository.ask("golden/sub/capitals.yaml")
    assert outcomes_of(result)["regressed"] == 2, "its baseline moved with it"


def test_a_case_with_another_id_and_another_question(repository):
    repository.change("id: case-1, input: question 1", "id: case-one, input: question one")
    lists(repository, f"{FILE}: case-1: the case was removed")


ANCHORED = """version: 1
app: capitals:answer
suite: {{keywords: {{mean: '>= 0.5', max_drop: 0.05}}}}
cases:
  - id: case-0
    input: question 0
    checks: {{keywords: &asked {{all: [good], min: {}}}}}
  - id: case-1
    input: question 1
    checks: {{keywords: *asked}}
"""


def test_an_anchor_that_loosens_every_case_that_refers_to_it(repository):
    on_main(repository, lambda: write_golden(repository, ANCHORED.format(1)))
    repository.change("min: 1", "min: 0.5")
    lists(
        repository,
        f"{FILE}:5: case-0: keywords: bound changed (before: >= 1, now: >= 0.5)",
        f"{FILE}:8: case-1: keywords: bound changed (before: >= 1, now: >= 0.5)",
    )


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\nllm_undecided = pass\n"),
        ("tox.ini", "[pytest]\nllm_undecided = pass\n"),
        ("setup.cfg", "[tool:pytest]\nllm_undecided = pass\n"),
    ],
)
def test_a_settings_file_beside_the_project_s(repository, file, text):
    plain = "[tool.pytest-llmops]\nundecided = 'fail'\n"  # no table of pytest's, so that the next file counts
    on_main(repository, lambda: (repository.path / "pyproject.toml").write_text(plain))
    (repository.path / file).write_text(text)
    repository.commit("beside it")
    lists(
        repository,
        f"{file}: the setting undecided changed (before: undecided fail, now: undecided pass)",
    )


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "undecided = 'fail'\n",
            None,
            "the setting undecided changed (before: undecided fail, now: undecided warn)",
        ),
        ("", "accepted = 'golden/mine.json'\n", "the setting accepted changed"),
        ("", "reviews = 'golden/mine.jsonl'\n", "the setting reviews changed"),
        ("", "cassettes = 'mine'\n", "the setting cassettes changed"),
        ("", "home = 'mine'\n", "the setting home changed"),
        ("", "calibration = 'mine.json'\n", "the setting calibration changed"),
        (
            "judge = {model = 'strict'}\n",
            "judge = {model = 'kind', base_url = 'http://127.0.0.1:1/v1'}\n",
            "the setting judge changed: model, base_url",
        ),
        ("", "timeout_s = 9000\n", "the setting timeout_s changed"),
        ("record = 'all'\n", "record = 'none'\n", "the setting record changed"),
    ],
)
def test_settings_that_decide(repository, before, after, told):
    def write(text):
        for name in ("a", "b"):
            repository.varying.project.write(f"{name}.py", "")
        table = "" if text is None else f"[tool.pytest-llmops]\n{text}"
        (repository.path / "pyproject.toml").write_text(f"{table}[tool.pytest.ini_options]\n")

    on_main(repository, lambda: write(before))
    write(after)
    repository.commit("settings")
    result = repository.ask()
    assert any(each.startswith(f"pyproject.toml: {told}") for each in repository.listed(result))
    assert result.ret == 1


def test_prompts_that_are_no_longer_named(repository):
    def set_up():
        repository.varying.project.write("prompts/a.md", "hello\n")
        write_golden(repository, golden_text(4, head="prompts: [prompts]\n"))

    on_main(repository, set_up)
    repository.change("prompts: [prompts]\n", "")
    lists(repository, f"{FILE}: the golden file's prompts changed: prompts")


def test_attributes_that_would_filter_files_change_nothing(repository):
    repository.change("'>= 0.5'", "'>= 0.1'")
    text = "* text eol=crlf\ngolden export-ignore\ngolden/** filter=evil binary -diff\n"
    repository.varying.project.write(".gitattributes", text)
    repository.commit("attributes")
    assert [each for each in repository.listed(repository.ask()) if "bound changed" in each]


def test_llmops_run_reads_no_conftest(repository):
    canned = "raise SystemExit('a conftest was read')\n"
    repository.varying.project.write("conftest.py", canned)
    repository.varying.project.write("golden/conftest.py", canned)
    repository.commit("canned answers")
    repository.varying.break_case(2)
    done = llmops(repository, "--baseline", "git:main", "--undecided", "fail")
    assert "case-2" in done.stdout
    assert "loosens" not in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\naddopts = --llm-dry-run\n"),
        ("pytest.ini", "[pytest]\naddopts = --collect-only\n"),
        ("conftest.py", "def pytest_configure(config):\n    config.option.collectonly = True\n"),
    ],
)
def test_a_session_that_only_shows_its_cases(repository, file, text):
    repository.varying.project.write(file, text)
    repository.commit("show")
    result = repository.varying.ask("--llm-baseline", "git:main")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["error: nothing was called: the repository, *"])


def test_a_pipeline_may_have_the_cases_shown(repository):
    for flag in ("--llm-dry-run", "--collect-only"):
        assert repository.varying.ask("--llm-baseline", "git:main", flag).ret == 0
