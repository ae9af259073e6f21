"""The reader of pieces reads what the reader of whole files reads, and refuses what that one refuses."""

from __future__ import annotations

import json
import os
import random
import threading
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.documents.reading import BrokenValueError
from pytest_llmops.errors import RunFileError
from pytest_llmops.records import CaseResult, Check, Run, Score
from pytest_llmops.reports.files import run_file as run_pieces
from pytest_llmops.reports.files.baseline_file import load_base
from pytest_llmops.reports.files.run_file import load_run, read_pieces, read_run, write_run
from tests.unit.reports.files.test_run_file import BROKEN, RESULT, RUN, jsons, runs

CHECKED = replace(
    RESULT,
    case="golden/shop.yaml::sizes",
    scores=(
        *RESULT.scores,
        Score(metric="keywords", value=0.0, reason="missing: 'x'", evidence=("x",)),
        *(Score(metric="rouge_l", value=0.5, repeat=at, signature="r") for at in (0, 1, 1)),
        Score(metric="rouge_l", value=-0.0, signature="r"),
        Score(metric="rouge_l", value=0.0, signature="r"),
    ),
    checks=(Check(metric="keywords", comparison=">=", threshold=1.0, options={"all": ["60 days"]}),),
    answers=("ab",),
    auto=3,
    group="sizes",
    runs=(1, 2),
    rival=replace(RESULT, case="golden/shop.yaml::sizes"),
)
WRITTEN = replace(RUN, results=(RESULT, CHECKED))
ODD = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        1.0,
        -0.0,
        1e999,
        -1e999,
        float("nan"),
        2**64,
        10**400,
        "",
        "x",
        [],
        {},
        [None],
    ]
)


def read_whole(text: str) -> Run | None:
    try:
        return read_run(json.loads(text))
    except (BrokenValueError, ValueError, RecursionError):
        return None


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("pieces") / "run.json"


@pytest.fixture(scope="module")
def written(path):
    write_run(WRITTEN, path)
    return path.read_text(encoding="utf-8")


def test_a_result_is_decoded_without_the_slow_reader(path, written, monkeypatch):
    def refuse(value):
        raise AssertionError(value)

    path.write_text(written, encoding="utf-8")
    monkeypatch.setattr(run_pieces, "read_result", refuse)

    assert read_pieces(path) == WRITTEN


@given(run=runs.filter(lambda run: run.results))
def test_what_is_written_is_read_as_from_a_whole_file(path, run):
    write_run(run, path)

    found = read_pieces(path)

    assert found is not None
    assert repr(found) == repr(read_whole(path.read_text(encoding="utf-8")))  # True, 1 and 1.0 are told apart


@given(data=st.data())
def test_of_a_changed_value_both_say_the_same(path, written, data):
    """A value anywhere is replaced, taken out, or has one beside it; the file keeps its layout."""
    document = json.loads(written)
    places = []

    def walk(value):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(document)
    parent, key = data.draw(st.sampled_from(places))
    change = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "replace":
        parent[key] = data.draw(ODD | jsons)
    elif change == "remove":
        del parent[key]
    elif isinstance(parent, dict):
        parent[data.draw(st.sampled_from(["repeat", "results", "evidence", "kind", "x"]))] = data.draw(
            ODD | jsons
        )
    else:
        parent.append(data.draw(ODD | jsons))
    text = json.dumps(document, indent=1)
    path.write_text(text, encoding="utf-8")

    expected, found = read_whole(text), read_pieces(path)

    if expected is None or found is not None:
        assert repr(found) == repr(expected)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 3))
def test_of_changed_bytes_nothing_is_read_that_the_other_refuses(path, written, seed, count):
    """Pieces of the file are cut out, doubled or moved, as a merge or a broken disk would do it."""
    rng = random.Random(seed)  # noqa: S311 - a simulation
    text = written
    for _ in range(count):
        lines = text.split("\n")
        if len(lines) < 2:
            break
        at, to = sorted(rng.sample(range(len(lines)), 2))
        text = rng.choice(
            (
                "\n".join(lines[:at] + lines[to:]),
                "\n".join(lines[:to] + lines[at:]),
                "\n".join([*lines[:at], lines[to], *lines[at:]]),
                text[: (cut := rng.randrange(len(text)))] + rng.choice(',:{}[]"0a\\ \n') + text[cut:],
                text[:cut] + text[cut + 1 :],
            )
        )
    path.write_text(text, encoding="utf-8")

    expected, found = read_whole(text), read_pieces(path)

    if found is not None:
        assert repr(found) == repr(expected)


