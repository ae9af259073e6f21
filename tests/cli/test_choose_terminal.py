"""`llmops choose` where it refuses: no text of a file acts on the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops.records import CaseResult, Check, Output, Run, Score
from pytest_llmops.reports.files.run_file import write_run
from tests.command import main

HOSTILE = "\x1b]0;pwned\x07\x1b[31m"
ESCAPED = "\\x1b]0;pwned\\x07\\x1b[31m"


def store(name: str, *, case: str = "c", metric: str = "m", version: str = "v1") -> str:
    check = Check(metric="exact_match" if metric == "m" else metric, comparison=">=", threshold=1.0)
    result = CaseResult(
        case=f"golden/shop.yaml::{case}",
        input_hash="asks",
        outputs=(Output(text="yes"),),
        scores=(Score(metric=check.metric, value=1.0, signature=f"{check.metric}|{version}"),),
        checks=(check,) if metric == "m" else (),
    )
    write_run(Run(signature={}, results=(result,)), Path(name))
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
