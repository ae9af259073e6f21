"""A golden file with a rival, as a user sees it: items, table, run file, workers."""

from __future__ import annotations

import json

import pytest

from pytest_llmops import compare, load_run
from tests.command import main
from tests.plugin.varying import outcomes_of

APP = """
    import os, time
    from pathlib import Path

    def answer(question):
        log(f"app {question}")
        return f"good answer to {question}" if int(question[-2:]) < GOOD else "no"

    def base(question):
        log(f"base {question}")
        return f"good answer to {question}" if int(question[-2:]) < BASE else "no"

    def log(line):
        with Path("asked.log").open("a") as file:
            file.write(line + "\\n")
"""


def app_text(good: int = 12, base: int = 4) -> str:
    return APP.replace("GOOD", str(good)).replace("BASE", str(base))


def golden_text(
    suite: str = "{}", rival: str = "rival: capitals:base\n", cases: int = 12, checks: str = "true"
):
    lines = "".join(
        f"  - {{id: case-{at:02}, input: question {at:02}, reference: good answer to question {at:02}}}\n"
        for at in range(cases)
    )
    return f"""version: 1\napp: capitals:answer\n{rival}checks: {{exact_match: {checks}}}
suite: {suite}\ncases:\n{lines}"""


@pytest.fixture
def shop(project):
    project.app(app_text())
    project.golden(golden_text())
    return project


def run_file(project):
    return load_run(project.path / ".llmops/runs/last.json")


def table(lines) -> list[str]:
    """The title and the lines below it, single spaced."""
    lines = [" ".join(line.split()) for line in lines]
    start = next(at for at, line in enumerate(lines) if " against its rival " in line)
    return [line for line in lines[start:] if line and not line.startswith(("=", "12 passed"))]


def test_a_table_shows_both(shop):
    result = shop.run_here()

    assert result.ret == 0
    assert outcomes_of(result)["passed"] == 12
    title, head, row = table(result.outlines)[:3]
    assert title == "golden/capitals.yaml: capitals:answer against its rival capitals:base"
    assert head.startswith("metric cases rival app difference 95% interval win rate 95% interval")
    assert row.startswith("exact_match 12 0.3333 1 +0.667 +0.333 … +0.917 83% 55% … 95% 8, 4, 0")
    assert sorted(shop.asked()) == sorted(
        f"{who} question {at:02}" for at in range(12) for who in ("app", "base")
    )


def test_without_a_rival_there_is_no_table(shop):
    shop.golden(golden_text(rival=""))

    result = shop.run_here()

    assert not [line for line in result.outlines if " against its rival " in line]


@pytest.mark.parametrize(
    ("base", "asked", "outcome"),
    [(4, 0.2, "passed"), (9, 0.2, "undecided"), (12, 0.2, "failed"), (12, 0, "passed"), (12, -0.2, "passed")],
)
def test_a_gain_decides_the_suite_item_alone(shop, base, asked, outcome):
    shop.app(app_text(base=base))
    shop.golden(golden_text(f"{{exact_match: {{mean: '>= 1', min_gain: {asked}}}}}"))

    result = shop.run_here("-rA")

    counts = outcomes_of(result)
    assert (counts["passed"], counts[outcome]) == ((13, 13) if outcome == "passed" else (12, 1))
    assert result.ret == (1 if outcome == "failed" else 0)
    result.stdout.fnmatch_lines([f"exact_match gain >= {asked:g}*{outcome}"])
    if outcome == "failed":
        result.stdout.fnmatch_lines(
            ["*failed     exact_match gain >= 0.2: 0; the app has 1 and its rival 1*"]
        )
    if outcome == "undecided":
        result.stdout.fnmatch_lines(
            ["*GoldenWarning: undecided: exact_match gain >= 0.2: *such cases would tell"]
        )


def test_a_worse_app_fails_the_gain_and_no_threshold(shop):
    shop.app(app_text(good=4, base=12))
    shop.golden(golden_text("{exact_match: {min_gain: 0.1}}", checks="{record_only: true}"))

    result = shop.run_here()

    assert outcomes_of(result) == {"passed": 12, "failed": 1, "regressed": 0, "undecided": 0, "error": 0}
    assert result.ret == 1


@pytest.mark.parametrize(
    ("suite", "errors"), [("{}", 0), ("{exact_match: {mean: '>= 1', min_gain: 0.1}}", 1)]
)
def test_a_rival_that_raises_reddens_no_case(shop, suite, errors):
    shop.app(
        app_text().replace(
            'log(f"base {question}")', 'if "07" in question: raise ValueError("\\x1b[31mboom")'
        )
    )
    shop.golden(golden_text(suite))

    result = shop.run_here()

    assert outcomes_of(result) == {"passed": 12, "failed": 0, "regressed": 0, "undecided": 0, "error": errors}
    assert result.ret == errors
    _, _, row, note = table(result.outlines)[:4]
    assert row.startswith("exact_match 11 of 12")
    case = "golden/capitals.yaml::case-07"
    assert (
        note
        == f"capitals:base has no exact_match in 1 case ({case}): the rival raised ValueError: \\x1b[31mboom"
    )
    if errors:
        result.stdout.fnmatch_lines(
            ["*error      exact_match gain >= 0.1; *case-07): the rival raised ValueError*"]
        )


