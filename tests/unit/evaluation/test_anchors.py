"""Stored outputs, scored in each run: where their scores move, the judge moved and not the app."""

from __future__ import annotations

import json
import random

import pytest

from pytest_llmops import compare, load_golden, run_golden
from pytest_llmops.cli import main
from pytest_llmops.errors import GoldenError
from pytest_llmops.gates.anchors import find_moves
from pytest_llmops.gates.baseline import accept
from pytest_llmops.golden.anchors import read_anchors
from pytest_llmops.records import CaseResult, Output, Score
from pytest_llmops.registry import register_metric
from pytest_llmops.reports.files.baseline_file import load_baseline, write_baseline
from pytest_llmops.reports.files.run_file import load_run, write_run
from pytest_llmops.settings import Settings
from tests.judge_server import JudgeServer
from tests.strict_metric import Strict

CASES = 20
GOLDEN = "version: 1\nanchors: anchors.jsonl\nsuite: {strictness: {max_drop: 0.01}}\ncases:\n" + "".join(
    f"  - {{id: c{case:02}, input: question {case}, checks: {{strictness: '>= 0.1'}}}}\n"
    for case in range(CASES)
)
ANCHORS = [{"id": f"a{at}", "input": "why", "output": f"stored {at}"} for at in range(8)]


class Strictness(Strict):
    """Scores an answer by its words, times how lenient it is today."""

    name = "strictness"

    def rate(self, text):
        known = 0.7 + random.Random(text.removesuffix(" worse")).random() / 5  # noqa: S311 - no secret
        return known * self.lenient * (0.9 if text.endswith(" worse") else 1.0)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(Strictness, "lenient", 1.0)
    register_metric("strictness", Strictness)
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden/shop.yaml").write_text(GOLDEN)
    (tmp_path / "anchors.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ANCHORS))

    def run(*, lenient=1.0, worse=False):
        monkeypatch.setattr(Strictness, "lenient", lenient)
        golden = load_golden(tmp_path / "golden/shop.yaml", root=tmp_path)

        def app(question):
            return f"{question} worse" if worse else question

        return run_golden(golden, app, settings=Settings(root=tmp_path), repeats=3)

    return run


def test_a_judge_that_is_stricter_today_is_undecided_with_that_cause_and_not_red(run, tmp_path):
    base = run()
    assert len(base.anchors) == 8
    write_run(base, tmp_path / "run.json")
    assert load_run(tmp_path / "run.json") == base
    write_baseline(accept(None, base).baseline, tmp_path / "baseline.json")
    base = load_baseline(tmp_path / "baseline.json")
    assert len(base.anchors) == 8

    stricter = compare(base, run(lenient=0.98))

    assert stricter.outcome == "undecided"
    assert "the judge moved: 8 stored outputs scored" in stricter.verdicts[0].reason
    assert compare(base, run()).outcome == "passed"


def test_without_anchors_it_would_be_red_and_a_drop_of_the_app_stays_red(run):
    base, stricter = run(), run(lenient=0.98)
    bare = type(base)(signature=base.signature, results=base.results, suite=base.suite)
    assert compare(bare, stricter).outcome == "regressed"
    both = compare(base, run(lenient=0.98, worse=True))
    assert both.outcome == "regressed"
    assert "without that the drop is" in both.verdicts[0].advice


@pytest.mark.parametrize(
    ("gains", "by", "off"),
    [
        ([-0.04, 0.02, -0.03, 0.01], -0.01, 0.0468),  # 3.182 standard errors of .0147
        ([0.0, 0.0, 0.0], None, None),
        ([-0.5], None, None),  # of one anchor nobody knows how much others would move
        ([-0.02] * 3, -0.02, 0.0),
    ],
)
def test_how_far_the_judge_moved_is_known_as_far_as_so_many_anchors_tell(gains, by, off):
    def score(values):
        return [
            CaseResult(
                case=f"shop.yaml#anchors::a{at}",
                input_hash="",
                outputs=(Output(text="stored"),),
                scores=(Score(metric="rouge_l", value=value),),
            )
            for at, value in enumerate(values)
        ]

    moves = find_moves(score([0.6] * len(gains)), score([0.6 + gain for gain in gains]))
    found = moves.get("shop.yaml", {}).get("rouge_l")
    assert (found and pytest.approx(found.by)) == by
    assert (found and pytest.approx(found.half_width, abs=1e-4)) == off


def test_a_drop_that_a_noisy_judge_may_have_made_is_undecided(run, monkeypatch):
    base = run()
    true = Strictness.rate
    moved = {"stored 0": 0.9, "stored 1": 0.9, "stored 2": 0.95, "stored 3": 1.05}  # of eight
    moved |= dict.fromkeys([f"stored {at}" for at in range(4, 8)], 1.0)
    monkeypatch.setattr(Strictness, "rate", lambda self, text: true(self, text) * moved.get(text, 0.98))

    compared = compare(base, run())

    assert compared.outcome == "undecided"
    assert "the judge may have moved: 8 stored outputs scored 0.0" in compared.verdicts[0].reason
    assert compared.verdicts[0].advice == "add anchors: these are too few to tell"


def test_a_judge_that_is_more_lenient_hides_no_drop(run):
    comparison = compare(run(), run(lenient=1.1, worse=True))
    assert comparison.outcome == "undecided"
    assert "better than in the baseline" in comparison.verdicts[0].reason
    assert "hides a drop of 0." in comparison.verdicts[0].advice


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a", "input": "x"}\n', r"anchors\.jsonl:1: output is missing"),
        ('\n{"id": "a", "input": "x", "outptu": "y"}\n', r":2: unknown key 'outptu'\. Did you mean 'output'"),
        ('{"id": "a", "input": "x", "output": "y"}\n' * 2, r":2: id: 'a' occurs twice"),
        ("[]\n", r":1: must be a mapping, not \[\]"),
        ("{\n", r":1: not valid JSON"),
        ("", "holds no row"),
    ],
)
def test_a_broken_row_is_one_line_with_its_place(tmp_path, text, message):
    path = tmp_path / "anchors.jsonl"
    path.write_text(text)
    with pytest.raises(GoldenError, match=message):
        read_anchors(path, "anchors.jsonl")


