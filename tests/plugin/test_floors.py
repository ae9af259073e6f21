"""Floors of a judge's criteria: a mean does not hide the worst of them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.git_settings import forget_git_settings
from tests.judge_server import JudgeServer, schema_of

BOT = """
    def answer(question):
        return "Your neighbour ordered boots to 5 Mill Lane."
"""
FIVE = {"resolution": 5, "policy": 5, "tone": 5, "safety": 5}
LEAKS = {**FIVE, "safety": 1}
REASON = "It gives away an address"


def verdict(scores: dict[str, int]) -> dict[str, object]:
    return {
        name: {"reason": REASON if score == 1 else "Fine.", "evidence": "Mill Lane", "score": score}
        for name, score in scores.items()
    }


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    def judge(request):
        return verdict({name: LEAKS[name] for name in schema_of(request)["required"]})

    with JudgeServer(verdict=judge) as running:
        yield running


@pytest.fixture
def shop(project, server):
    def write(check: str, *, more: str = "", suite: str = ""):
        project.write("bot.py", BOT)
        (project.path / "golden/capitals.yaml").unlink(missing_ok=True)
        project.write(
            "golden/shop.yaml",
            f"""
            app: bot:answer
            judge: {{model: small, base_url: "{server.url}"}}
            {suite}
            cases:
              - {{id: boots, input: "Who ordered boots?", reference: "Nobody.", {more} checks: {check}}}
            """,
        )
        return project

    return write


def test_a_mean_of_4_does_not_excuse_a_1_for_safety(shop):
    """Before there were floors this passed: the mean of 5, 5, 5 and 1 is 4."""
    project = shop("{judge: {rubric: support, min: 4}}")

    result = project.run_here("--llm-out", "run.json")

    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*failed*judge safety >= 3: 1; below its floor: {REASON}*"])
    result.stdout.fnmatch_lines(["FAILED *judge safety 1 < 3: below its floor: *"])
    (score,) = json.loads((project.path / "run.json").read_text())["results"][0]["scores"]
    assert score["value"] == 4.0
    assert score["evidence"][0]["criteria"]["safety"]["floor"] == 3.0


@pytest.mark.parametrize(
    ("options", "code", "shown"),
    [
        ("rubric: support, min: 4, floors: false", 0, "*1 passed*"),
        ("rubric: support, min: 4, floors: {safety: false}", 0, "*1 passed*"),
        ("rubric: support, min: 3, floors: {safety: 2}", 1, "*judge safety >= 2: 1;*"),
        ("rubric: support, min: 4, criteria: [tone, policy], floors: 5", 0, "*1 passed*"),
        ("rubric: support, min: 4, record_only: true", 0, "*1 passed*"),
        ("rubric: support, criteria: safety, min: 1.5, record_only: true", 0, "*1 passed*"),
        ("rubric: support, floors: {safty: 4}", 4, "*no criterion 'safty'. Did you mean 'safety'?*"),
        ("rubric: support, floors: 6", 4, "*floors must be a number above 1, 5 at most, or false*"),
        ("rubric: support, floors: {safety: 1}", 4, "*floors: safety must be a number above 1*"),
        ("rubric: support, floors: true", 4, "*floors must be a number above 1*"),
    ],
)
def test_floors_of_a_check(shop, options, code, shown):
    result = shop(f"{{judge: {{{options}}}}}").run_here()

    assert result.ret == code
    (result.stdout if code != 4 else result.stderr).fnmatch_lines([shown])


@pytest.mark.parametrize(("floor", "code"), [("3", 1), ("false", 0), ("2", 0), ("six", 4)])
def test_floors_of_a_rubric_file(shop, server, floor, code):
    server.verdict = lambda _: verdict({"warmth": 5, "truth": 2})
    project = shop("{judge: {rubric: own, min: 3}}")
    anchors = "{'1': a, '2': b, '3': c, '4': d, '5': e}"
    project.write(
        "golden/rubrics/own.yaml",
        f"""
        version: 1.0.0
        criteria:
          warmth: {{asks: Is it warm?, anchors: {anchors}}}
          truth:
            asks: Is it true?
            anchors: {anchors}
            floor: {floor}
        """,
    )

    result = project.run_here()

    assert result.ret == code
    if code == 1:
        result.stdout.fnmatch_lines(["*judge truth >= 3: 2; below its floor: Fine.*"])
    if code == 4:
        result.stderr.fnmatch_lines(["*own.yaml:8: *floor: must be a number above 1*"])


@pytest.mark.parametrize(
    ("safety", "code", "shown"),
    [
        ((1, 1, 5), 1, "*failed*judge safety >= 3: 1; below its floor in 2 of 3 repeats: It gives away*"),
        ((1, 5), 1, "*failed*judge safety >= 3: 1; below its floor in 1 of 2 repeats*"),
        ((1, 5, 5), 1, "*undecided*judge safety >= 3: 5; below its floor in 1 of 3 repeats*"),
        ((1, 5, 5, 5, 5), 0, "*1 passed*"),
    ],
)
def test_over_repeats_half_of_them_miss_a_floor_and_fewer_are_undecided(shop, server, safety, code, shown):
    left = list(safety)
    server.verdict = lambda _: verdict({**FIVE, "safety": left.pop()})
    project = shop("{judge: {rubric: support, min: 2}}", more=f"repeats: {len(safety)},")
    project.write("pyproject.toml", "[tool.pytest-llmops]\nundecided = 'fail'\n")

    result = project.run_here()

    assert result.ret == code
    result.stdout.fnmatch_lines([shown])


@pytest.mark.parametrize(("safe", "code"), [(("one",), 1), (("one", "two"), 0), ((), 1)])
def test_of_a_panel_half_of_the_judges_miss_a_floor(shop, server, safe, code):
    panel = ("one", "two", "three")
    server.verdict = lambda request: verdict(FIVE if request["model"] in safe else LEAKS)
    result = shop(f"{{judge: {{rubric: support, panel: [{', '.join(panel)}], min: 4}}}}").run_here()

    assert result.ret == code
    if code:
        result.stdout.fnmatch_lines([f"*judge safety >= 3: 1; below its floor: {REASON}*"])


def test_a_grade_by_the_reference_has_a_floor_where_one_is_written(shop, server):
    server.verdict = lambda request: {
        "missing": [], "contradicted": [], "reason": "No.",
        "grade": "correct" if request["model"] == "one" else "incorrect",
    }  # fmt: skip
    check = "{{reference_grade: {{panel: [one, two], min: 0.5{}}}}}"

    assert shop(check.format("")).run_here().ret == 0
    result = shop(check.format(", floors: 0.5")).run_here()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*reference_grade grade >= 0.5: 0; below its floor: No.*"])


def test_a_metric_that_only_the_suite_checks_has_floors_too(shop):
    suite = "suite: {judge: {rubric: support, mean: '>= 3'}}"

    result = shop("{keywords: {all: [boots]}}", suite=suite).run_here()

    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*judge safety >= 3: 1; below its floor: {REASON}: *shop.yaml::boots"])


def test_markers_and_fixtures(shop, server):
    project = shop("{judge: {rubric: support, min: 4}}")
    project.write(
        "conftest.py", "import pytest, bot\n\n@pytest.fixture\ndef llm_app():\n    return bot.answer"
    )
    project.write(
        "test_it.py",
        f"""
        import pytest

        ASKED = {{"judge": {{"model": "small", "base_url": "{server.url}"}}, "rubric": "support"}}

        @pytest.mark.judge(min=4, **ASKED)
        def test_marked(llm):
            llm("Who?")

        @pytest.mark.judge(min=4, floors={{"safety": False}}, **ASKED)
        def test_marked_without(llm):
            llm("Who?")

        def test_asserted(judge):
            assert judge("Mill Lane", "Who?", **ASKED) >= 4

        def test_asserted_the_other_way_round(judge):
            assert 4.0 <= judge("Mill Lane", "Who?", **ASKED)

        def test_asserted_without(judge):
            assert judge("Mill Lane", "Who?", floors=False, **ASKED) >= 4
        """,
    )

    result = project.pytester.runpytest_inprocess("test_it.py", "-p", "no:cacheprovider", "-W", "default")

    result.assert_outcomes(passed=2, failed=3)
    result.stdout.fnmatch_lines([f"*judge safety >= 3: 1; below its floor: {REASON}*"])
    result.stdout.fnmatch_lines([f"E *safety 1 is below its floor 3: {REASON}"])


def test_llmops_score_names_the_floor(shop, server, capsys):
    from tests.command import main

    project = shop("{judge: {rubric: support, min: 4}}")
    project.write("rows.jsonl", json.dumps({"id": "a", "input": "Who?", "output": "Mill Lane"}))
    project.write(
        "pyproject.toml", f'[tool.pytest-llmops.judge]\nmodel = "small"\nbase_url = "{server.url}"\n'
    )

    assert main(["score", "judge", "rows.jsonl", "--option", "rubric=support"]) == 0

    line = json.loads(capsys.readouterr().out)
    assert line["reason"] == f"resolution 5, policy 5, tone 5, safety 1 (below its floor 3): {REASON}"
    assert line["evidence"][0]["criteria"]["safety"]["floor"] == 3.0


@pytest.mark.parametrize(
    ("before", "code", "shown"),
    [
        ({**FIVE, "tone": 1}, 1, "*regressed*judge safety >= 3: 1, baseline 5, difference -4*"),
        (LEAKS, 0, "* 1 passed, 1 known in *"),
        ({**LEAKS, "safety": 2, "tone": 4}, 1, "*failed*judge safety >= 3: 1, baseline 2*"),
    ],
)
def test_a_criterion_that_fell_while_the_mean_stayed(shop, server, before, code, shown):
    """All of these have a mean of 4: only the criteria are apart, and the baseline keeps them."""
    server.verdict = lambda _: verdict(before)
    project = shop("{judge: {rubric: support, min: 4}}")
    project.run_here("--llm-accept", "--llm-record", "all")
    assert '"criteria":' in (project.path / "golden" / "baseline.json").read_text()
    server.verdict = lambda _: verdict(LEAKS)

    result = project.run_here("--llm-record", "all", "--llm-out", "run.json")

    assert result.ret == code
    result.stdout.fnmatch_lines([shown])


@pytest.mark.parametrize(("bound", "code"), [(4.5, 0), (4, 1)], ids=["known failure", "held"])
def test_a_baseline_without_criteria_excuses_a_floor_only_of_a_known_failure(shop, bound, code):
    project = shop(f"{{judge: {{rubric: support, min: {bound}}}}}")
    project.run_here("--llm-accept")
    path = project.path / "golden" / "baseline.json"
    path.write_text(re.sub(r', ?"criteria": ?\{"judge": ?\{[^}]*\}\}', "", path.read_text()))
    assert "criteria" not in path.read_text()

    assert project.run_here().ret == code


def test_two_stored_runs_are_compared_by_floors_too(shop, server, capsys):
    from tests.command import main

    project = shop("{judge: {rubric: support, min: 4}}")
    server.verdict = lambda _: verdict({**FIVE, "tone": 1})
    project.run_here("--llm-out", "old.json", "--llm-record", "all")
    server.verdict = lambda _: verdict(LEAKS)
    project.run_here("--llm-out", "new.json", "--llm-record", "all")
    capsys.readouterr()

    assert main(["compare", "old.json", "new.json"]) == 1
    assert "judge safety >= 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("rubric: support, min: 4", "rubric: support, min: 4, floors: false", 1),
        ("rubric: support, min: 4, floors: {tone: 2}", "rubric: support, min: 4, floors: {safety: false}", 1),
        ("rubric: support, min: 4, floors: {safety: false}", "rubric: support, min: 4", 1),
        (
            "rubric: support, min: 4, floors: {safety: false}",
            "rubric: support, min: 4, floors: {safety: false, tone: 5}",
            0,
        ),
    ],
    ids=["off", "one off", "on again, and missed", "stricter, and held"],
)  # fmt: skip
def test_lower_floors_do_not_get_past_the_merge_base(shop, before, after, code):
    """The check of the merge base, with its floors, judges a change as well."""
    project = shop(f"{{judge: {{{before}}}}}")
    forget_git_settings(project.environment)
    project.write(".gitignore", ".llmops/\n__pycache__/\n")
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "base"]):
        subprocess.run(["git", *arguments], cwd=project.path, check=True)  # noqa: S603, S607
    shop(f"{{judge: {{{after}}}}}")
    project.run_here("--llm-accept", "--llm-record", "all")
    subprocess.run(["git", "add", "golden"], cwd=project.path, check=True)  # noqa: S607

    result = project.run_here("--llm-baseline", "git:main", "--llm-record", "all")

    assert result.ret == code
    if code:
        result.stdout.fnmatch_lines([f"*failed *judge* safety >= 3: 1; below its floor: {REASON}*"])
