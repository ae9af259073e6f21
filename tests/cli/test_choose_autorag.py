"""`llmops choose --autorag`: the folder of a trial as AutoRAG 0.3 writes it."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.command import main

COLUMNS = ("filename", "module_name", "module_params", "execution_time")


def write_node(
    folder: Path,
    tables: Sequence[Mapping[str, Sequence[float]]],
    *,
    best: int = 0,
    prefix: str = "",
    stored: bool = True,
) -> None:
    """As `save_and_summary` and the nodes of AutoRAG 0.3.27 write: one table a module, and their means."""
    folder.mkdir(parents=True)
    metrics = list(tables[0])
    with (folder / "summary.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *(f"{prefix}{metric}" for metric in metrics), "is_best"])
        for at, table in enumerate(tables):
            means = [sum(filter(math.isfinite, table[metric])) / len(table[metric]) for metric in metrics]
            writer.writerow([f"{at}.parquet", "Bm25", "{'top_k': 5}", 0.25, *means, at == best])
            if stored:
                write_table(folder / f"{at}.parquet", table)
            else:
                write_table(folder / f"{at}.parquet", {"prompts": [0.0]})


def write_table(path: Path, table: Mapping[str, Sequence[float]]) -> None:
    path.write_text(json.dumps(dict(table)))


class Table:
    """The part of pyarrow that is used, on tables which are JSON: most of these tests need no pyarrow."""

    def __init__(self, path: Path) -> None:
        self.columns = json.loads(path.read_text())
        self.schema_arrow = [SimpleNamespace(name=name, type=None) for name in self.columns]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self, columns):
        return SimpleNamespace(to_pydict=lambda: {name: self.columns[name] for name in columns})


@pytest.fixture(autouse=True)
def _tables_are_json(monkeypatch, tmp_path, request):
    monkeypatch.chdir(tmp_path)
    if "real" not in request.node.name:
        types = SimpleNamespace(is_floating=lambda _: True)
        parquet = SimpleNamespace(ParquetFile=Table)
        stand_in = SimpleNamespace(types=types, ArrowException=ValueError, parquet=parquet)
        monkeypatch.setitem(sys.modules, "pyarrow", stand_in)
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)


def write_trial(nodes: Mapping[str, Sequence[Mapping[str, Sequence[float]]]], **more) -> None:
    for name, tables in nodes.items():
        write_node(Path("0") / name, tables, **more)
    for folder in {Path("0"), *(Path("0") / name.partition("/")[0] for name in nodes)}:
        (folder / "summary.csv").write_text("node_type,best_module_filename\nretrieval,0.parquet\n")


def judge(capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, list[str]]:
    code = main(["choose", "--autorag", "0", *more])
    return code, capsys.readouterr().out.splitlines()


def f1(*values: float) -> dict[str, list[float]]:
    return {"retrieval_f1": list(values)}


THREE = f1(1, 1, 1, 0, 0, *[1] * 15)
TWO = f1(0, 0, 0, 1, 1, *[1] * 15)
LINE = "line/lexical_retrieval"


def test_the_best_by_three_against_two_questions_is_no_winner(capsys):
    write_trial({LINE: [THREE, TWO]})
    code, shown = judge(capsys)
    assert code == 2
    assert shown[1].split()[:3] == [LINE, "2", "20"]
    assert shown[1].endswith("no")
    assert (
        f"{LINE}: no winner: best Bm25 (0.parquet) (retrieval_f1 0.9), then Bm25 (1.parquet) "
        "(retrieval_f1 0.85); Bm25 (0.parquet) against Bm25 (1.parquet): 3 cases against 2, p = 1; about"
    ) in shown[3]
    assert shown[-1] == "winners: 0 of 1 node with a choice"


def test_nodes_are_judged_each_for_itself(capsys):
    good, poor = f1(*[1.0] * 12), f1(*[0.0] * 12)
    write_trial({LINE: [good, poor], "line/passage_reranker": [poor, good], "post/generator": [good]})
    code, shown = judge(capsys, "--out", "nodes.json")
    assert code == 2  # the reranker's is_best is the poorer one, by a threshold for instance
    assert [line.split()[-1] for line in shown[1:4]] == ["yes", "no", "compared"]
    assert "line/passage_reranker: winner: Bm25 (1.parquet), better than Bm25 (0.parquet)" in "\n".join(shown)
    assert "post/generator: not compared: it has one module alone" in shown
    written = json.loads(Path("nodes.json").read_text())
    assert [each["confirmed"] for each in written["nodes"]] == [True, False, False]
    assert written["nodes"][0]["choice"]["winner"] == "Bm25 (0.parquet)"


@pytest.mark.parametrize("folder", ["0", "0/line", f"0/{LINE}", "."])
def test_a_trial_a_line_or_a_node_may_be_named(folder, capsys):
    write_trial({LINE: [f1(*[1.0] * 12), f1(*[0.0] * 12)]})
    assert main(["choose", "--autorag", folder]) == 0
    assert capsys.readouterr().out.endswith("winners: 1 of 1 node with a choice\n")


def test_means_may_have_the_name_of_their_node(capsys):
    good, poor = f1(*[1.0] * 12), f1(*[0.0] * 12)
    write_trial({"line/passage_reranker": [good, poor]}, prefix="passage_reranker_")
    assert judge(capsys)[0] == 0


def test_means_alone_confirm_nothing(capsys):
    good, poor = f1(*[1.0] * 12), f1(*[0.0] * 12)
    write_trial({"line/prompt_maker": [good, poor]}, prefix="prompt_maker_", stored=False)
    code, shown = judge(capsys)
    assert code == 3
    assert "line/prompt_maker: not compared: AutoRAG kept the means of its modules" in "\n".join(shown)
    write_node(Path(f"0/{LINE}"), [good, poor])
    assert judge(capsys)[0] == 2


def test_questions_that_one_module_has_no_score_for_keep_it_from_winning(capsys):
    good, poor = f1(*[1.0] * 11, math.nan), f1(*[0.0] * 12)
    write_trial({LINE: [good, poor]})
    code, shown = judge(capsys)
    assert code == 3
    assert shown[1].endswith("error")
    assert "had errors in 1 case (question 12), which are left out: it has no retrieval_f1" in "\n".join(
        shown
    )
    assert f"{LINE}: error: Bm25 (0.parquet) is ahead, but had errors" in "\n".join(shown)


@pytest.mark.parametrize(
    ("nodes", "code", "cells"),
    [
        ([("good", "unscored")], 3, ["error"]),
        ([("unscored", "unscored")], 3, ["error"]),
        ([("good", "poor"), ("good", "unscored")], 3, ["yes", "error"]),
        ([("poor", "good"), ("good", "unscored")], 3, ["no", "error"]),
        ([("good", "poor"), ("poor", "good")], 2, ["yes", "no"]),
    ],
)
def test_an_error_in_one_node_is_the_outcome(nodes, code, cells, capsys):
    tables = {"good": f1(*[1.0] * 12), "poor": f1(*[0.0] * 12), "unscored": f1(*[math.nan] * 12)}
    write_trial({f"line/{at}": [tables[name] for name in names] for at, names in enumerate(nodes)})
    found, shown = judge(capsys)
    assert found == code
    assert [line.split()[-1] for line in shown[1 : 1 + len(nodes)]] == cells


LACKS = "is left out: no scores by question of Bm25 (1.parquet)"


@pytest.mark.parametrize(
    ("mine", "theirs", "code", "said"),
    [
        ("ab", "a", 0, [f"b {LACKS}"]),
        ("abc", "a", 0, [f"b {LACKS}", f"c {LACKS}"]),
        ("ab", "", 3, [f"no metric has scores of all modules; a {LACKS}; b {LACKS}"]),
        ("ab", "ab", 0, []),
        ("", "", 3, ["AutoRAG kept the means of its modules and no scores by question"]),
    ],
)
def test_metrics_that_a_module_lacks_are_named(mine, theirs, code, said, capsys):
    metrics = {*mine, *theirs} or {"a"}
    write_trial({LINE: [dict.fromkeys(sorted(metrics), [1.0] * 12)] * 2})
    for at, kept in enumerate((mine, theirs)):
        write_table(Path(f"0/{LINE}/{at}.parquet"), dict.fromkeys(kept, [float(not at)] * 12))
    found, shown = judge(capsys, "--out", "nodes.json")
    assert found == code
    lines = [line.replace("not compared: ", "") for line in shown if line.startswith(f"{LINE}: ")]
    assert [line for line in lines if ": winner:" not in line] == [f"{LINE}: {each}" for each in said]
    (node,) = json.loads(Path("nodes.json").read_text())["nodes"]
    assert ([node["reason"]] if node["reason"] else node["choice"]["notes"]) == said


def test_questions_that_no_module_has_a_score_for_do_not_count(capsys):
    good, poor = f1(*[1.0] * 11, math.nan), f1(*[0.0] * 11, math.nan)
    write_trial({LINE: [good, poor]})
    assert judge(capsys)[0] == 0


@pytest.mark.parametrize(
    ("gone", "named", "said"),
    [
        (["0/summary.csv"], "0", "0"),
        (["0/summary.csv"], ".", "0"),
        (["0/summary.csv", "0/line/summary.csv"], "0", "0/line"),
        (["0/line/summary.csv"], "0/line", "0/line"),
        (["0/summary.csv", "0/line/summary.csv", f"0/{LINE}/summary.csv"], "0", "0"),
        (["0/summary.csv"], "0/line", None),
        (["0/summary.csv", "0/line/summary.csv"], f"0/{LINE}", None),
    ],
)
def test_a_trial_that_was_broken_off_is_3_and_its_nodes_may_be_named(gone, named, said, capsys):
    write_trial({LINE: [f1(*[1.0] * 12), f1(*[0.0] * 12)]})
    Path("0/config.yaml").touch()
    for path in gone:
        Path(path).unlink()
    assert main(["choose", "--autorag", named]) == (3 if said else 0)
    error = capsys.readouterr().err
    assert (f"{Path.cwd() / said}: AutoRAG did not finish it" in error) if said else not error


def test_a_node_whose_best_is_not_marked_was_broken_off(capsys):
    write_trial({LINE: [f1(*[1.0] * 12), f1(*[0.0] * 12)], "line/passage_filter": [f1(1), f1(0)]})
    with Path("0/line/passage_filter/summary.csv").open("w") as file:
        file.write("filename,module_name,module_params,execution_time,retrieval_f1\n0.parquet,A,{},0.1,1.0\n")
    assert main(["choose", "--autorag", "0"]) == 3
    assert "0/line/passage_filter: AutoRAG did not finish it" in capsys.readouterr().err


def test_the_module_that_autorag_took_is_compared_by_each_metric(capsys):
    """It has the higher mean of all metrics, and is behind in most of them."""
    taken = {"a": [1.0] * 6, "b": [0.5, *[1.0] * 5], "c": [0.5, *[1.0] * 5]}
    other = {"a": [0.0, 0.0, *[1.0] * 4], "b": [1.0] * 6, "c": [1.0] * 6}
    write_trial({LINE: [taken, other]})
    code, shown = judge(capsys)
    assert code == 2
    assert f"{LINE}: no winner: first over all metrics Bm25 (1.parquet) (a 0.6667)" in shown[3]
    assert shown[4] == (
        f"{LINE}: AutoRAG's best Bm25 (0.parquet) against Bm25 (1.parquet), questions better to worse: "
        "a 2 to 0, p = 0.5; b 0 to 1, p = 1; c 0 to 1, p = 1"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("nothing", "no node of AutoRAG is in it"),
        ("two best", "marks 2 modules as is_best"),
        ("outside", "the filename '../../secret.parquet' is none of AutoRAG's"),
        ("shorter", "unlike numbers of questions: [11, 12]"),
        ("bytes", "cannot be read"),
    ],
)
def test_what_autorag_did_not_write_is_3(change, said, capsys):
    if change != "nothing":
        write_trial({LINE: [f1(*[1.0] * 12), f1(*[0.0] * (11 if change == "shorter" else 12))]})
    summary = Path(f"0/{LINE}/summary.csv")
    if change == "two best":
        summary.write_text(summary.read_text().replace("False", "True"))
    if change == "outside":
        summary.write_text(summary.read_text().replace("1.parquet", "../../secret.parquet"))
    if change == "bytes":
        summary.write_bytes(b"\xff\xfe\x00")
    assert main(["choose", "--autorag", "0"]) == 3
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("a:b --autorag 0", "--autorag takes no candidates or metrics"),
        ("--autorag 0 --metric m", "--autorag takes no candidates or metrics"),
        (
            "--autorag 0 --repeats 2",
            "--repeats is for running candidates, and an AutoRAG trial is finished",
        ),
    ],
)
def test_flags_that_would_do_nothing_are_refused(typed, said, capsys):
    assert main(["choose", *typed.split()]) == 4
    assert said in capsys.readouterr().err


def test_a_real_trial_without_pyarrow_names_the_extra(monkeypatch, capsys):
    write_trial({LINE: [THREE, TWO]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["choose", "--autorag", "0"]) == 4
    assert capsys.readouterr().err == 'llmops choose --autorag needs: pip install "pytest-llmops[autorag]"\n'


def test_a_real_trial_of_parquet_files(monkeypatch, capsys):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def write(path: Path, table: Mapping[str, Sequence[float]]) -> None:
        texts = [["a passage", "another"]] * len(table["retrieval_f1"])
        parquet.write_table(pyarrow.table({"retrieved_contents": texts, **table}), path)

    monkeypatch.setattr(sys.modules[__name__], "write_table", write)
    write_trial({LINE: [f1(*[1.0] * 12), f1(*[0.0] * 12)]})
    assert judge(capsys)[0] == 0
    Path(f"0/{LINE}/1.parquet").write_bytes(b"PAR1 is no parquet")
    assert main(["choose", "--autorag", "0"]) == 3
    assert "1.parquet: cannot be read" in capsys.readouterr().err
    Path(f"0/{LINE}/1.parquet").unlink()
    assert main(["choose", "--autorag", "0"]) == 3