def parsed(text):
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        return []


DOCUMENTS = [(document, words) for text, words in BROKEN for document in parsed(text)]


@pytest.mark.parametrize(("document", "words"), DOCUMENTS, ids=[words for _, words in DOCUMENTS])
def test_a_broken_file_of_the_written_layout_has_the_same_message(tmp_path, document, words):
    text = json.dumps(document, indent=1)
    path = tmp_path / "run.json"
    path.write_text(text, encoding="utf-8")

    assert read_pieces(path) is None
    for load in (load_run, load_base):
        with pytest.raises(RunFileError) as caught:
            load(path)
        assert words in str(caught.value)


def test_results_elsewhere_are_not_those_of_the_run(tmp_path):
    """The layout's first line stands in another object, or the key of the run is there twice."""
    path = tmp_path / "run.json"
    within = '{\n "version": 1,\n "suite": {\n "results": [\n  {\n  "case": "a"\n  }\n ]}}'
    twice = '{\n "version": 1,\n "results": [\n  {\n  "case": "a"\n  }\n ],\n "results": []}'
    first = '{\n "version": 1,\n "results": [],\n "results": [\n  {\n  "case": "a"\n  }\n ]}'
    for text, cases in ((within, None), (twice, []), (first, ["a"])):
        path.write_text(text, encoding="utf-8")
        found = read_pieces(path)
        assert found is None or [result.case for result in found.results] == cases
        whole = read_whole(text)
        assert (None if whole is None else [result.case for result in whole.results]) == cases


def test_blocks_may_end_anywhere(path, written, monkeypatch):
    path.write_text(written, encoding="utf-8")
    head = written.index("results") + 20
    for size in range(head, head + 60):
        monkeypatch.setattr(run_pieces, "_BLOCK", size)
        assert read_pieces(path) == WRITTEN


def test_a_lone_surrogate_does_not_make_the_file_another(path):
    hidden = replace(RESULT, outputs=(replace(RESULT.outputs[0], text="\ud800"),))
    write_run(replace(RUN, results=(hidden,)), path)

    found = read_pieces(path)

    assert found is not None
    assert found.results == (hidden,)


def test_a_pipe_is_read_once(tmp_path, written):
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(written, encoding="utf-8"))
    writer.start()

    assert load_run(pipe) == WRITTEN
    writer.join(10)


def test_equal_scores_are_one_record(path):
    scores = tuple(Score(metric="m", value=1.0, signature="s") for _ in range(2))
    write_run(replace(RUN, results=(CaseResult(case="a", input_hash="", scores=scores),)), path)

    first, second = load_run(path).results[0].scores

    assert first is second


def test_a_file_is_not_held_as_text(path, monkeypatch):
    """Of a file that repeats itself far less is held than its size; its text alone would be twice that."""
    monkeypatch.setattr(run_pieces, "_BLOCK", 50_000)
    scores = tuple(Score(metric="m", value=1.0, repeat=at, signature="s" * 80) for at in range(20))
    results = tuple(CaseResult(case=f"f::{at:03}", input_hash="", scores=scores) for at in range(300))
    write_run(Run(signature={}, results=results), path)

    tracemalloc.start()
    try:
        found = load_run(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found.results == results
    assert peak < path.stat().st_size / 2


@pytest.mark.parametrize("load", [load_run, load_base])
@pytest.mark.parametrize(
    ("key", "doubled"),
    [
        ('"case":', '"case": "x", "case":'),
        ('"case":', '"case" : "x", "case":'),
        ('"case":', '"case"\t:"x", "case":'),
        ('"scores":', '"scores": [], "scores":'),
        ('"value":', '"value": 0,\n "value":'),
        ('"suite":', '"suite": {}, "suite":'),
        ('"results":', '"results": [], "results":'),
    ],
)
def test_a_doubled_key_is_refused_with_its_line(path, written, load, key, doubled):
    """A merge left both sides; which of them would be compared, nobody could see."""
    at = written.index(key)
    line = written.count("\n", 0, at) + doubled.count("\n") + 1
    path.write_text(f"{written[:at]}{doubled}{written[at + len(key) :]}", encoding="utf-8")

    with pytest.raises(RunFileError, match=rf"run\.json: line {line}: key {key[1:-2]!r} occurs twice"):
        load(path)


def test_a_doubled_key_in_a_stream_is_refused_with_its_line(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text('{"version": 1}\n{"case": "a", "input_hash": "", "case": "b"}\n', encoding="utf-8")

    with pytest.raises(RunFileError, match="line 2: key 'case' occurs twice in one object"):
        load_run(path)