def test_a_gain_without_a_rival_stops_before_anything_is_asked(shop):
    shop.golden(golden_text("{exact_match: {min_gain: 0.1}}", rival=""))

    result = shop.run_here()

    assert result.ret == 4
    assert any(
        "capitals.yaml:4: exact_match: min_gain compares with a rival" in line for line in result.errlines
    )
    assert shop.asked() == []


def test_the_app_may_be_a_fixture(shop):
    shop.golden(golden_text("{exact_match: {min_gain: 0.1}}").replace("app: capitals:answer\n", ""))
    shop.write("conftest.py", """
        import pytest

        @pytest.fixture(scope="session")
        def llm_app():
            return lambda question: f"good answer to {question}"
    """)  # fmt: skip

    result = shop.run_here()

    assert outcomes_of(result)["passed"] == 13
    assert table(result.outlines)[0].endswith(": llm_app against its rival capitals:base")


def test_seconds_and_tokens_are_compared_as_well(shop):
    shop.golden(golden_text("{latency_s: {p95: '<= 60', min_gain: -60}, tokens: {min_gain: 1}}"))
    counted = '{"text": "no", "usage": {"prompt_tokens": %s}}'
    shop.app(f"def answer(q): return {counted % 5}\ndef base(q): return {counted % 8}\n")
    shop.golden(
        (shop.path / "golden/capitals.yaml")
        .read_text()
        .replace("exact_match: true", "exact_match: {record_only: true}")
    )

    result = shop.run_here()

    assert outcomes_of(result)["passed"] == 14
    rows = {line.split(" ")[0]: line for line in table(result.outlines)}
    assert rows["tokens"].startswith("tokens (less is better) 12 8 5 -3 -3 … -3 100%")
    assert "latency_s" in rows


def test_workers_find_the_same(shop):
    shop.app(app_text(base=9))
    shop.golden(golden_text("{exact_match: {mean: '>= 1', min_gain: 0.2}}"))
    alone = shop.run_here()
    expected = run_file(shop)
    (shop.path / "asked.log").unlink()

    together = shop.run("-n", "2")

    assert outcomes_of(together) == outcomes_of(alone)
    assert table(together.outlines)[:3] == table(alone.outlines)[:3]
    assert len(shop.asked()) == 24
    found = run_file(shop)
    for one, other in zip(expected.results, found.results, strict=True):
        assert (one.case, one.scores) == (other.case, other.scores)
        assert (one.rival.scores, one.rival.outputs[0].text) == (
            other.rival.scores,
            other.rival.outputs[0].text,
        )


def test_a_rival_that_ends_its_worker_costs_no_case(shop):
    shop.app(app_text().replace('log(f"base {question}")', 'if "07" in question: os.kill(os.getpid(), 9)'))

    result = shop.run("-n", "2", "--llm-concurrency", "1")

    assert outcomes_of(result) == {"passed": 12, "failed": 0, "regressed": 0, "undecided": 0, "error": 0}
    assert (
        "case-07): a worker that called it with the app ended the process 2 times"
        in table(result.outlines)[3]
    )


def test_a_run_file_tells_the_same_table_again(shop, capsys):
    shop.golden(golden_text("{exact_match: {mean: '>= 1', min_gain: 0.2}}"))

    result = shop.run_here("--llm-out", "run.json")

    run = load_run(shop.path / "run.json")
    capsys.readouterr()
    main(["compare", "run.json", "run.json"])
    assert table(capsys.readouterr().out.splitlines())[:3] == table(result.outlines)[:3]
    verdicts = {verdict.check: verdict for verdict in compare(run, run).verdicts}
    assert verdicts["exact_match gain >= 0.2"].outcome == "passed"
    assert set(verdicts) == {"exact_match gain >= 0.2", "exact_match mean >= 1"}
    document = json.loads((shop.path / "run.json").read_text())
    assert document["suite"] == {"exact_match": {"mean": ">= 1", "min_gain": 0.2}}
    assert document["results"][11]["rival"]["outputs"][0]["text"] == "no"


def test_a_baseline_is_the_apps_alone(shop):
    shop.run_here("--llm-accept")
    assert "rival" not in (shop.path / "golden/baseline.json").read_text().replace("rival:golden", "")

    shop.app(app_text(base=12))
    result = shop.run_here()

    assert outcomes_of(result) == {"passed": 13, "failed": 0, "regressed": 0, "undecided": 0, "error": 0}


HOSTILE = "</td>|<script>`x`\\x1b[2J\\u202e"


def test_nothing_that_a_rival_says_acts_on_terminal_or_page(shop, capsys):
    hostile = f'raise ValueError("{HOSTILE}")'
    shop.app(app_text().replace('log(f"base {question}")', hostile))
    shop.golden(golden_text("{exact_match: {min_gain: 0.1}}"))

    result = shop.run_here()

    assert "\x1b[2J" not in result.stdout.str()
    assert "\u202e" not in result.stdout.str()
    result.stdout.fnmatch_lines(["*the rival raised ValueError: </td>|<script>`x`\\x1b[[]2J\\u202e"])
    capsys.readouterr()
    main(["compare", *[str(shop.path / ".llmops/runs/last.json")] * 2, "--format", "markdown"])
    page = capsys.readouterr().out
    assert "\x1b" not in page
    assert "<script" not in page
    assert "\\|&lt;script\\>\\`x\\`" in page
    assert "| exact\\_match | 0 of 12 |   |   |   |   |   |   |   |" in page
