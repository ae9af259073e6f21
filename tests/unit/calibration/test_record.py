"""The record of calibrations: written whole, read back, refused where it was broken."""

from __future__ import annotations

import json

import pytest

from pytest_llmops.calibration.record import CalibrationRecordError, load_calibrations, load_needed
from pytest_llmops.features.calibrate.agreement import Agreement, Cut
from pytest_llmops.features.calibrate.command import calibration_of, save_calibration
from pytest_llmops.records import Bound, Case, Check, Golden
from pytest_llmops.statistics.intervals import Measure

KAPPA = Measure(value=0.7, low=0.5, high=0.9, method="BCa")
NONE = Measure(value=None)
BOUND = Bound(comparison=">=", threshold=4.0)


def calibration(**changes):
    agreement = Agreement(
        rows=80,
        groups=40,
        auc=KAPPA,
        spearman=NONE,
        accuracy=KAPPA,
        kappa=KAPPA,
        quadratic_kappa=KAPPA,
        cut=None,
        best=None,
        cuts=(
            Cut(bound=BOUND, accuracy=KAPPA, kappa=KAPPA),
            Cut(bound=Bound(comparison=">=", threshold=5.0), accuracy=KAPPA, kappa=NONE),
            Cut(bound=Bound(comparison=">=", threshold=3.0), accuracy=KAPPA, kappa=Measure(value=0.0)),
        ),
    )
    given = {
        "metric": "judge",
        "label": "human",
        "unscored": 2,
        "labels_sha256": "0" * 64,
        "date": "2026-01-31",
    }
    return calibration_of(agreement, **{**given, **changes})


def test_what_is_saved_is_read_back_and_other_signatures_stay(tmp_path):
    path = tmp_path / "golden/calibration.json"

    save_calibration(path, "judge|v1|b", calibration())
    save_calibration(path, "judge|v1|a", calibration(label="other"))
    save_calibration(path, "judge|v1|b", calibration(date="2026-02-28"))

    found = load_calibrations(path)
    assert list(found) == ["judge|v1|a", "judge|v1|b"]
    assert found["judge|v1|b"] == calibration(date="2026-02-28")
    first, second = found["judge|v1|a"].cuts
    assert (first.bound, first.interval) == (BOUND, (0.5, 0.9))
    assert (second.threshold, second.interval) == (3.0, (-1.0, 1.0))  # nothing is known of it
    assert [each.name for each in path.parent.iterdir()] == ["calibration.json"]


def test_no_file_is_an_empty_record(tmp_path):
    assert load_calibrations(tmp_path / "calibration.json") == {}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda whole: whole.update(version=2), "version: is 2, this release reads 1"),
        (lambda whole: whole.pop("version"), "version: is missing"),
        (
            lambda whole: whole["calibrations"]["s"].pop("cuts"),
            "calibrations.s: cuts is missing",
        ),
        (
            lambda whole: whole["calibrations"]["s"]["cuts"][0].update(kappa="high"),
            "cuts[0].kappa: must be a number from -1 to 1",
        ),
        (lambda whole: whole["calibrations"]["s"].update(extra=1), "unknown key 'extra'"),
    ],
)
def test_a_broken_record_is_refused_and_left_as_it_is(tmp_path, edit, message):
    path = tmp_path / "calibration.json"
    save_calibration(path, "s", calibration())
    whole = json.loads(path.read_text())
    edit(whole)
    path.write_text(json.dumps(whole))

    with pytest.raises(CalibrationRecordError) as error:
        save_calibration(path, "t", calibration())

    assert message in str(error.value)
    assert "llmops calibrate" in str(error.value)
    assert json.loads(path.read_text()) == whole


@pytest.mark.parametrize("text", ["{", "[1]", "\xff", "[" * 100_000])
def test_what_is_no_record_is_refused(tmp_path, text):
    path = tmp_path / "calibration.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(CalibrationRecordError, match=r"calibration\.json: "):
        load_calibrations(path)


def test_the_record_is_only_read_where_a_check_may_ask_a_judge(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text("broken")

    def golden(metric):
        check = Check(metric=metric, comparison=">=", threshold=0.5)
        return Golden(path="g.yaml", cases=(Case(id="a", input="", checks=(check,)),))

    assert load_needed([golden("rouge_l")], path) == {}
    with pytest.raises(CalibrationRecordError):
        load_needed([golden("rouge_l"), golden("judge")], path)
