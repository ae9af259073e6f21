"""`--llm-affected REF`: cases that no change can have touched have the results of the baseline."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.git_settings import forget_git_settings

GOLDEN = """
    app: shop:answer
    prompts: [prompts]
    data: [documents]
    suite: {polite: {mean: '>= 0.1', max_drop: 0.05}}
    checks: {polite: true}
    cases:
      - {id: rope, input: rope, reference: long, checks: {keywords: {all: [rope]}}}
      - {id: tent, input: tent, checks: {keywords: {all: [tent]}}}
      - {id: today, input: today, live: true, checks: {keywords: {all: [today]}}}
"""
APP = """
    import json, os, pathlib
    from helper import say

    HERE = pathlib.Path(__file__).parent
    RATE = os.environ.get("SHOP_RATE", "1")

    def answer(question):
        with open(HERE / "asked.log", "a") as log:
            log.write(question + "\\n")
        extra = json.loads((HERE / "table.json").read_text())
        return say(question, (HERE / "prompts/answer.md").read_text())
"""
METRICS = """
    import pytest_llmops

    @pytest_llmops.metric("polite")
    def polite(sample):
        return 1.0
"""


@pytest.fixture
def shop(project, monkeypatch):
    """A project whose first commit has a baseline; `asked` empties the list of what the app was asked."""
    forget_git_settings(monkeypatch)
    monkeypatch.delenv("SHOP_RATE", raising=False)
    project.golden(GOLDEN)
    project.write("shop.py", APP)
    project.write("helper.py", "def say(question, prompt):\n    return f'{question} {prompt}'\n")
    project.write("unused.py", "ONE = 1\n")
    project.write("prompts/answer.md", "please")
    project.write("documents/rope.md", "A rope.")
    project.write("table.json", "{}")
    project.write("polite.py", METRICS)
    project.write("pyproject.toml", '[tool.pytest-llmops]\nmetrics = ["polite.py"]\n')
    project.write(".gitignore", "asked.log\n.llmops/\n__pycache__/\n")
    project.run("--llm-repeats", "2", "--llm-accept")
    git(project, "init", "-qb", "main")
    commit(project)
    asked(project)
    return project


def git(project, *words: str) -> None:
    subprocess.run(["git", *words], cwd=project.path, check=True, capture_output=True)  # noqa: S603, S607 - our own words


def commit(project) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", "change")


def asked(project) -> set[str]:
    path = project.path / "asked.log"
    words = set(path.read_text().split()) if path.exists() else set()
    path.unlink(missing_ok=True)
    return words


def run(project, *flags: str, ref: str = "HEAD"):
    ran = project.run("--llm-affected", ref, *flags)
    return ran, ran.stdout.str() + ran.stderr.str()


def test_without_a_change_only_a_live_case_is_asked(shop):
    ran, shown = run(shop)

    assert asked(shop) == {"today"}
    assert ran.parseoutcomes() == {"passed": 5}
    assert "affected since HEAD: 1 case run; 2 taken from the baseline" in shown


def test_a_change_of_what_nothing_reads_asks_nothing_more(shop):
    shop.write("unused.py", "ONE = 2\n")
    shop.write("README.md", "# Shop\n")
    run(shop)
    assert asked(shop) == {"today"}


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        ("helper.py", "def say(question, prompt):\n    return prompt\n", "helper.py"),
        ("prompts/answer.md", "at once", "prompts/answer.md"),
        ("prompts/further.md", "at once", "prompts/further.md"),
        ("documents/tent.md", "A tent.", "documents"),
        ("table.json", "[]", "table.json"),
    ],
)
@pytest.mark.parametrize("committed", [True, False])
def test_a_change_of_what_the_app_reads_asks_every_case(shop, path, text, named, committed):
    shop.write(path, text)
    if committed:
        commit(shop)
    _, shown = run(shop, ref="HEAD~1" if committed else "HEAD")

    assert asked(shop) == {"rope", "tent", "today"}
    assert "affected since HEAD" in shown
    assert "every case, for " in shown
    assert named in shown.partition("every case, for ")[2].split("\n")[0]


def test_a_prompt_that_is_gone_asks_every_case(shop):
    shop.write("prompts/further.md", "at once")
    shop.run("--llm-repeats", "2", "--llm-baseline", "none", "--llm-out", "run.json")
    assert shop.pytester.run(Path(sys.executable).with_name("llmops"), "accept", "run.json", "--all").ret == 0
    (shop.path / "run.json").unlink()
    commit(shop)
    asked(shop)
    shop.path.joinpath("prompts/further.md").unlink()
    _, shown = run(shop)
    assert asked(shop) == {"rope", "tent", "today"}
    assert "every case, for prompt prompts/further.md is gone" in shown


def test_a_file_on_which_checks_rest_asks_every_case(shop):
    shop.write("golden/long.json", '{"type": "string"}')
    shop.golden(
        GOLDEN.replace(
            "{all: [tent]}", "{all: [tent]}, json_schema: {schema: golden/long.json, record_only: true}"
        )
    )
    shop.run("--llm-repeats", "2", "--llm-baseline", "none", "--llm-out", "run.json")
    assert shop.pytester.run(Path(sys.executable).with_name("llmops"), "accept", "run.json", "--all").ret == 0
    (shop.path / "run.json").unlink()
    commit(shop)
    asked(shop)
    shop.write("golden/long.json", '{"type": "object"}')
    _, shown = run(shop)
    assert asked(shop) == {"rope", "tent", "today"}
    assert "every case, for golden/long.json, on which checks rest, changed" in shown


def test_a_variable_asks_every_case(shop, monkeypatch):
    monkeypatch.setenv("SHOP_RATE", "2")
    run(shop)
    assert asked(shop) == {"rope", "tent", "today"}


@pytest.mark.parametrize(
    ("before", "after", "cases"),
    [
        ("all: [tent]", "all: [tent, please]", {"tent"}),
        ("reference: long", "reference: short", {"rope"}),
        ("{id: tent,", "{id: tent, tags: [big],", {"tent"}),
        ("cases:", "cases:\n      - {id: lamp, input: lamp, checks: {keywords: {all: [lamp]}}}", {"lamp"}),
        ("data: [documents]", "data: [documents]\n    record: {never: [localhost]}", {"rope", "tent"}),
        ("checks: {polite: true}", "checks: {polite: true, regex: {pattern: please}}", {"rope", "tent"}),
    ],
)  # fmt: skip
def test_an_edited_case_is_asked(shop, before, after, cases):
    shop.golden(GOLDEN.replace(before, after))
    run(shop)
    assert asked(shop) == {*cases, "today"}


def test_an_edited_case_alone_is_asked(shop):
    shop.golden(GOLDEN.replace("all: [tent]", "all: [tent, please]"))
    _, shown = run(shop)
    assert asked(shop) == {"tent", "today"}
    assert "2 cases run; 1 taken" in shown


def test_an_edited_metric_scores_anew(shop):
    shop.write("polite.py", METRICS.replace("1.0", "0.0"))
    ran, _ = run(shop)
    assert asked(shop) == {"rope", "tent", "today"}
    assert ran.ret != 0


def test_a_case_that_failed_in_the_baseline_is_known_and_not_asked(shop):
    shop.golden(GOLDEN.replace("all: [tent]", "all: [lamp]"))
    shop.run("--llm-repeats", "2", "--llm-accept", "--llm-baseline", "none")
    shop.path.joinpath("golden/baseline.json").unlink()
    shop.run("--llm-repeats", "2", "--llm-accept")
    commit(shop)
    asked(shop)
    ran, _ = run(shop)
    assert asked(shop) == {"today"}
    assert ran.parseoutcomes() == {"passed": 4, "known": 1}


def test_a_revision_without_a_baseline_asks_every_case(shop):
    git(shop, "rm", "-q", "golden/baseline.json")
    commit(shop)
    _, shown = run(shop)
    assert asked(shop) == {"rope", "tent", "today"}
    assert "every case, for there is no baseline" in shown


def test_a_baseline_without_stamps_asks_every_case(shop):
    path = shop.path / "golden/baseline.json"
    text = path.read_text()
    assert '"stamped"' in text
    path.write_text(text.replace('"stamped": "code ', '"stamped": "'))
    commit(shop)
    _, shown = run(shop)
    assert asked(shop) == {"rope", "tent", "today"}
    assert "no stamps of code" in shown


def test_another_baseline_is_refused(shop):
    ran, shown = run(shop, "--llm-baseline", "golden/baseline.json")
    assert ran.ret == 4
    assert "its baseline is git:HEAD" in shown


def test_workers_take_them_too(shop):
    _, shown = run(shop, "-n", "2")
    assert asked(shop) == {"today"}
    assert "1 case run; 2 taken" in shown


def test_the_run_file_has_every_case(shop):
    run(shop, "--llm-out", "run.json")
    content = json.loads((shop.path / "run.json").read_text())
    assert len(content["results"]) == 3
    ran = shop.pytester.run(
        Path(sys.executable).with_name("llmops"), "compare", "golden/baseline.json", "run.json"
    )
    assert ran.ret == 0, ran.stdout.str()


def test_the_verb_does_so_too(shop):
    ran = shop.pytester.run(Path(sys.executable).with_name("llmops"), "run", "--affected", "HEAD")
    assert asked(shop) == {"today"}
    assert "2 taken from the baseline" in ran.stdout.str() + ran.stderr.str()


def test_a_bound_on_time_is_open_where_cases_were_taken_over(shop):
    shop.golden(GOLDEN.replace("suite: {", "suite: {latency_s: {p95: '<= 60'}, "))
    shop.run("--llm-repeats", "2", "--llm-accept")
    commit(shop)
    assert run(shop)[0].parseoutcomes() == {"passed": 5, "undecided": 1, "warnings": 1}
    shop.write("helper.py", "def say(question, prompt):\n    return f'{question}  {prompt}'\n")
    assert run(shop)[0].parseoutcomes() == {"passed": 6}


def test_what_was_taken_over_stays_so_in_the_run_file(shop):
    shop.golden(GOLDEN.replace("suite: {", "suite: {latency_s: {p95: '<= 60'}, "))
    shop.run("--llm-repeats", "2", "--llm-accept")
    commit(shop)
    run(shop, "--llm-out", "run.json")
    for command in (("judge", "run.json"), ("compare", "golden/baseline.json", "run.json")):
        ran = shop.pytester.run(Path(sys.executable).with_name("llmops"), *command)
        assert ran.ret == 2, ran.stdout.str()
        ran.stdout.fnmatch_lines(["*latency_s p95 <= 60*undecided*"])


def test_an_app_elsewhere_is_never_taken_for_unchanged(shop):
    shop.write("bot.sh", "cat > /dev/null; echo lamp\n")
    command = "app: {command: [bash, bot.sh], protocol: stdin}"
    shop.write(
        "golden/elsewhere.yaml",
        f"{command}\ncases:\n  - {{id: lamp, input: lamp, checks: {{keywords: {{all: [lamp]}}}}}}\n",
    )
    shop.run("--llm-repeats", "2", "--llm-accept")
    commit(shop)
    _, shown = run(shop)
    assert "affected since HEAD: 2 cases run; 2 taken from the baseline" in shown


def test_a_dry_run_does_not_know_what_a_change_touches(shop):
    ran, shown = run(shop, "--llm-dry-run")
    assert ran.ret == 4
    assert "imports no app" in shown
