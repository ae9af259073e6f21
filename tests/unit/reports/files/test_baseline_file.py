from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_llmops.errors import AcceptanceError, RunFileError
from pytest_llmops.gates.baseline import AcceptOptions, make_entry
from pytest_llmops.gates.case_results import digest
from pytest_llmops.records import CaseResult, Failure, Output, Passage, Run, Score, ToolCall, Usage
from pytest_llmops.reports.files.baseline_file import (
    load_base,
    load_baseline,
    parse_baseline,
    update_baseline,
    write_baseline,
)
from pytest_llmops.reports.files.run_file import load_run, write_run

SCHEMA = json.loads(
    files("pytest_llmops.reports.files").joinpath("baseline.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)
ACCEPT = "pytest --llm-golden --llm-repeats auto --llm-accept"
REMEDY = f"Restore the file, or remove it and make a baseline with: {ACCEPT}"
METRICS = ("exact_match", "semantic", "latency_s")


def result_of(case: str, texts: list[str], **scores: list[float]) -> CaseResult:
    return CaseResult(
        case=case,
        input_hash=f"asks {case}",
        outputs=tuple(Output(text=text, repeat=repeat) for repeat, text in enumerate(texts)),
        scores=tuple(
            Score(
                metric=metric,
                value=value,
                repeat=repeat,
                signature=f"{metric}|v1",
                reason="why",
                evidence=(1,),
            )
            for metric, values in scores.items()
            for repeat, value in enumerate(values)
        ),
    )


RUN = Run(
    signature={
        "pytest-llmops": "0.1",
        "metric:exact_match": "exact_match|v1",
        "metric:semantic": "semantic|v0",
    },
    results=(
        result_of("golden/b.yaml::steady", ["same"] * 3, exact_match=[1.0] * 3, semantic=[0.93, 0.5, 1.0]),
        result_of("golden/a.yaml::loose", ["x", "y", "y"], exact_match=[-1.0, -2.0, -1.0]),
    ),
    usage=Usage(calls=6),
)
FILE = f"""{{
 "version": 1,
 "kind": "baseline",
 "signature": {{
  "metric:exact_match": "exact_match|v1",
  "metric:semantic": "semantic|v0",
  "pytest-llmops": "0.1"
 }},
 "cases": [
  {{"case": "golden/a.yaml::loose", "input_hash": "asks golden/a.yaml::loose", "repeats": 3, \
"answers": ["{digest("x")}", "{digest("y")}", "{digest("y")}"], "scores": {{"exact_match": [-1, -2, -1]}}}},
  {{"case": "golden/b.yaml::steady", "input_hash": "asks golden/b.yaml::steady", "repeats": 3, \
"answers": ["{digest("same")}"], "scores": {{"exact_match": [1], "semantic": [0.93, 0.5, 1]}}, \
"signatures": {{"semantic": "semantic|v1"}}}}
 ]
}}
"""

BARE = replace(RUN, results=tuple(map(make_entry, RUN.results)))
"""The run without its outputs."""

texts = st.text(st.characters(), max_size=8)  # lone surrogates, controls and line ends too
numbers = st.floats(-1e100, 1e100) | st.sampled_from([0.0, -0.0, 1.0, -1.0, -2.0, 0.1 + 0.2, 2.0**60])
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
passages = st.none() | st.lists(
    st.builds(Passage, id=texts, text=texts, score=st.none() | numbers), max_size=2
).map(tuple)
calls = st.lists(
    st.builds(ToolCall, name=texts, arguments=st.dictionaries(texts, jsons, max_size=2), result=jsons),
    max_size=2,
).map(tuple)


@st.composite
def results(draw):
    repeats = draw(st.integers(1, 4))
    outputs = [
        Output(text=draw(texts), repeat=repeat, passages=draw(passages), tool_calls=draw(calls))
        for repeat in range(repeats)
    ]
    if draw(st.booleans()):
        outputs = [replace(outputs[0], repeat=repeat) for repeat in range(repeats)]
    scores = []
    for metric in draw(st.lists(st.sampled_from(METRICS) | texts, max_size=3, unique=True)):
        signature = draw(st.sampled_from(["", "v1", "v2"]))
        scores += [
            Score(metric=metric, value=draw(numbers), repeat=repeat, signature=signature)
            for repeat in range(repeats)
        ]
    return CaseResult(case=draw(texts), input_hash=draw(texts), outputs=tuple(outputs), scores=tuple(scores))


runs = st.builds(
    Run,
    signature=st.dictionaries(
        st.sampled_from([f"metric:{each}" for each in METRICS]) | texts, texts, max_size=3
    ),
    results=st.lists(results(), max_size=3, unique_by=lambda each: each.case).map(tuple),
)


def shuffled(run: Run, seed: int) -> Run:
    chance = random.Random(seed)  # noqa: S311 - an order, no secret
    mixed = []
    for result in chance.sample(run.results, len(run.results)):
        scores = tuple(chance.sample(result.scores, len(result.scores)))
        mixed.append(
            replace(result, scores=scores, outputs=tuple(chance.sample(result.outputs, len(result.outputs))))
        )
    names = chance.sample(list(run.signature), len(run.signature))
    return replace(run, results=tuple(mixed), signature={name: run.signature[name] for name in names})


def test_file_is_as_published(tmp_path):
    path = tmp_path / "golden" / "baseline.json"

    write_baseline(BARE, path)

    assert path.read_text(encoding="utf-8") == FILE
    assert [each.name for each in path.parent.iterdir()] == ["baseline.json"]


@given(run=runs, seed=st.integers(0, 99), with_outputs=st.booleans())
def test_every_score_survives_and_order_leaves_no_trace(tmp_path_factory, run, seed, with_outputs):
    folder = tmp_path_factory.mktemp("baseline")

    for name, each in (("one.json", run), ("two.json", shuffled(run, seed))):
        kept = tuple(make_entry(result, with_outputs=with_outputs) for result in each.results)
        write_baseline(replace(each, results=kept), folder / name)

    data = (folder / "one.json").read_bytes()
    assert (folder / "two.json").read_bytes() == data
    loaded = load_baseline(folder / "one.json")
    kept = [make_entry(result, with_outputs=with_outputs) for result in run.results]
    assert loaded.results == tuple(sorted(kept, key=lambda each: each.case))
    assert loaded.signature == run.signature
    assert len(data.splitlines()) == len(run.results) + len(
        json.dumps(loaded.signature, indent=1).splitlines()
    ) + (6 if run.results else 5)
    VALIDATOR.validate(json.loads(data))
    write_baseline(loaded, folder / "three.json")
    assert (folder / "three.json").read_bytes() == data


def test_numbers_are_short_and_whole(tmp_path):
    values = [1.0, -0.0, 0.1 + 0.2, 1e22, 5e-324]

    write_baseline(Run(signature={}, results=(result_of("a", ["x"] * 5, bleu=values),)), tmp_path / "b")

    assert '"bleu": [1, 0, 0.30000000000000004, 1e+22, 5e-324]' in (tmp_path / "b").read_text()
    assert [score.value for score in load_baseline(tmp_path / "b").results[0].scores] == values


def test_texts_are_kept_only_when_asked(tmp_path):
    output = Output(
        text="within 60 days",
        passages=(Passage(id="returns#window", text="60 days"),),
        tool_calls=(ToolCall(name="find", arguments={"n": 1}, result=[1]),),
        latency_s=3.0,
        trace_id="t",
    )
    scores = (Score(metric="bleu", value=1.0, signature="v1"),)
    run = replace(RUN, results=(replace(RUN.results[0], outputs=(output,), scores=scores),))

    update_baseline(tmp_path / "bare.json", run)
    update_baseline(tmp_path / "full.json", run, AcceptOptions(with_outputs=True))

    bare, full = (tmp_path / "bare.json").read_text(), (tmp_path / "full.json").read_text()
    assert "60 days" not in bare
    assert '"answers"' not in full
    assert load_baseline(tmp_path / "bare.json").results[0].answers == (digest("within 60 days"),)
    assert load_baseline(tmp_path / "bare.json").results[0].outputs == ()
    loaded = load_baseline(tmp_path / "full.json").results[0]
    assert loaded.answers == (digest("within 60 days"),)
    assert loaded.outputs == (replace(output, latency_s=0.0, trace_id=None),)


def test_true_is_not_one(tmp_path):
    """Outputs that Python calls equal and JSON does not stay two."""
    outputs = tuple(
        Output(text="", repeat=repeat, tool_calls=(ToolCall(name="f", result=result),))
        for repeat, result in enumerate([1, True])
    )
    write_baseline(
        Run(signature={}, results=(CaseResult(case="a", input_hash="", outputs=outputs),)),
        tmp_path / "b",
    )

    kept = load_baseline(tmp_path / "b").results[0].outputs
    assert [type(each.tool_calls[0].result) for each in kept] == [int, bool]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (replace(RUN.results[0], scores=RUN.results[0].scores[1:]), "exact_match gave no score in repeat 0"),
        (
            replace(RUN.results[0], scores=(*RUN.results[0].scores, RUN.results[0].scores[0])),
            "exact_match gave 4 scores for 3 repeats",
        ),
        (
            replace(
                RUN.results[0],
                scores=tuple(replace(score, value=math.nan) for score in RUN.results[0].scores),
            ),
            "exact_match gave nan",
        ),
        (replace(RUN.results[0], outputs=()), "the app gave no output"),
        (
            replace(RUN.results[0], failures=(Failure(metric="bleu", stage="score", error="\x1b[2J"),)),
            "repeat 0: bleu: \\x1b[2J",
        ),
        (RUN.results[1], "'golden/a.yaml::loose' occurs twice"),
    ],
)
def test_what_is_no_baseline_is_not_written(tmp_path, result, words):
    path = tmp_path / "baseline.json"
    path.write_text("before")

    with pytest.raises(RunFileError, match="not written") as caught:
        write_baseline(replace(RUN, results=(RUN.results[1], result)), path)

    assert words in str(caught.value)
    assert path.read_text() == "before"


