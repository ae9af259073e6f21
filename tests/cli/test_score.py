"""`llmops score`: one score a line, whole files, exit codes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.command import main

ROWS = [
    {"id": "a", "output": "within 60 days", "reference": "within 60 days"},
    {"output": "on Sundays", "reference": "within 60 days"},
]


@pytest.fixture(autouse=True)
def _project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    write("rows.jsonl", ROWS)


def write(name, rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_score_a_line_in_the_order_of_the_rows(capsys):
    assert main(["score", "exact_match", "rows.jsonl"]) == 0

    shown = capsys.readouterr()
    first, second = map(json.loads, shown.out.splitlines())
    assert list(first) == ["id", "metric", "value", "reason", "evidence", "signature"]
    assert (first["id"], first["metric"], first["value"]) == ("a", "exact_match", 1.0)
    assert (second["id"], second["value"], bool(second["reason"])) == ("2", 0.0, True)
    assert shown.err == "2 of 2 rows scored by exact_match; mean 0.5, from 0 to 1\n"


def test_out_is_written_whole_and_the_terminal_stays_free(capsys):
    assert main(["score", "exact_match", "rows.jsonl", "--out", "deep/scores.jsonl"]) == 0

    assert capsys.readouterr().out == ""
    assert len(Path("deep/scores.jsonl").read_text().splitlines()) == 2
    assert [path.name for path in Path("deep").iterdir()] == ["scores.jsonl"]


def test_an_id_that_stands_twice_is_refused(capsys):
    write("rows.jsonl", [ROWS[0], ROWS[1], {**ROWS[0], "output": "never"}])

    assert main(["score", "exact_match", "rows.jsonl", "--out", "scores.jsonl"]) == 4

    assert capsys.readouterr().err == (
        "rows.jsonl:3: has the id 'a' as rows.jsonl:1 has; give it another, or pass --repeats where rows of "
        "one id are repeats of a case\n"
    )
    assert not Path("scores.jsonl").exists()


def test_rows_of_one_id_may_be_repeats_of_a_case(capsys):
    write("rows.jsonl", [ROWS[0], {"id": "b", **ROWS[1]}, {**ROWS[0], "output": "never"}])

    assert main(["score", "exact_match", "rows.jsonl", "--repeats"]) == 0

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["id"], line["repeat"], line["value"]) for line in lines] == [
        ("a", 0, 1.0),
        ("b", 0, 0.0),
        ("a", 1, 0.0),
    ]


@pytest.mark.parametrize("field", ["input", "reference", "references", "relevant"])
def test_rows_of_one_id_that_ask_something_else_are_no_repeats(capsys, field):
    value = {"input": "another", "reference": "another", "references": ["another"], "relevant": ["z"]}[field]
    write("rows.jsonl", [ROWS[0], {**ROWS[0], field: value}])

    assert main(["score", "exact_match", "rows.jsonl", "--repeats"]) == 4

    assert f"rows.jsonl:2: has the id 'a' as rows.jsonl:1 has, and another {field}; repeats" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("out", ["rows.jsonl", "deep/../rows.jsonl", "link.jsonl"])
def test_the_file_that_is_read_is_never_written(capsys, out):
    Path("deep").mkdir()
    Path("link.jsonl").symlink_to("rows.jsonl")
    before = Path("rows.jsonl").read_bytes()

    assert main(["score", "exact_match", "rows.jsonl", "--out", out]) == 4

    assert capsys.readouterr().err == f"--out {out} is the file that is read; write to another\n"
    assert Path("rows.jsonl").read_bytes() == before


def test_a_row_without_a_score_is_told_and_exits_3(capsys):
    write("rows.jsonl", [*ROWS, *[{"id": f"x{at}", "output": "x"} for at in range(4)]])

    assert main(["score", "exact_match", "rows.jsonl"]) == 3

    shown = capsys.readouterr()
    last = json.loads(shown.out.splitlines()[-1])
    assert list(last) == ["id", "metric", "error"]
    assert "has no reference" in last["error"]
    assert "2 of 6 rows scored" in shown.err
    assert "rows.jsonl:3: not scored: the case has no reference" in shown.err
    assert "and 1 more row not scored" in shown.err


def test_rows_may_come_from_the_standard_input(capsys, monkeypatch):
    data = io.BytesIO(Path("rows.jsonl").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))

    assert main(["score", "exact_match", "-"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_options_are_json_or_plain_words(capsys):
    write("rows.jsonl", [{"output": "The 60 days.", "reference": "60 days"}])

    assert main(["score", "exact_match", "rows.jsonl", "--option", "normalize=false"]) == 0
    assert json.loads(capsys.readouterr().out)["value"] == 0.0
    assert main(["score", "keywords", "rows.jsonl", "--option", 'all=["60 days"]']) == 0
    assert json.loads(capsys.readouterr().out)["value"] == 1.0
    assert main(["score", "exact_match", "rows.jsonl", "--option", "normalize=never"]) == 4


def test_broken_rows_stop_all_and_leave_an_old_file(capsys):
    Path("scores.jsonl").write_text("old")
    write("rows.jsonl", [*ROWS, {"output": 3}, {"outputs": []}])

    assert main(["score", "exact_match", "rows.jsonl", "--out", "scores.jsonl"]) == 4

    told = capsys.readouterr().err
    assert "rows.jsonl:3: output cannot be read" in told
    assert "rows.jsonl:4: outputs must be a list of two" in told
    assert Path("scores.jsonl").read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exact_mach", "rows.jsonl"], "Did you mean 'exact_match'?"),
        (["exact_match", "row.jsonl"], "there is no such file. Did you mean 'rows.jsonl'?"),
        (["exact_match", "latin.jsonl"], "latin.jsonl: byte 12 is no UTF-8"),
        (["exact_match", "empty.jsonl"], "empty.jsonl: holds no row"),
        (["exact_match", "rows.jsonl", "--record", "never"], "--record must be one of none, once, new, all"),
        (["exact_match", "."], "Is a directory"),
        (["exact_match", "twice.jsonl"], "twice.jsonl:1: holds 'output' twice; keep one"),
        (["exact_match", "borrowed.jsonl"], "borrowed.jsonl:2: has no id, and its number is the id of"),
        *[
            ([name, "row.jsonl"], f"{name} is measured in a run, not read off a row")
            for name in ("latency_s", "cost_usd", "tokens")
        ],
    ],
)
def test_a_mistake_is_a_line(capsys, arguments, message):
    Path("latin.jsonl").write_bytes(b'{"output": "\xe4"}')
    Path("empty.jsonl").write_text("\n")
    Path("twice.jsonl").write_text('{"output": "a", "output": "b"}')
    write("borrowed.jsonl", [{"id": 2, "output": "a"}, {"output": "b"}])

    assert main(["score", *arguments]) == 4
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_a_secret_in_an_error_is_masked(capsys, monkeypatch):
    def fail(*_):
        raise ValueError("the key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD was refused")

    monkeypatch.setattr("rapidfuzz.distance.LCSseq.similarity", fail)

    assert main(["score", "rouge_l", "rows.jsonl"]) == 3
    shown = capsys.readouterr()
    assert "abcdefghijklmnop" not in shown.out + shown.err
