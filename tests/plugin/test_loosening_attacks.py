"""Ways in which a change may loosen its own gate: each is listed under `git:REF`, and red without permission."""

from __future__ import annotations

import pytest

from tests.plugin.test_merge_base import FILE, RED, repository  # noqa: F401 - the fixture
from tests.plugin.varying import golden_text

SET_AT_RUN_TIME = """
import os
os.environ["PYTEST_ADDOPTS"] = os.environ.get("PYTEST_ADDOPTS", "") + " --llm-allow-loosening"
"""


@pytest.mark.parametrize("file", ["conftest.py", "golden/conftest.py", "capitals.py"])
def test_permission_that_the_project_gives_itself_at_run_time(repository, file):
    before = (repository.path / file).read_text() if file == "capitals.py" else ""
    repository.varying.project.write(file, SET_AT_RUN_TIME + before)
    repository.change("mean: '>= 0.5'", "mean: '>= 0.1'")
    repository.varying.project.environment.setenv("PYTEST_ADDOPTS", "-p no:langsmith_plugin -p no:anyio")

    result = repository.ask()

    assert RED in result.outlines
    assert result.ret == 1


def test_another_repository_that_a_conftest_names(repository):
    repository.git("clone", "--quiet", "--bare", ".", "../elsewhere")
    repository.git("--git-dir", "../elsewhere", "symbolic-ref", "HEAD", "refs/heads/main")
    repository.change("mean: '>= 0.5'", "mean: '>= 0.1'")
    repository.git("push", "--quiet", "--force", "../elsewhere", "HEAD:main")
    elsewhere = (repository.path / "../elsewhere").resolve()
    repository.varying.project.write("conftest.py", f"import os\nos.environ['GIT_DIR'] = {str(elsewhere)!r}\n")

    result = repository.ask()
    repository.varying.project.environment.delenv("GIT_DIR")

    assert [each for each in repository.listed(result) if each.startswith(FILE)]
    assert result.ret == 1


def on_main(repository, edit, message="before the change"):
    """Something that stood on main when the change began."""
    repository.git("switch", "--quiet", "main")
    edit()
    repository.commit(message)
    repository.git("switch", "--quiet", "--create", "change")


def lists(repository, *told: str, arguments: tuple[str, ...] = ()) -> pytest.RunResult:
    """Red, with exactly these lines; and not red where the pipeline allows it."""
    result = repository.ask(*arguments)
    assert repository.listed(result) == list(told)
    assert RED in result.outlines
    assert result.ret == 1
    allowed = repository.ask(*arguments, "--llm-allow-loosening")
    assert repository.listed(allowed) == list(told)
    assert RED not in allowed.outlines
    return result


def write_golden(repository, text: str, file: str = FILE) -> None:
    (repository.path / file).parent.mkdir(exist_ok=True)
    (repository.path / file).write_text(text)


BARE = golden_text(4).replace("suite: {keywords: {mean: '>= 0.5', max_drop: 0.05}}\n", "")


def test_a_first_suite_switches_off_the_means_that_were_watched(repository):
    on_main(repository, lambda: write_golden(repository, BARE))
    write_golden(repository, BARE.replace("cases:", "suite: {latency_s: {p95: '<= 100'}}\ncases:"))
    repository.commit("a suite")
    lists(
        repository,
        f"{FILE}: the suite is no longer judged by keywords mean (before: keywords mean)",
    )


def test_a_first_suite_that_watches_them_too_is_not_listed(repository):
    on_main(repository, lambda: write_golden(repository, BARE))
    suite = "suite: {latency_s: {p95: '<= 100'}, keywords: {mean: '>= 0.5'}}\ncases:"
    write_golden(repository, BARE.replace("cases:", suite))
    repository.commit("a suite")
    result = repository.ask()
    assert (repository.listed(result), result.ret) == ([], 0)


def test_a_case_that_is_run_once_where_the_pipeline_asks_for_auto(repository):
    repository.change("id: case-1, input", "id: case-1, repeats: 1, input")
    lists(
        repository,
        f"{FILE}:6: case-1: is asked less often (before: repeats auto, now: repeats 1)",
        arguments=("--llm-repeats", "auto"),
    )


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (("-m", "smoke"), f"{FILE}:6: case-1: no longer has the tag smoke, by which this run chooses its cases"),
        (("-k", "not smok"), f"{FILE}:6: case-1: no longer has the tag smoke, by which this run chooses its cases"),
        (("-m", "not slow"), f"{FILE}:6: case-1: now has the tag slow, by which this run chooses its cases"),
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
        ("pyproject.toml", PYPROJECT.format("baseline = 'git:main'\n", ""), PYPROJECT.format("baseline = 'none'\n", "")),
        ("pyproject.toml", PYPROJECT.format("baseline = 'git:main'\n", ""), PYPROJECT.format("", "")),
        ("pyproject.toml", PYPROJECT.format("baseline = 'git:main'\n", ""), None),
        ("pytest.ini", "[pytest]\nllm_baseline = git:main\n", "[pytest]\nllm_baseline = golden/baseline.json\n"),
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
    assert any("suite's bound" in each for each in told)
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
    on_main(repository, lambda: settings.write_text(PYPROJECT.format("", "")) and repository.git("branch", "-D", "change"))
    result = repository.ask(against=())
    assert (repository.listed(result), result.ret) == ([], 0)
