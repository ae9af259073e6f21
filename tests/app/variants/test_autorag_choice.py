"""`llmops choose --autorag` on a trial that AutoRAG 0.3.27 ran over the shop; needs pyarrow alone.

Of the trial's tables the scores are kept, and the questions' ids.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.command import main

parquet = pytest.importorskip("pyarrow.parquet")

TRIAL = Path(__file__).parent / "autorag_trial" / "0"
FEW = 14  # questions that differ; the exact test of more takes long
MODULES = {
    "hybrid_retrieval": 5,
    "lexical_retrieval": 2,
    "passage_filter": 4,
    "passage_reranker": 2,
    "semantic_retrieval": 2,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copytree(TRIAL, tmp_path / "0")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "0"


def judge(capsys, *more):
    code = main(["choose", "--autorag", "0", *more])
    return code, capsys.readouterr()


def read(node, module, metric):
    """By numpy and pyarrow alone."""
    file = module.rpartition("(")[2].rstrip(")")
    return np.array(parquet.read_table(TRIAL / node / file)[metric].to_pylist())


@pytest.mark.usefixtures("folder")
def test_the_choice_of_the_real_trial(capsys):
    code, shown = judge(capsys, "--out", "nodes.json")

    assert code == 2
    nodes = json.loads(Path("nodes.json").read_text())["nodes"]
    assert {one["node"]: len(one["choice"]["candidates"]) for one in nodes} == {
        f"retrieve/{name}": count for name, count in MODULES.items()
    }
    assert {(one["node"], one["best"]) for one in nodes if one["confirmed"]} == {
        ("retrieve/passage_reranker", "PassReranker (0.parquet)")
    }
    assert all(one["choice"]["cases"] == 43 and one["choice"]["outcome"] != "error" for one in nodes)
    rows = [line.split() for line in shown.out.splitlines()]
    assert ["retrieve/semantic_retrieval", "2", "43", "VectorDB", "(1.parquet)", "no"] in rows
    assert shown.out.endswith("winners: 1 of 5 nodes with a choice\n")


@pytest.mark.usefixtures("folder")
def test_each_p_value_is_that_of_scipy(capsys):
    """McNemar's exact test where the differences are of one size, else the exact permutation test.

    In the latter scipy misses ties that rounding hides.
    """
    from scipy.stats import binomtest, permutation_test

    judge(capsys, "--out", "nodes.json")
    tested = {"mcnemar": 0, "permutation": 0}
    for node in json.loads(Path("nodes.json").read_text())["nodes"]:
        for pair in node["choice"]["pairs"]:
            if pair["p_value"] is None:
                continue
            first, second = (read(node["node"], pair[name], pair["metric"]) for name in ("first", "second"))
            differences = (first - second)[np.abs(first - second) > 1e-12]
            better, worse = int((differences > 0).sum()), int((differences < 0).sum())
            assert (pair["better"], pair["worse"], pair["ties"]) == (better, worse, 43 - better - worse)
            if len(differences) and np.allclose(np.abs(differences), abs(differences[0])):
                expected = pytest.approx(binomtest(better, better + worse).pvalue, rel=1e-9)
                tested["mcnemar"] += 1
            elif 1 < len(differences) <= FEW:
                exact = permutation_test(
                    (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
                )
                expected = pytest.approx(exact.pvalue, rel=1e-3)
                tested["permutation"] += 1
            else:
                continue
            assert pair["p_value"] == expected, (node["node"], pair)
    assert min(tested.values()) >= 5, tested


@pytest.mark.usefixtures("folder")
def test_the_best_and_the_next_are_compared_as_scipy_does(capsys):
    from scipy.stats import binomtest

    _, shown = judge(capsys)
    best, other = (
        read("retrieve/lexical_retrieval", f"BM25 ({at}.parquet)", "retrieval_recall") for at in (0, 1)
    )
    better, worse = int((best > other).sum()), int((best < other).sum())
    p_value = binomtest(better, better + worse).pvalue
    assert (
        "retrieve/lexical_retrieval: AutoRAG's best BM25 (0.parquet) against BM25 (1.parquet), questions "
        f"better to worse: retrieval_recall {better} to {worse}, p = {p_value:.3g}; retrieval_ndcg 10 to 9"
    ) in shown.out
    assert (better, worse, p_value) == (4, 0, 0.125)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("killed", "0: AutoRAG did not finish it; run it to its end, or name one of its nodes that is done"),
        ("damaged", "passage_filter/2.parquet: cannot be read: "),
        ("cut", "passage_filter/2.parquet: cannot be read: "),
        ("missing", "passage_filter/2.parquet: cannot be read: "),
        ("summary", "unlike numbers of questions: [42, 43]"),
    ],
)
def test_a_trial_that_is_not_whole_is_one_line(folder, change, said, capsys):
    path = folder / "retrieve/passage_filter/2.parquet"
    whole = path.read_bytes()
    if change == "killed":  # as AutoRAG leaves a trial that was stopped at its last node
        (folder / "summary.csv").unlink()
        (folder / "retrieve/summary.csv").unlink()
        shutil.rmtree(folder / "retrieve/passage_filter")
    elif change == "damaged":
        path.write_bytes(whole[:100] + bytes(200) + whole[300:])
    elif change == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif change == "missing":
        path.unlink()
    else:
        parquet.write_table(parquet.read_table(path)[:42], path)
    if change == "killed":
        said = said.replace("0: ", "0/retrieve: ", 1)

    code, shown = judge(capsys)
    assert code == 3
    assert said in shown.err
    assert shown.err.count("\n") == 1