def test_what_json_cannot_hold_is_not_written(tmp_path):
    output = Output(text="", tool_calls=(ToolCall(name="f", result={1, 2}),))
    run = Run(signature={}, results=(CaseResult(case="a", input_hash="", outputs=(output,)),))

    with pytest.raises(RunFileError, match="not written: a holds what JSON cannot"):
        write_baseline(run, tmp_path / "b")


def document(**changes: object) -> str:
    return json.dumps({"version": 1, "kind": "baseline", "signature": {}, "cases": [], **changes})


def entry(**changes: object) -> str:
    line = {
        "case": "f::b",
        "input_hash": "",
        "repeats": 3,
        "answers": ["x"],
        "scores": {"bleu": [1]},
        **changes,
    }
    given = {name: value for name, value in line.items() if value != "-"}
    return document(cases=[{"case": "f::a", "repeats": 1, "answers": ["x"], "scores": {}}, given])


BROKEN = [
    ("", "line 1, column 1: is no JSON: Expecting value (the file ends too early)"),
    (FILE[:-4], "(the file ends too early)"),
    ("[]", "must be a mapping"),
    ("{}", "version: is missing, so this is no baseline"),
    (document(version=2), "version: is 2, this release reads 1"),
    (document(version=True), "version: is True"),
    (document(kind="run"), "kind: must be baseline, not 'run'"),
    ('{"version": 1, "cases": []}', "kind is missing"),
    ('{"version": 1, "kind": "baseline", "signature": {}}', "cases is missing"),
    (document(case=[]), "unknown key 'case'. Did you mean 'cases'?"),
    (document(cases={}), "cases: must be a list"),
    (document(cases=[3]), "cases[0]: must be a mapping, not 3"),
    (document(signature={"app": 3}), "signature.app: must be text"),
    (entry(score={}), "cases[1]: unknown key 'score'. Did you mean 'scores'?"),
    (entry(case="f::a"), "cases[1].case: 'f::a' occurs twice"),
    (entry(case=7), "cases[1].case: must be text, not 7"),
    (entry(scores="-"), "cases[1]: scores is missing"),
    (entry(repeats="-"), "cases[1]: repeats is missing"),
    (entry(repeats=0), "cases[1].repeats: must be a whole number from 1"),
    (entry(repeats=10**12), "cases[1].repeats: must be a whole number from 1 to 100000"),
    (entry(repeats=True), "cases[1].repeats: must be a whole number"),
    (entry(answers="-"), "cases[1]: must have answers or outputs"),
    (entry(outputs=[{"text": ""}]), "cases[1]: must have answers or outputs, and not both"),
    (entry(answers=["x", "y"]), "cases[1].answers: must contain 1 or 3 items, one for each repeat, not 2"),
    (entry(answers=[]), "cases[1].answers: must contain 1 or 3 items"),
    (entry(answers=[1]), "cases[1].answers[0]: must be text"),
    (
        entry(answers="-", outputs=[{"text": "", "latency_s": 1}]),
        "cases[1].outputs[0]: unknown key 'latency_s'",
    ),
    (entry(scores=[1]), "cases[1].scores: must be a mapping"),
    (entry(scores={"bleu": 1}), "cases[1].scores.bleu: must be a list"),
    (
        entry(scores={"bleu": [1, 2]}),
        "cases[1].scores.bleu: must contain 1 or 3 items, one for each repeat, not 2",
    ),
    (entry(scores={"bleu": []}), "cases[1].scores.bleu: must contain 1 or 3 items"),
    (entry(scores={"bleu": [1, 2, 3, 4]}), "cases[1].scores.bleu: must contain 1 or 3 items"),
    (entry(scores={"bleu": ["1"]}), "cases[1].scores.bleu[0]: must be a finite number, not '1'"),
    (entry(scores={"bleu": [True]}), "cases[1].scores.bleu[0]: must be a finite number"),
    (entry(scores={"bleu": [1, 2, math.nan]}), "cases[1].scores.bleu[2]: must be a finite number, not nan"),
    (entry(scores={"bleu": [math.inf]}), "cases[1].scores.bleu[0]: must be a finite number"),
    (entry(scores={"bleu": [10**400]}), "not an enormous number"),
    (entry(signatures={"bleu": 1}), "cases[1].signatures.bleu: must be text"),
    (entry(signatures={"blue": "v1"}), "signatures: 'blue' is no metric of scores. Did you mean 'bleu'?"),
    (entry(scores={"\x1b[2J": 1}), "cases[1].scores.\\x1b[2J: must be a list"),
    (entry().replace('"bleu": [1]', '"bleu": [1], "bleu": [0]'), "key 'bleu' occurs twice in one object"),
    ("[" * 100_000, "nested too deeply to be a baseline"),
    ("9" * 5000, "too long"),
]


