"""What is collected is one rule: paths are exactly what is run; the settings add golden items to the rest."""

from __future__ import annotations

import os

import pytest

UNIT = "def test_unit(): pass\n"
FAILING = "def test_unit(): assert 1 == 2\n"
CASES = ["golden/capitals.yaml::france", "golden/capitals.yaml::spain"]
TEST = "tests/test_unit.py::test_unit"
SETTING = "[tool.pytest-llmops]\ncollect = true\n"
INI = {
    "addopts": ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "--llm-golden"\n'),
    "setting": ("pyproject.toml", SETTING),
    "inline": ("pyproject.toml", "[tool]\npytest-llmops = {collect = true}\n"),
    "ini key": ("pytest.ini", "[pytest]\nllm_collect = true\n"),
    "testpaths": ("pyproject.toml", f'[tool.pytest.ini_options]\ntestpaths = ["tests"]\n{SETTING}'),
}
added = pytest.mark.parametrize("ini", INI)


def start(project, ini: str | None = None, unit: str = UNIT) -> None:
    project.write("tests/test_unit.py", unit)
    if ini:
        project.write(*INI[ini])


def collected(project, *arguments: str) -> list[str]:
    """The item tree as editors read it."""
    result = project.pytester.runpytest_inprocess(
        "--collect-only", "-q", "-p", "no:cacheprovider", *arguments
    )
    assert result.ret == 0
    return [line for line in result.outlines if "::" in line]


@added
def test_the_settings_add_golden_items_to_what_pytest_collects(project, ini):
    start(project, ini)
    assert sorted(collected(project)) == [*CASES, TEST]


@added
@pytest.mark.parametrize(
    ("paths", "items"),
    [
        (["tests/test_unit.py"], [TEST]),
        (["tests"], [TEST]),
        ([TEST], [TEST]),
        (["golden"], CASES),
        (["golden/capitals.yaml"], CASES),
        (["golden/capitals.yaml::spain"], CASES[1:]),
        (["golden/capitals.yaml::spain", TEST], [CASES[1], TEST]),
        (["."], [*CASES, TEST]),
    ],
    ids=str,
)
def test_paths_are_exactly_what_is_run(project, ini, paths, items):
    start(project, ini)
    assert sorted(collected(project, *paths)) == items


@pytest.mark.parametrize(
    ("paths", "items"),
    [
        ([], CASES),
        (["golden", "tests"], [*CASES, TEST]),
        (["golden/capitals.yaml", TEST], [*CASES, TEST]),
        (["."], [*CASES, TEST]),
    ],
    ids=str,
)  # fmt: skip
def test_the_flag_on_the_command_line(project, paths, items):
    start(project)
    assert sorted(collected(project, "--llm-golden", *paths)) == items


def test_the_flag_alone_says_that_ordinary_tests_are_not_collected(project):
    start(project, unit=FAILING)
    result = project.run_here()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["golden set: ordinary tests are not collected*collect = true*"])
    result = project.run_here("golden", "tests")
    result.stdout.no_fnmatch_line("*not collected*")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("ini", ["addopts", "setting"])
def test_a_failing_unit_test_beside_a_good_golden_set_is_red(project, ini, workers):
    start(project, ini, FAILING)
    result = project.pytester.runpytest_inprocess(*workers)
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*2 passed*"])


@added
def test_ordinary_tests_alone_have_no_golden_summary_and_call_no_app(project, ini):
    start(project, ini)
    result = project.pytester.runpytest_inprocess("tests/test_unit.py")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*golden set*")
    assert project.asked() == []
    assert not (project.path / ".llmops").exists()


def test_flags_of_a_golden_run_in_addopts_do_not_hinder_ordinary_tests(project):
    start(project)
    project.write("pytest.ini", "[pytest]\naddopts = --llm-golden --llm-out run.json --llm-accept\n")
    project.pytester.runpytest_inprocess("tests/test_unit.py").assert_outcomes(passed=1)


def test_a_broken_golden_file_hinders_only_those_who_run_it(project):
    start(project, "setting")
    project.golden("cases: [{id: a}]\n")
    assert project.pytester.runpytest_inprocess("tests/test_unit.py").ret == 0
    assert project.pytester.runpytest_inprocess().ret == pytest.ExitCode.USAGE_ERROR


def test_other_yaml_files_are_no_golden_files(project):
    start(project, "setting")
    project.write("mkdocs.yml", "site_name: docs\n")
    project.write("tests/data.yaml", "a: 1\n")
    for paths in ([], ["."], ["tests", "golden"]):
        assert sorted(collected(project, *paths)) == [*CASES, TEST]
    assert sorted(collected(project, "--llm-golden", ".")) == [*CASES, TEST]


