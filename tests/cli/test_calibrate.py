"""`llmops calibrate`: from a file with labels to the report, the exit code and the record."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from threading import Lock

import pytest

from tests.cli.judging import FAMILY, PlantedJudge, make_pairs
from tests.command import main
from tests.openai_server import OpenAIServer, last_user_text

LABELLED = ["rouge_l", "labels.jsonl", "--label", "right"]
JUDGE = ["--judge", "gpt-4o-mini", "--option", "rubric=support", "--option", "criteria=resolution"]
JUDGED = ["judge", *LABELLED[1:], *JUDGE]
ANSWERS = {True: "You may return boots within 60 days.", False: "We are closed on Sundays."}


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return tmp_path


@pytest.fixture
def server(monkeypatch):
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def write(name, rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def labelled(count=60, unlabelled=0):
    """Answers that a person called right or wrong, and a few where the words mislead."""
    rows = []
    for at in range(count + unlabelled):
        good = at % 2 == 0
        as_json = ANSWERS[good if at % 7 else not good]
        row = {"id": at, "output": as_json, "reference": ANSWERS[True], "document": at // 3, "right": good}
        rows.append(row if at < count else {**row, "right": None})
    return rows


def calibrate(capsys, *arguments):
    capsys.readouterr()
    code = main(["calibrate", *arguments, "--format", "json"])
    shown = capsys.readouterr()
    return code, json.loads(shown.out) if shown.out else {}, shown.err


@pytest.mark.usefixtures("project")
def test_agreement_of_a_metric_with_labels(capsys):
    write("labels.jsonl", labelled(60, unlabelled=40))

    code, as_json, _ = calibrate(capsys, *LABELLED, "--max-error", "0.4", "--group", "document")

    assert code == 0
    assert (as_json["n"], as_json["groups"], as_json["unlabelled"], as_json["unscored"]) == (60, 20, 40, [])
    assert as_json["labels"] == "30 good, 30 bad"
    for name in ("auc", "accuracy", "kappa", "quadratic_kappa", "spearman"):
        low, high = as_json[name]["interval"]
        assert low < as_json[name]["value"] < high
        assert as_json[name]["method"] == "BCa"
    assert as_json["accuracy"]["value"] == pytest.approx(1 - 9 / 60)
    assert as_json["error_threshold"]["threshold"] == 1.0
    assert as_json["ece"]["mapping"] == "none"
    rate = as_json["pass_rate"]
    assert rate["rows"] == 100
    assert rate["prediction_powered"]["interval"][0] > rate["labelled"]["interval"][0]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("form", "first"), [("text", "rouge_l against right: 30"), ("markdown", "**rouge\\_l**")]
)
def test_reports_for_people(capsys, form, first):
    write("labels.jsonl", labelled())

    code = main(["calibrate", *LABELLED, "--format", form, "--out", "r.txt"])

    assert code == 0
    assert capsys.readouterr().out == ""
    text = Path("r.txt").read_text()
    assert text.startswith(first)
    for measure in ("AUC", "accuracy at >= ", "best threshold", "kappa", "Spearman", "ECE"):
        assert measure.replace(">= ", "") in text.replace("\\", "").replace(">= ", "")


@pytest.mark.usefixtures("project")
def test_stored_scores_give_the_same_and_score_nothing(capsys):
    write("labels.jsonl", labelled())
    assert main(["score", "rouge_l", "labels.jsonl", "--out", "scores.jsonl"]) == 0

    live = calibrate(capsys, *LABELLED)
    stored = calibrate(capsys, *LABELLED, "--scores", "scores.jsonl")

    assert live == stored


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", ["pairwise", "judge", "reference_grade", "faithfulness"])
def test_stored_scores_need_no_judge(capsys, name):
    """Nobody is asked: the scores may come from another tool, and there may be no judge at all."""
    answers = {"outputs": ["a", "b"]} if name == "pairwise" else {"output": "a"}
    write("labels.jsonl", [{"id": str(at), **answers, "right": at % 2} for at in range(30)])
    write(
        "scores.jsonl",
        [{"id": str(at), "value": 1.0 if at % 3 else 0.5 + (name == "judge")} for at in range(30)],
    )

    options = ["--option", "by=judge"] if name == "faithfulness" else []
    code, as_json, error = calibrate(
        capsys, name, "labels.jsonl", "--label", "right", "--scores", "scores.jsonl", *options
    )

    assert (code, error) == (0, "")
    assert as_json["n"] == 30


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("labels", "place"),
    [
        (["1", "NaN"], "labels.jsonl:2: is no JSON: NaN is no JSON number"),
        (["1", "1e400"], "labels.jsonl:2: right is Infinity, which is not a finite number"),
        (["1", '"nan"'], "labels.jsonl:2: right is nan, which is not a finite number"),
        (["1", "-Infinity"], "labels.jsonl:2: is no JSON: -Infinity is no JSON number"),
        (["1", "9" * 400], "labels.jsonl:2: right is 999"),
        (["3", "true"], "labels.jsonl:2: right is true, and labels.jsonl:1 has the number 3"),
    ],
)
def test_labels_that_are_no_finite_numbers_are_refused(capsys, labels, place):
    rows = [f'{{"output": "a", "reference": "a", "right": {label}}}' for label in [*labels, *"10" * 5]]
    Path("labels.jsonl").write_text("\n".join(rows))

    assert main(["calibrate", *LABELLED]) == 4

    assert place in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_the_threshold_of_each_error_is_shown_with_its_interval(capsys):
    write("labels.jsonl", labelled())

    _, as_json, _ = calibrate(capsys, *LABELLED)
    assert main(["calibrate", *LABELLED]) == 0
    shown = capsys.readouterr().out
    assert main(["calibrate", *LABELLED, "--format", "markdown"]) == 0
    table = capsys.readouterr().out

    assert [(each["error"], each["at_most"]) for each in as_json["errors"]] == [
        (error, rate) for error in ("bad_passed", "good_refused") for rate in (0.01, 0.05, 0.1, 0.2, 0.3)
    ]
    first = as_json["errors"][-1]
    low, high = first["interval"]
    assert low <= first["threshold"] <= high
    assert first["bad_passed"]["interval"][0] <= first["bad_passed"]["value"]
    assert f"0.3 of good refused       >= {first['threshold']:.4g}" in shown
    assert "| error kept on these rows | threshold |" in table


@pytest.mark.usefixtures("project")
def test_rows_that_got_no_score_are_counted_and_told(capsys):
    rows = labelled()
    write("labels.jsonl", [*rows[:-2], {**rows[-2], "reference": None}, {**rows[-1], "reference": None}])

    code, as_json, error = calibrate(capsys, *LABELLED)

    assert code == 3
    assert [each["id"] for each in as_json["unscored"]] == ["58", "59"]
    assert as_json["n"] == 58
    assert "labels.jsonl:59: not scored: the case has no reference" in error


@pytest.mark.usefixtures("project")
def test_a_file_of_which_nothing_could_be_scored_tells_why(capsys):
    write("labels.jsonl", [{**row, "reference": None} for row in labelled(6)])

    code, as_json, error = calibrate(capsys, *LABELLED)

    assert (code, as_json) == (3, {})
    assert "labels.jsonl:1: not scored: the case has no reference" in error
    assert "0 of 6 rows with a label and a score" in error


@pytest.mark.usefixtures("project")
def test_stored_scores_that_lack_a_row(capsys):
    write("labels.jsonl", labelled(20))
    lines = [{"id": str(at), "metric": "rouge_l", "value": 0.5 + at % 2 / 4} for at in range(19)]
    write("scores.jsonl", [*lines[:-1], {"id": "18", "metric": "rouge_l", "error": "the judge said nothing"}])

    code, as_json, _ = calibrate(capsys, *LABELLED, "--scores", "scores.jsonl")

    assert code == 3
    assert as_json["unscored"] == [
        {"id": "18", "error": "the judge said nothing"},
        {"id": "19", "error": "scores.jsonl holds no score of it"},
    ]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["rouge_l", "labels.jsonl", "--label", "rihgt"],
            "in 'rihgt'. Did you mean 'right'?",
        ),
        (["rogue_l", "labels.jsonl", "--label", "right"], "Did you mean 'rouge_l'?"),
        (
            ["rouge_l", "lables.jsonl", "--label", "right"],
            "Did you mean 'labels.jsonl'?",
        ),
        (["rouge_l", "labels.jsonl", "--label", "reference"], "Say which mean good: --positive"),
        ([*LABELLED, "--threshold", "x"], "--threshold takes a number"),
        ([*LABELLED, "--max-error", "5"], "a share between 0 and 1"),
        ([*LABELLED, "--group", "docment"], "Did you mean 'document'?"),
        (
            [*LABELLED, "--scores", "labels.jsonl"],
            "labels.jsonl:1: value must be",
        ),
        ([*LABELLED, "--option", "k"], "--option takes NAME=JSON"),
        ([*LABELLED, "--repeats", "0"], "--repeats takes a whole number"),
        ([*LABELLED, "--repeats", "2"], "--repeats: rouge_l scores a row alike each time; take it out"),
        ([*JUDGED, "--repeats", "2", "--scores", "s.jsonl"], "--scores calls none"),
        ([*JUDGED, "--repeats", "2", "--save"], "take --repeats out"),
        ([*LABELLED, "--threshold", "7"], "--threshold 7: rouge_l goes from 0 to 1"),
        (
            [*LABELLED, "--scores", "far.jsonl"],
            "far.jsonl:2: value 77 is no score of rouge_l, which goes from 0 to 1",
        ),
        (["tokens", *LABELLED[1:]], "tokens is measured in a run"),
        ([*LABELLED, "--out", "labels.jsonl"], "--out labels.jsonl is the file that is read"),
        ([*LABELLED, "--scores", "far.jsonl", "--out", "./far.jsonl"], "--out ./far.jsonl is the file"),
        (["rouge_l", "same.jsonl", "--label", "right"], "same.jsonl:9: has the id '0' as same.jsonl:1 has"),
        (["rouge_l", "broken.jsonl", "--label", "right"], "broken.jsonl:2: is no JSON"),
    ],
)
def test_a_mistake_is_a_line(capsys, arguments, message):
    write("labels.jsonl", labelled(8))
    Path("broken.jsonl").write_text('{"output": "a"}\n{"outp')
    write("far.jsonl", [{"id": str(at), "value": 77.0 * (at == 1)} for at in range(8)])
    write("same.jsonl", [*labelled(8), labelled(1)[0]])
    before = {path: path.read_bytes() for path in Path().glob("*.jsonl")}

    assert main(["calibrate", *arguments]) == 4
    assert {path: path.read_bytes() for path in Path().glob("*.jsonl")} == before
    as_json = capsys.readouterr().err
    assert message in as_json
    assert "Traceback" not in as_json


def pairwise(capsys, *options):
    return calibrate(capsys, "pairwise", "pairs.jsonl", "--label", "label", "--judge", FAMILY, *options)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("lean", ["none", "position", "length", "self_preference"])
def test_a_planted_judge_is_found_through_its_endpoint_and_an_honest_one_is_not_accused(capsys, server, lean):
    rows = make_pairs(200, seed=7)
    write("pairs.jsonl", rows)
    server.answer = PlantedJudge(rows, lean)

    code, as_json, _ = pairwise(capsys)

    assert code == 0
    assert as_json["n"] == 200
    assert as_json["bias"]["families"] == ["gpt"]
    assert as_json["bias"]["accused"] == ([] if lean == "none" else [lean])
    assert as_json["bias"]["untested"] == []
    assert as_json["auc"]["interval"][0] > 0.7
    assert not list(Path().glob("golden/**/*"))


@pytest.mark.usefixtures("project")
def test_asking_again_shows_how_often_a_judge_turns_and_replays_what_was_asked(capsys, server):
    rows = make_pairs(12, seed=3)
    write("pairs.jsonl", rows)
    judge = server.answer = PlantedJudge(rows)

    _, as_json, _ = pairwise(capsys, "--repeats", "2")

    assert as_json["bias"]["repeat_flips"] == 0.0
    assert len(judge.asked) == 48
    _, again, _ = pairwise(capsys, "--repeats", "2", "--record", "none")
    assert again == as_json
    assert len(judge.asked) == 48


@pytest.mark.usefixtures("project")
def test_model_calls_about_labels_are_never_kept_among_committed_ones(capsys, server, monkeypatch):
    monkeypatch.setattr("pytest_llmops.recorder.identity.is_loopback", lambda _: False)
    rows = make_pairs(4, seed=3)
    write("pairs.jsonl", rows)
    server.answer = PlantedJudge(rows)

    pairwise(capsys)

    assert list(Path(".llmops/cassettes").rglob("*.yaml"))
    assert not Path("golden").exists()


@pytest.mark.usefixtures("project")
def test_save_records_the_signature_that_a_golden_run_will_meet(capsys):
    write("labels.jsonl", labelled())

    code, as_json, error = calibrate(capsys, *LABELLED, "--save")

    assert code == 0
    (signature,) = as_json["signatures"]
    found = json.loads(Path("golden/calibration.json").read_text())["calibrations"]
    assert list(found) == [signature]
    known = found[signature]
    assert (known["metric"], known["label"]) == ("rouge_l", "right")
    assert (known["rows"], known["unscored"]) == (60, 0)
    cut = known["cuts"][0]
    assert (cut["kappa"], cut["interval"]) == (as_json["kappa"]["value"], as_json["kappa"]["interval"])
    assert "golden/calibration.json" in error


@pytest.mark.usefixtures("project")
def test_scores_made_in_two_ways_are_told_and_not_saved(capsys):
    write("labels.jsonl", labelled(20))
    write(
        "scores.jsonl",
        [
            {"id": str(at), "metric": "rouge_l", "value": 0.3 + at % 2 / 2, "signature": f"rouge_l|v{at % 2}"}
            for at in range(20)
        ],
    )
    arguments = [*LABELLED, "--scores", "scores.jsonl"]

    assert "more ways than one" in calibrate(capsys, *arguments)[1]["notes"][-1]
    code, _, error = calibrate(capsys, *arguments, "--save")

    assert code == 4
    assert "nothing was saved: the scores have 2 signatures" in error
    assert not Path("golden").exists()


GOLDEN = """
version: 1
app: kappa_app:answer
judge: {model: gpt-4o-mini}
cases:
  - id: a
    input: How long?
    checks: {judge: {rubric: support, criteria: resolution, min: 4, min_kappa: 0.5}}