@pytest.mark.parametrize(("text", "words"), BROKEN, ids=[words for _, words in BROKEN])
def test_broken_file_is_one_message_with_file_place_and_remedy(tmp_path, text, words):
    path = tmp_path / "baseline.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(RunFileError) as caught:
        load_baseline(path)

    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert message.endswith(REMEDY)
    assert message.isprintable()
    assert "?. " not in message
    assert ".. " not in message
    with pytest.raises(RunFileError) as caught:
        update_baseline(path, RUN, AcceptOptions(replace=True))
    assert str(caught.value) == message
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        each
        for each in BROKEN
        if each[0].startswith('{"version": 1, ')
        and not any(words in each[1] for words in ("twice", "1 or 3 items", "no metric", "enormous"))
        and not any(number in each[0] for number in ("NaN", "Infinity"))
    ],
)
def test_schema_refuses_what_the_reader_refuses(text, words):
    assert not VALIDATOR.is_valid(json.loads(text)), words


def test_every_cut_of_a_file_is_told(tmp_path):
    path = tmp_path / "baseline.json"
    for length in range(0, len(FILE.rstrip()), 7):
        path.write_text(FILE[:length], encoding="utf-8")
        with pytest.raises(RunFileError, match="is no JSON"):
            load_baseline(path)


