"""`llmops accept --release`: a baseline that stays, so that drops in small steps add up and are found."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.command import main
from tests.unit.gates.gate_records import result_of, store_run, suite_check

BASELINE, RELEASE = Path("golden/baseline.json"), Path("golden/baseline.release.json")
COMPARE = ["compare", str(BASELINE), "run.json"]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)


def record(rate: float, seed: int = 0, cases: int = 40, repeats: int = 10, signature: str = "v1") -> None:
    """A run of an app that passes so many of its answers."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    passed = round(rate * repeats * cases)
    held = [1.0] * passed + [0.0] * (repeats * cases - passed)
    draw.shuffle(held)
    texts = [f"{seed} {repeat}" for repeat in range(repeats)]
    results = [
        result_of(str(case), texts=texts, bleu=[held.pop() for _ in range(repeats)]) for case in range(cases)
    ]
    store_run("run.json", results, suite_check("bleu", max_drop=0.05), **{"golden:golden/shop.yaml": "ab"})
    if signature != "v1":
        run = Path("run.json")
        run.write_text(run.read_text().replace("bleu|v1", f"bleu|{signature}"))


def walk(*release: str) -> list[int]:
    """The exit codes of ten changes that lose two points each, every one of them accepted."""
    record(0.95)
    assert main(["accept", "run.json", *release]) == 0
    codes = []
    for step in range(1, 11):
        record(0.95 - 0.02 * step, seed=step)
        codes.append(main(COMPARE))
        assert main(["accept", "run.json", "--all"]) == 0
    return codes


def test_ten_small_drops_add_up_against_a_release_and_only_there(capsys):
    assert set(walk()) == {0}
    assert "no release baseline beside baseline.json" in capsys.readouterr().out
    BASELINE.unlink()

    codes = walk("--release", "1.4")

    assert codes[0] == 0
    assert codes[-4:] == [1, 1, 1, 1]
    told = capsys.readouterr().out
    assert "bleu mean, max_drop 0.05, since release 1.4" in told
    assert "since release 1.4: bleu 0.95 → 0.75" in told


def test_a_release_stays_until_another_is_named(capsys):
    record(0.95)
    main(["accept", "run.json", "--release", "1.4"])
    before = RELEASE.read_bytes()
    record(0.7, seed=1)
    assert main(COMPARE) == 1
    Path("released_app.py").write_text("answer = str.upper\n")
    golden = Path("golden/shop.yaml")
    golden.write_text(
        "app: released_app:answer\nchecks: {keywords: {all: [HI]}}\ncases: [{id: new, input: hi}]\n"
    )
    main(["run", "--accept"])
    assert "golden/shop.yaml::new" in BASELINE.read_text()
    golden.unlink()
    main(["accept", "run.json", "--all", "--prune"])
    assert RELEASE.read_bytes() == before
    assert main(COMPARE) == 1

    assert main(["accept", "run.json", "--release", "1.5"]) == 0

    assert main(COMPARE) == 0
    assert f"{RELEASE}: release 1.5, in place of release 1.4\n" in capsys.readouterr().out


def test_no_run_is_accepted_into_a_release(capsys):
    record(0.95)
    main(["accept", "run.json", "--release", "1.4"])
    before = RELEASE.read_bytes()

    assert main(["accept", "run.json", "--all", "--baseline", str(RELEASE)]) == 4

    assert f"accept into {BASELINE.absolute()}, then:" in capsys.readouterr().err
    assert RELEASE.read_bytes() == before
    RELEASE.write_text(RELEASE.read_text().replace('"release": "1.4",', ""))
    assert main(COMPARE) == 3
    assert "release: is missing" in capsys.readouterr().err


def test_an_improvement_since_the_release_and_cases_that_came_and_went_are_no_drop():
    record(0.8)
    main(["accept", "run.json", "--release"])
    record(0.9, seed=1, cases=20)
    main(["accept", "run.json", "--all", "--prune"])
    assert main(COMPARE) == 0


def test_a_release_that_was_scored_otherwise_is_an_error_and_no_silence(capsys):
    record(0.95)
    main(["accept", "run.json", "--release", "1.4"])
    record(0.95, seed=1, signature="v2")
    main(["accept", "run.json", "--all"])

    assert main(COMPARE) == 3

    assert "since release 1.4" in capsys.readouterr().out


def test_a_broken_release_is_one_line(capsys):
    record(0.95)
    main(["accept", "run.json", "--release", "1.4"])
    RELEASE.write_text(RELEASE.read_text().replace('"release": "1.4"', '"release": 3'))

    assert main(COMPARE) == 3

    (line,) = capsys.readouterr().err.splitlines()
    assert "baseline.release.json: line 4: release: must be text, not 3" in line


def test_a_release_that_is_not_beside_the_baseline_is_told(capsys):
    record(0.95)
    main(["accept", "run.json", "--release", "1.4"])
    Path("elsewhere.json").write_bytes(BASELINE.read_bytes())
    capsys.readouterr()

    assert main(["compare", "elsewhere.json", "run.json"]) == 0
    assert (
        f"compared with no release: {RELEASE.resolve()} is not beside elsewhere.json"
        in capsys.readouterr().out
    )

    Path("released_app.py").write_text("answer = str.upper\n")
    Path("golden/shop.yaml").write_text(
        "app: released_app:answer\nchecks: {keywords: {all: [HI]}}\ncases: [{id: new, input: hi}]\n"
    )
    main(["run", "--accept"])
    Path("elsewhere.json").write_bytes(BASELINE.read_bytes())
    capsys.readouterr()
    assert main(["run", "--baseline", "elsewhere.json"]) == 0
    assert "compared with no release: " in capsys.readouterr().out
    assert main(["run"]) == 0
    assert "compared with no release: " not in capsys.readouterr().out


def test_a_metric_of_the_project_is_compared_with_the_release(capsys):
    """Its scale is known by its file, which no golden file that is read here names."""
    Path("pyproject.toml").write_text('[tool.pytest-llmops]\nmetrics = ["release_metrics.py"]\n')
    Path("release_metrics.py").write_text(
        "from pytest_llmops import metric\n@metric('own_words')\ndef own_words(output):\n    return 1.0\n"
    )
    for seed, rate in enumerate((0.9, 0.5)):
        record(rate, seed=seed)
        run = Path("run.json")
        run.write_text(run.read_text().replace("bleu", "own_words"))
        main(["accept", "run.json", *(["--all"] if seed else ["--release", "1.0"])])

    assert "since release 1.0: own_words 0.9 → 0.5" in capsys.readouterr().out
