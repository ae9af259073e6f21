"""`llmops choose` where it refuses: no text of a file acts on the terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.command import main
from tests.unit.gates.gate_records import check_of, result_of, store_run

HOSTILE = "\x1b]0;pwned\x07\x1b[31m"
ESCAPED = "\\x1b]0;pwned\\x07\\x1b[31m"


def store(name: str, *, case: str = "c", metric: str = "m", version: str = "v1") -> str:
    scored = "exact_match" if metric == "m" else metric
    made = result_of(case, texts=["yes"], checks=[check_of(scored)] if metric == "m" else (), **{scored: 1.0})
    score = replace(made.scores[0], signature=f"{scored}|{version}")
    store_run(name, [replace(made, input_hash="asks", scores=(score,))])
    return name


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ({"case": HOSTILE}, 3),
        ({"version": HOSTILE}, 3),
        ({"metric": f"n{HOSTILE}"}, 4),  # no check decides: what was scored is listed
    ],
)
def test_texts_of_run_files(texts, code, capsys):
    files = [store("a.json", **texts), store("b.json", **{"version": "v2", **texts})]
    if "version" in texts:
        store("b.json", version="v2")
    assert main(["choose", *files]) == code
    error = capsys.readouterr().err
    assert ESCAPED in error
    assert error.removesuffix("\n").isprintable()


@pytest.mark.parametrize("name", [f"{HOSTILE}.json", "two\nlines.json"])
def test_names_of_run_files(name, capsys):
    assert main(["choose", name, store("a.json")]) == 3
    assert capsys.readouterr().err.removesuffix("\n").isprintable()


@pytest.mark.parametrize("content", ["filename,is_best\n0.parquet,False\n", b"\xff"])
def test_names_of_an_autorag_trial(content, capsys):
    node = Path("0") / f"line{HOSTILE}"
    node.mkdir(parents=True)
    (node / "summary.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    (node.parent / "summary.csv").write_text("node_type\nretrieval\n")
    assert main(["choose", "--autorag", "0"]) == 3
    error = capsys.readouterr().err
    assert ESCAPED in error
    assert error.removesuffix("\n").isprintable()