def test_bytes_of_another_revision_are_read_and_named():
    assert (
        parse_baseline(FILE.encode(), "main:golden/baseline.json").results[0].case == "golden/a.yaml::loose"
    )
    with pytest.raises(RunFileError, match=r"^main:golden/baseline\.json: byte 0 is no UTF-8"):
        parse_baseline(b"\xff", "main:golden/baseline.json")


def test_either_kind_of_file_is_a_base(tmp_path):
    write_run(RUN, tmp_path / "run.json")
    write_run(RUN, tmp_path / "whole.jsonl")
    write_baseline(BARE, tmp_path / "baseline.json")
    value = json.loads(FILE)
    (tmp_path / "turned.json").write_text(json.dumps(dict(reversed(value.items()))))
    lines = [{"version": 1}, {"case": "f::a"}]
    (tmp_path / "run.jsonl").write_text("\n".join(json.dumps(line) for line in lines))

    assert load_base(tmp_path / "run.json") == load_run(tmp_path / "run.json")
    assert (
        load_base(tmp_path / "whole.jsonl")
        == load_run(tmp_path / "whole.jsonl")
        == load_run(tmp_path / "run.json")
    )
    assert load_base(tmp_path / "baseline.json") == load_baseline(tmp_path / "baseline.json")
    assert load_base(tmp_path / "turned.json") == load_baseline(tmp_path / "baseline.json")
    assert load_base(tmp_path / "run.jsonl").results[0].case == "f::a"