@pytest.mark.parametrize("arguments", [(), ("golden",), ("golden/missing.yaml",)])
def test_a_golden_set_that_is_not_there_is_a_usage_error(project, arguments):
    start(project, "setting")
    (project.path / "golden" / "capitals.yaml").unlink()
    (project.path / "golden").rmdir()
    result = project.pytester.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_golden_set_elsewhere_is_collected_once(project):
    start(project)
    (project.path / "golden" / "capitals.yaml").rename(project.path / "tests" / "moved.yaml")
    project.write("pyproject.toml", '[tool.pytest-llmops]\ncollect = true\ngolden = ["tests/moved.yaml"]\n')
    assert sorted(collected(project)) == ["tests/moved.yaml::france", "tests/moved.yaml::spain", TEST]
    assert sorted(collected(project, "tests")) == [
        "tests/moved.yaml::france",
        "tests/moved.yaml::spain",
        TEST,
    ]


@added
def test_a_golden_set_in_a_collected_folder_is_no_argument_of_its_own(project, ini):
    """Before version 9, pytest collects only the inner one of two nested arguments."""
    start(project, ini)
    project.write(
        "conftest.py", "def pytest_report_collectionfinish(config): return f'arguments: {config.args}'\n"
    )

    result = project.pytester.runpytest_inprocess("--collect-only", "-p", "no:cacheprovider")

    folders = ["tests", str(project.path / "golden")] if ini == "testpaths" else [str(project.path)]
    assert f"arguments: {folders}" in result.outlines


def test_a_golden_set_that_pytest_does_not_enter_is_reported(project):
    start(project, "setting", FAILING)
    project.write("pytest.ini", "[pytest]\nnorecursedirs = golden\n")

    result = project.pytester.runpytest_inprocess()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["golden/capitals.yaml: not collected (norecursedirs, --ignore)"])


def test_a_wrong_value_is_a_usage_error(project):
    project.write("pyproject.toml", "[tool.pytest-llmops]\ncollect = 'maybe'\n")
    result = project.pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*collect must be true or false, not 'maybe'*"])


def test_collect_false_in_the_settings_collects_nothing_more(project):
    start(project)
    project.write("pyproject.toml", "[tool.pytest-llmops]\ncollect = false\n")
    assert collected(project) == [TEST]


def test_metrics_of_a_conftest_in_the_golden_folder_are_known(project):
    start(project, "testpaths")
    project.write(
        "golden/conftest.py",
        """
        from pytest_llmops import metric

        @metric("shouts")
        def shouts(output):
            return float(output.text.isupper())
    """,
    )
    golden = "version: 1\napp: capitals:answer\nchecks: {shouts: false}\n"
    project.golden(f"{golden}cases: [{{id: france, input: 'capital of France?'}}]\n")
    project.pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_golden_files_further_down_in_a_folder_that_was_named_are_run(project):
    project.write("more/sub/bad.yaml", BAD)

    result = project.run_here("golden", "more")

    result.assert_outcomes(passed=2, failed=1)


BAD = """
    version: 1
    app: capitals:answer
    cases:
      - {id: bad, input: capital of France?, reference: Rome, checks: {exact_match: true}}
"""


@pytest.mark.parametrize("written", ["separate", "relative", "with =", "beside a path"])
def test_an_existing_file_that_a_flag_names_elsewhere_makes_no_root(project, tmp_path_factory, written):
    """Before pytest knows a plugin's flags, it takes each word that names a file for a path to test."""
    start(project)
    path = tmp_path_factory.mktemp("elsewhere") / "run.json"
    path.write_text("{}")
    flags = [f"--llm-out={path}"] if written == "with =" else ["--llm-out", str(path)]
    if written == "relative":
        flags[1] = os.path.relpath(path, project.pytester.path)
    paths = ["golden/capitals.yaml"] if written == "beside a path" else []
    result = project.run("--llm-golden", *flags, *paths)
    if written in ("separate", "relative"):
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"*for the root of the project*write --llm-out={flags[1]}"])
    else:
        assert result.ret == 0


def test_links_are_not_followed_however_they_lead_round(project):
    """Two such links once had pytest collect each case 82 times, or for hours."""
    project.write(
        "golden/more/rest.yaml", "app: capitals:answer\ncases: [{id: a, input: capital of Spain?}]\n"
    )
    for name, target in (("round", "."), ("up", "../golden"), ("more/out", ".."), ("twin", "more")):
        (project.path / "golden" / name).symlink_to(target, target_is_directory=True)

    result = project.run_here("--collect-only", "-q")

    ids = [line for line in result.outlines if "::" in line]
    assert sorted(ids) == [
        "golden/capitals.yaml::france",
        "golden/capitals.yaml::spain",
        "golden/more/rest.yaml::a",
    ]


@pytest.mark.parametrize("name", ["a.yaml", "z.yaml"])
def test_a_linked_golden_file_is_collected_once_by_the_name_that_comes_first(project, name):
    (project.path / "golden" / name).symlink_to("capitals.yaml")

    result = project.run_here("-rA")
    result.assert_outcomes(passed=2)
    first, other = sorted([name, "capitals.yaml"])
    result.stdout.fnmatch_lines(
        [
            f"golden/{other} is the same file as golden/{first}, and is run once",
            f"PASSED golden/{first}::france",
        ]
    )
    project.run_here(f"golden/{name}").assert_outcomes(passed=2)


def test_a_linked_folder_that_is_named_is_collected(project):
    (project.path / "linked").symlink_to("golden", target_is_directory=True)

    project.run_here("linked").assert_outcomes(passed=2)
