"""The mean of a judge is corrected by people's labels, and a bound on it is about the corrected mean."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import main
from tests.judge_server import JudgeServer, graded
from tests.openai_server import last_user_text

pytestmark = pytest.mark.usefixtures("warm")

BOT = """
def answer(question):
    return f"This answer has the quality {question.split()[0]}."
"""
QUALITIES = [5, 4, 3, 2, 4, 3, 5, 2, 3, 4] * 3
CASES = "\n".join(f"  - {{id: c{at}, input: '{of} of {at}?'}}" for at, of in enumerate(QUALITIES))
OPTIONS = ["--option", "rubric=default", "--option", "criteria=accuracy"]


def lenient(request):
    """A judge that gives one more than people do."""
    (quality,) = re.findall(r"has the quality (\d)", last_user_text(request))
    return graded(min(5, int(quality) + 1))


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with JudgeServer(verdict=lenient) as running:
        yield running


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, server):
    (tmp_path / "graded_bot.py").write_text(BOT)
    (tmp_path / "golden").mkdir()
    (tmp_path / "pyproject.toml").write_text(
        f"[tool.pytest-llmops]\nundecided = 'fail'\njudge = {{model = 'small', base_url = '{server.url}'}}\n"
    )
    monkeypatch.chdir(tmp_path)
    write_golden('mean: ">= 4"')
    return tmp_path


def write_golden(bound: str) -> None:
    Path("golden/shop.yaml").write_text(
        f"app: graded_bot:answer\nsuite:\n  judge: {{criteria: accuracy, {bound}}}\ncases:\n{CASES}\n"
    )


def calibrate(labels: list[float], *options: str, field: str = "people") -> int:
    rows = [
        {"id": str(at), "input": "How?", "output": f"It has the quality {at % 4 + 1}. {at}", field: label}
        for at, label in enumerate(labels)
    ]
    Path("labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return main(["calibrate", "judge", "labels.jsonl", "--label", field, "--save", *OPTIONS, *options])


def run(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["run", *options])
    return code, capsys.readouterr().out


def test_a_lenient_judge_passes_until_there_are_labels(capsys):
    assert run(capsys)[0] == 0
    assert calibrate([at % 4 + 1 for at in range(40)]) == 0
    assert "means of these scores in a suite are corrected by 40 labels" in capsys.readouterr().err

    code, shown = run(capsys)

    assert code == 1
    assert re.search(r"^check +observed +by labels +outcome$", shown, re.MULTILINE)
    assert re.search(r"^judge mean >= 4 +4.3 +3.3 \(\d[.\d]* … 3.\d+\) +failed$", shown, re.MULTILINE)
    assert "by 40 labels (people) the mean is 3.3 (" in shown
    assert "uncorrected 4.3" in shown


def test_a_strict_judge_is_corrected_too(capsys, server):
    server.verdict = lambda request: graded(max(1, lenient(request)["accuracy"]["score"] - 2))
    write_golden('mean: ">= 2.8"')
    assert run(capsys)[0] == 1

    calibrate([at % 4 + 1 for at in range(80)])

    code, shown = run(capsys)
    assert code == 0
    assert re.search(r"^judge mean >= 2.8 +2.3 +3.05 \(", shown, re.MULTILINE)


def test_few_labels_decide_nothing(capsys):
    write_golden('mean: ">= 3.6"')
    calibrate([1, 2, 3, 4])

    code, shown = run(capsys)

    assert code == 1
    assert "undecided  judge mean >= 3.6: 4.3; by only 4 labels (people) the mean is 3.3 (" in shown
    assert "takes more labels or more cases to tell" in shown


def test_labels_of_another_judge_are_not_used_and_this_is_said(capsys):
    calibrate([at % 4 + 1 for at in range(40)], "--judge", "large")

    code, shown = run(capsys)

    assert code == 0
    assert "judge mean >= 4: not corrected by labels: they were judged otherwise (model, prompt," in shown


def test_labels_of_another_scale_correct_nothing(capsys):
    calibrate([at % 4 > 1 for at in range(40)], field="good")

    assert "the labels are no ratings on the scale of judge, from 1 to 5, so they correct" in (
        capsys.readouterr().err
    )
    assert run(capsys)[0] == 0


def test_compare_corrects_as_the_run_does(capsys):
    calibrate([at % 4 + 1 for at in range(40)])
    run(capsys, "--out", "run.json", "--accept")

    assert main(["compare", "golden/baseline.json", "run.json", "--format", "json"]) == 0
    (verdict,) = json.loads(capsys.readouterr().out)["verdicts"]
    assert verdict["observed"] == pytest.approx(4.3)
    assert verdict["corrected"][0] == pytest.approx(3.3)
    assert verdict["known"]


def test_a_record_without_labels_is_read_as_before(capsys):
    calibrate([at % 4 + 1 for at in range(40)])
    path = Path("golden/calibration.json")
    record = json.loads(path.read_text())
    (calibration,) = record["calibrations"].values()
    assert len(calibration["labelled"]["scores"]) == 40
    del calibration["labelled"]
    path.write_text(json.dumps(record))

    assert run(capsys)[0] == 0
    calibration["labelled"] = {"scores": [1, 2], "labels": [1]}
    path.write_text(json.dumps(record))
    assert main(["run"]) == 4
    assert "as many scores as labels" in capsys.readouterr().err