def test_a_broken_base_is_told_with_a_remedy_that_writes_no_run_over_it(tmp_path):
    path = tmp_path / "base.json"
    for text in (FILE[:300], '{"version": 1, "results": ['):
        path.write_text(text)
        with pytest.raises(RunFileError, match="ends too early") as caught:
            load_base(path)
        assert str(caught.value).endswith(REMEDY)
    path.write_text(document(kind="bassline"))
    with pytest.raises(RunFileError, match="kind: must be baseline, not 'bassline'"):
        load_base(path)
    with pytest.raises(RunFileError, match=rf"no such run file or baseline.*'base.json'.*Make it: {ACCEPT}$"):
        load_base(tmp_path / "bas.json")


@pytest.mark.parametrize("read", [load_base, load_baseline])
def test_what_a_merge_left_is_told_as_a_conflict(tmp_path, read):
    lines = FILE.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("  {"))
    conflict = ["<<<<<<< HEAD", lines[at], "=======", lines[at], ">>>>>>> other"]
    path = tmp_path / "baseline.json"
    path.write_text("\n".join([*lines[:at], *conflict, *lines[at + 1 :]]))
    with pytest.raises(RunFileError, match=rf"line {at + 1} is a mark of a git conflict. Settle") as caught:
        read(path)
    assert "--llm-" not in str(caught.value)


def test_a_run_and_a_baseline_in_each_others_place_are_told_without_a_remedy_that_destroys(tmp_path):
    path = tmp_path / "file.json"
    write_run(RUN, path)
    with pytest.raises(
        RunFileError, match=f"is a run, no baseline; make one of it with: llmops accept {path}"
    ):
        load_baseline(path)
    write_baseline(RUN, path)
    with pytest.raises(RunFileError) as caught:
        load_run(path)
    assert str(caught.value) == f"{path}: is a baseline, no run; name a file of --llm-out"


def test_accepting_twice_leaves_the_file_untouched(tmp_path):
    path = tmp_path / "baseline.json"
    assert update_baseline(path, RUN).changed
    before = path.stat().st_ino, path.read_bytes()

    for replaces in (False, True):
        assert not update_baseline(
            path, shuffled(RUN, 1), AcceptOptions(replace=replaces, prune=True)
        ).changed

    assert (path.stat().st_ino, path.read_bytes()) == before


def test_order_that_a_hand_left_in_the_file_is_no_change(tmp_path):
    path = tmp_path / "baseline.json"
    update_baseline(path, RUN)
    value = json.loads(path.read_text())
    value["cases"].reverse()
    for line in value["cases"]:
        line["scores"] = dict(reversed(line["scores"].items()))
    path.write_text(json.dumps(value))

    acceptance = update_baseline(path, RUN, AcceptOptions(replace=True))

    assert (acceptance.changed, len(acceptance.kept)) == (False, 2)
    assert json.loads(path.read_text()) == value


def test_kept_cases_say_how_they_were_scored(tmp_path):
    path = tmp_path / "baseline.json"
    update_baseline(path, RUN)
    newer = replace(
        result_of("golden/a.yaml::new", ["z"], semantic=[1.0]),
        scores=(Score(metric="semantic", value=1, signature="v9"),),
    )

    update_baseline(path, Run(signature={"metric:semantic": "v9"}, results=(newer,)))

    lines = [json.loads(line.rstrip(",")) for line in path.read_text().splitlines() if line.startswith("  {")]
    assert [line.get("signatures") for line in lines] == [
        None,
        {"semantic": "v9"},
        {"semantic": "semantic|v1"},
    ]
    kept = {result.case: result.scores for result in load_baseline(path).results}
    assert {each.signature for each in kept["golden/b.yaml::steady"]} == {"exact_match|v1", "semantic|v1"}


def test_outputs_that_were_kept_stay_with_their_cases(tmp_path):
    path = tmp_path / "baseline.json"
    update_baseline(path, replace(RUN, results=RUN.results[:1]), AcceptOptions(with_outputs=True))

    update_baseline(path, RUN)

    loose, steady = load_baseline(path).results
    assert [output.text for output in steady.outputs] == ["same"] * 3
    assert loose.outputs == ()


def test_nothing_to_accept_writes_nothing(tmp_path):
    with pytest.raises(AcceptanceError):
        update_baseline(tmp_path / "baseline.json", Run(signature={}, results=()))
    assert list(tmp_path.iterdir()) == []