def test_all_mistakes_of_a_file_are_reported_at_once(tmp_path):
    path = tmp_path / "anchors.jsonl"
    path.write_text(
        '{"id": "a", "input": "x", "output": "y"}\n{"id": "a", "input": null, "output": "y", "foo": 1}\n'
        '{"id": "b"}\n{\n{"id": "b", "input": "x", "output": 1}\n'
    )
    with pytest.raises(GoldenError) as caught:
        read_anchors(path, "f")
    assert [line.partition(", not")[0] for line in str(caught.value).splitlines()] == [
        "f:2: unknown key 'foo'",
        "f:2: input: must be what the app was asked",
        "f:2: id: 'a' occurs twice",
        "f:3: input is missing",
        "f:3: output is missing",
        "f:4: not valid JSON: expecting property name enclosed in double quotes",
        "f:5: output: must be text",
        "f:5: id: 'b' occurs twice",
    ]


def test_a_file_that_is_not_there_stops_collection(tmp_path):
    (tmp_path / "golden.yaml").write_text(GOLDEN.replace("strictness", "bleu"))
    with pytest.raises(GoldenError, match=r"golden\.yaml:2: .*anchors\.jsonl"):
        load_golden(tmp_path / "golden.yaml", root=tmp_path)


def test_a_judge_is_called_for_anchors_in_each_run_and_never_without_calls(tmp_path):
    (tmp_path / "anchors.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ANCHORS[:2]))
    with JudgeServer() as server:
        (tmp_path / "golden.yaml").write_text(
            f"version: 1\njudge: {{model: small, base_url: '{server.url}'}}\nanchors: anchors.jsonl\n"
            "checks: {judge: {rubric: default, min: 2}}\ncases: [{id: a, input: hello}]\n"
        )
        golden = load_golden(tmp_path / "golden.yaml", root=tmp_path)
        counts = []
        for record in ("new", "new", "none"):
            before = len(server.requests)
            made = run_golden(golden, str, settings=Settings(root=tmp_path, record=record))
            assert not [failure for result in made.results for failure in result.failures]
            counts.append((len(server.requests) - before, len(made.anchors)))
    assert counts == [(3, 2), (2, 2), (0, 0)]


def test_a_summary_says_that_the_anchors_were_not_scored(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "anchored_bot.py").write_text("def answer(question):\n    return question\n")
    (tmp_path / "anchors.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ANCHORS[:2]))
    (tmp_path / "golden").mkdir()
    with JudgeServer() as server:
        (tmp_path / "golden/shop.yaml").write_text(
            f"app: anchored_bot:answer\njudge: {{model: small, base_url: '{server.url}'}}\n"
            "anchors: anchors.jsonl\nchecks: {judge: {rubric: default, min: 2}, bleu: '>= 1'}\n"
            "cases: [{id: a, input: hello, reference: hello}]\n"
        )
        shown = []
        for record in ("new", "none"):
            assert main(["run", "--record", record]) == 0
            shown.append("golden/shop.yaml: judge did not score the anchors" in capsys.readouterr().out)
    assert shown == [False, True]
