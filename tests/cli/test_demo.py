"""`llmops demo`: the gate catches a regression, by the commands that it shows."""

from __future__ import annotations

import pytest

from pytest_llmops.features.demo import command
from tests.command import main
from tests.report_page import read_data


@pytest.mark.usefixtures("warm")
def test_a_shorter_prompt_is_caught_and_named_as_the_cause(tmp_path, capfd):
    folder = tmp_path / "shop"

    assert main(["demo", str(folder), "--no-open"]) == 0

    shown = capfd.readouterr().out
    assert "since the baseline: prompt prompts/answer.md: answer 1.0.0 → 1.1.0" in shown
    assert (folder / "report.html").as_uri() in shown
    data = read_data(folder / "report.html")
    assert data["causes"] == ["prompt prompts/answer.md: answer 1.0.0 → 1.1.0"]
    cases = {case["id"].partition("::")[2]: case for case in data["cases"]}
    assert (cases["refund"]["status"], cases["refund"]["dropped"]) == (
        "passed",
        True,
    )  # by the suite's mean alone
    case = cases["express"]
    assert (case["status"], case["dropped"]) == ("regressed", False)
    assert data["actions"][-1]["command"] == "llmops accept --all run.json"
    assert case["outputs"][0]["text"] == "Express delivery costs £5.95."
    assert case["before"]["outputs"][0]["text"].endswith("if you order before noon.")


def test_it_says_where_it_does_not_work(tmp_path, monkeypatch, capfd):
    for name in command._STARTS:
        monkeypatch.setitem(command._STARTS, name, ("-S", "-c", "raise SystemExit(1)"))

    assert main(["demo", str(tmp_path / "shop"), "--no-open"]) == 3
    assert "the demonstration did not work" in capfd.readouterr().err


def test_it_changes_no_folder_that_is_there(tmp_path, capsys):
    assert main(["demo", str(tmp_path)]) == 4
    assert f"{tmp_path} is there already; name a new folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["file/shop"])
def test_a_folder_that_cannot_be_made_is_one_message(tmp_path, below, capsys):
    (tmp_path / "file").touch()
    assert main(["demo", str(tmp_path / below)]) == 4
    assert "cannot be made: Not a directory" in capsys.readouterr().err