"""


def grade(request):
    """A judge that agrees with people: what speaks of days is a 5."""
    answer = last_user_text(request).partition("[answer ")[2]
    score = 5 if "60 days" in answer else 1
    verdict = {"reason": "It tells.", "evidence": "days", "score": score}
    return json.dumps({"resolution": verdict})


@pytest.fixture
def judged(server, project):
    """A project with a check that asks for agreement, and labels."""
    (project / "golden").mkdir()
    (project / "golden/shop.yaml").write_text(GOLDEN)
    (project / "kappa_app.py").write_text(f"def answer(question):\n    return {ANSWERS[True]!r}\n")
    server.answer = grade
    write("labels.jsonl", labelled(160))
    yield
    sys.modules.pop("kappa_app", None)


@pytest.mark.usefixtures("judged")
def test_a_judge_check_passes_once_the_command_that_it_names_was_run(capsys):
    assert main(["run"]) == 0
    as_json = capsys.readouterr().out
    assert "undecided  judge >= 4" in as_json
    (command,) = re.findall("llmops (calibrate .*)", as_json)

    assert main(shlex.split(command.replace("LABELS", "labels").replace("FIELD", "right"))) == 0
    assert main(["run"]) == 0

    assert "1 passed, 0 failed, 0 regressed, 0 undecided" in capsys.readouterr().out


class Wavering:
    """
    What speaks of days is a 5, other words a 2; every third row turns, of the first sort across the bound
    of 4, and one row is never answered.
    """

    def __init__(self):
        self.turns = {}
        self.lock = Lock()

    def __call__(self, request):
        answer = last_user_text(request).partition("[answer ")[2]
        row = int(re.search(r"\(row (\d+)\)", answer)[1])
        with self.lock:
            turn = self.turns[row] = self.turns.get(row, 0) + 1
        if row == 11 or (row == 10 and turn > 1):
            return "I would rather not."
        high = 5 if "60 days" in answer else 2
        score = high - 2 if row % 3 == 0 and turn > 2 else high
        return json.dumps({"resolution": {"reason": "It tells.", "evidence": "row", "score": max(1, score)}})


@pytest.mark.usefixtures("project")
def test_every_judge_that_is_asked_again_is_told_to_turn_and_scores_the_mean(capsys, server):
    rows = [{**row, "output": f"{row['output']} (row {row['id']})"} for row in labelled(12)]
    write("labels.jsonl", rows)
    server.answer = Wavering()

    code, as_json, _ = calibrate(capsys, *JUDGED, "--repeats", "4", "--option", 'judge={"attempts": 1}')

    high = [row["id"] for row in rows if "60 days" in row["output"]]
    turning = [0, 3, 6, 9]
    crossing = [at for at in turning if at in high]
    assert (code, [each["id"] for each in as_json["unscored"]], as_json["n"]) == (3, ["11"], 11)
    assert as_json["repeats"] == {
        "asked": 4,
        "rows": 10,
        "differing": len(turning) / 10,
        "crossing": len(crossing) / 10,
        "comparison": ">=",
        "threshold": 4,
        "failed": 3,
    }
    passing = [at for at in high if at not in crossing]  # 5, 5, 3, 3 is a mean of 4 and passes as well
    assert as_json["pass_rate"]["judged"] == pytest.approx((len(passing) + len(crossing)) / 11)


@pytest.mark.usefixtures("project")
def test_stored_repeats_are_means_that_are_told_and_not_saved(capsys):
    write("labels.jsonl", labelled(20))
    lines = [
        {"id": str(at), "value": value, "signature": "s"}
        for at in range(20)
        for value in ((0.3, 0.9) if at < 5 else (0.7, 0.7))
    ]
    write("scores.jsonl", lines)
    arguments = [*LABELLED, "--scores", "scores.jsonl", "--threshold", "0.6"]

    code, as_json, _ = calibrate(capsys, *arguments)

    assert code == 0
    assert (as_json["repeats"]["differing"], as_json["repeats"]["crossing"]) == (0.25, 0.25)
    assert as_json["pass_rate"]["judged"] == 1.0  # of means, where every fourth first score fails
    assert main(["calibrate", *arguments]) == 0
    assert (
        "asked 2 times, the score of a row is the mean: 25.0% of 20 rows got scores that differ, "
        "25.0% on both sides of >= 0.6\n"
    ) in capsys.readouterr().out
    assert calibrate(capsys, *arguments, "--save")[0] == 4
    assert not Path("golden").exists()


@pytest.mark.usefixtures("judged")
def test_a_judge_that_agrees_too_little_stays_undecided(capsys):
    write("labels.jsonl", [{**row, "right": at % 3 == 0} for at, row in enumerate(labelled(160))])
    assert main(["calibrate", *JUDGED, "--save"]) == 0

    assert main(["run"]) == 0

    assert "min_kappa 0.5: kappa with people is" in capsys.readouterr().out
