from __future__ import annotations

import json
import math
import os
from dataclasses import MISSING, fields, replace
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import pytest_llmops
from pytest_llmops.errors import RunFileError
from pytest_llmops.records import (
    GAIN,
    CaseResult,
    Check,
    Failure,
    Output,
    Passage,
    Played,
    Run,
    Score,
    Span,
    SuiteCheck,
    ToolCall,
    Usage,
)
from pytest_llmops.reports.files.baseline_file import load_base
from pytest_llmops.reports.files.run_file import dump_stamps, load_run, write_run
from pytest_llmops.statistics.summaries import NAMES

SCHEMA = json.loads(
    files("pytest_llmops.reports.files").joinpath("run.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)

RESULT = CaseResult(
    case="golden/shop.yaml::returns",
    input_hash="ab12",
    outputs=(
        Output(
            text="Within 60 days.\x1b[31m\u202e",
            passages=(Passage(id="returns#window", text="60 days", score=0.5),),
            tool_calls=(ToolCall(name="order_status", arguments={"order_id": "A-1"}, result=[1, None]),),
            usage=Usage(calls=2, replayed=1, prompt_tokens=30, completion_tokens=None, cost_usd=0.01),
            latency_s=0.2,
            model="small",
            trace_id="t1",
        ),
    ),
    scores=(Score(metric="keywords", value=1, evidence=({"missing": []},), signature="keywords|v1"),),
    failures=(Failure(metric="semantic", stage="score", error="no weights"),),
)
RUN = Run(
    signature={"app": "shop:answer"},
    results=(RESULT,),
    suite={
        "golden/shop.yaml": (
            SuiteCheck(metric="recall@5", statistic="mean", comparison=">=", threshold=0.9, max_drop=0.05),
            SuiteCheck(metric="latency_s", statistic="p95", comparison="<=", threshold=2),
        )
    },
    usage=Usage(calls=2, replayed=1, prompt_tokens=30, completion_tokens=None, cost_usd=0.01),
)

texts = st.text(max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
counts = st.integers(0, 10**9)
usages = st.builds(
    Usage,
    calls=counts,
    replayed=counts,
    prompt_tokens=st.none() | counts,
    completion_tokens=st.none() | counts,
    cost_usd=st.none() | numbers,
)
outputs = st.builds(
    Output,
    text=st.text(st.characters(), max_size=12),  # lone surrogates too
    repeat=st.integers(0, 9),
    passages=st.none()
    | st.lists(st.builds(Passage, id=texts, text=texts, score=st.none() | numbers), max_size=2).map(tuple),
    tool_calls=st.lists(
        st.builds(
            ToolCall,
            name=texts,
            arguments=st.dictionaries(texts, jsons, max_size=2),
            decision=st.none() | texts,
            result=jsons,
        ),
        max_size=2,
    ).map(tuple),
    usage=usages,
    latency_s=numbers,
    model=st.none() | texts,
    trace_id=st.none() | texts,
)
produced = {
    "outputs": st.lists(outputs, max_size=2).map(tuple),
    "scores": st.lists(
        st.builds(
            Score,
            metric=texts,
            value=numbers,
            repeat=st.integers(0, 9),
            reason=texts,
            evidence=st.lists(jsons, max_size=2).map(tuple),
            signature=texts,
        ),
        max_size=2,
    ).map(tuple),
    "failures": st.lists(
        st.builds(Failure, metric=texts, stage=st.sampled_from(["app", "score", "rival"]), error=texts),
        max_size=2,
    ).map(tuple),
}

mappings = st.dictionaries(texts, jsons, max_size=2)
spans = st.lists(
    st.builds(
        Span,
        span_id=texts,
        parent_id=st.none() | texts,
        name=texts,
        start=numbers,
        attributes=mappings,
        events=st.lists(mappings, max_size=2).map(tuple),
        repeat=st.integers(0, 9),
    ),
    max_size=2,
).map(tuple)


@st.composite
def drawn_results(draw):
    """A rival's stands for the same case."""
    known = {"case": draw(texts), "input_hash": draw(texts)}
    rival = draw(
        st.none() | st.builds(CaseResult, **{key: st.just(each) for key, each in known.items()}, **produced)
    )
    parts = {key: draw(each) for key, each in produced.items()}
    return CaseResult(**known, **parts, rival=rival, input=draw(jsons), spans=draw(spans))


results = drawn_results()


@st.composite
def suites(draw):
    """As golden files give them: no mean that is only watched beside other statistics."""
    checks = []
    for metric in draw(st.lists(st.sampled_from(["recall@5", "semantic", "latency_s"]), unique=True)):
        names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
        drop = draw(st.none() | st.floats(0, 10))
        bounds = st.tuples(st.sampled_from([">=", ">", "<=", "<"]), numbers)
        for name in names:
            is_bare_beside_others = name == "mean" and len(names) > 1 and drop is None
            bound = draw(bounds if is_bare_beside_others else st.none() | bounds)
            checks.append(
                SuiteCheck(
                    metric=metric,
                    statistic=name,
                    comparison=bound[0] if bound else None,
                    threshold=bound[1] if bound else None,
                    max_drop=drop if len(names) == 1 or name == "mean" else None,
                    options=draw(st.just({})) if len(names) > 1 else {"encoder": "small"},
                )
            )
        gain = draw(st.none() | numbers)
        if gain is not None:
            shared = {"comparison": ">=", "threshold": gain, "options": checks[-1].options}
            checks.append(SuiteCheck(metric=metric, statistic=GAIN, **shared))
    return tuple(checks)


runs = st.builds(
    Run,
    signature=st.dictionaries(texts, texts, max_size=3),
    results=st.lists(results, max_size=3, unique_by=lambda each: each.case).map(
        lambda many: tuple(sorted(many, key=lambda each: each.case))
    ),
    suite=st.dictionaries(st.sampled_from(["golden/a.yaml", "golden/b.yaml"]), suites()).map(
        lambda suite: dict(sorted(suite.items()))
    ),
    usage=usages,
    environment=st.dictionaries(texts, texts, max_size=2),
)


@given(run=runs)
def test_run_survives_the_file(tmp_path_factory, run):
    path = tmp_path_factory.mktemp("run") / "run.json"

    write_run(run, path)

    assert load_run(path) == run
    VALIDATOR.validate(json.loads(path.read_text(encoding="utf-8")))


def test_file_is_as_published(tmp_path):
    path = tmp_path / "deep" / "run.json"

    write_run(RUN, path)

    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["version"] == 2
    assert document["suite"] == {
        "recall@5": {"mean": ">= 0.9", "max_drop": 0.05},
        "latency_s": {"p95": "<= 2"},
    }
    assert set(document["results"][0]["outputs"][0]) == {
        *("repeat", "text", "passages", "tool_calls", "usage", "latency_s", "model", "trace_id"),
        *("model_calls", "failed_calls", "attempts", "degraded", "elsewhere", "unseen", "changed_input"),
        *("first_token_s", "user"),
    }
    assert load_run(path) == RUN
    assert [each.name for each in path.parent.iterdir()] == ["run.json"]


RIVAL = replace(RESULT, outputs=(), scores=(Score(metric="keywords", value=0),), failures=())


def test_a_rival_stands_beside_what_it_is_compared_with(tmp_path):
    path = tmp_path / "run.json"
    gain = SuiteCheck(metric="keywords", statistic=GAIN, comparison=">=", threshold=0.1)
    run = replace(RUN, results=(replace(RESULT, rival=RIVAL),), suite={"golden/shop.yaml": (gain,)})

    write_run(run, path)

    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["suite"] == {"keywords": {"min_gain": 0.1}}
    assert set(document["results"][0]["rival"]) == {"outputs", "scores", "failures"}
    VALIDATOR.validate(document)
    assert load_run(path) == run


def test_a_run_without_rivals_is_written_as_before(tmp_path):
    path = tmp_path / "run.json"

    write_run(RUN, path)

    assert "rival" not in path.read_text(encoding="utf-8")


def test_a_number_of_a_rival_that_is_none_is_not_written(tmp_path):
    broken = replace(RIVAL, scores=(Score(metric="bleu", value=math.nan),))

    with pytest.raises(RunFileError, match=r"not written.*bleu is nan"):
        write_run(replace(RUN, results=(replace(RESULT, rival=broken),)), tmp_path / "run.json")


@pytest.mark.parametrize("suite", [{}, {"golden/shop.yaml": ()}, {"": RUN.suite["golden/shop.yaml"]}])
def test_suite_without_checks_or_file_survives(tmp_path, suite):
    path = tmp_path / "run.json"

    write_run(replace(RUN, suite=suite), path)

    assert load_run(path).suite == suite


def test_results_are_sorted_by_item(tmp_path):
    path = tmp_path / "run.json"
    other = replace(RESULT, case="golden/shop.yaml::a")

    write_run(replace(RUN, results=(RESULT, other)), path)

    assert [each.case for each in load_run(path).results] == [other.case, RESULT.case]


def test_nobody_overlooks_what_hides_in_the_file(tmp_path):
    """A committed baseline is reviewed as text: no control and no bidi override stands in it unescaped."""
    path = tmp_path / "run.json"

    write_run(RUN, path)

    text = path.read_text(encoding="utf-8")
    assert "\\u001b" in text
    assert "\\u202e" in text
    assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (replace(RUN, results=(RESULT, RESULT)), "golden/shop.yaml::returns' occurs twice"),
        (
            replace(RUN, results=(replace(RESULT, scores=(Score(metric="bleu", value=math.nan),)),)),
            "golden/shop.yaml::returns: bleu is nan",
        ),
        (
            replace(RUN, results=(replace(RESULT, outputs=(Output(text="", latency_s=math.inf),)),)),
            "golden/shop.yaml::returns holds what JSON cannot",
        ),
        (
            replace(
                RUN, results=(replace(RESULT, scores=(Score(metric="bleu", value=1, evidence=({1, 2},)),)),)
            ),
            "golden/shop.yaml::returns holds what JSON cannot",
        ),
        (
            replace(
                RUN,
                suite={
                    "a.yaml": tuple(
                        SuiteCheck(metric="bleu", statistic=name, comparison=">", threshold=1, max_drop=drop)
                        for name, drop in (("min", 1), ("max", None))
                    )
                },
            ),
            "max_drop",
        ),
    ],
)
def test_what_cannot_be_read_again_is_not_written(tmp_path, run, words):
    path = tmp_path / "run.json"
    path.write_text("before", encoding="utf-8")

    with pytest.raises(RunFileError, match="not written") as caught:
        write_run(run, path)

    assert words in str(caught.value)
    assert path.read_text(encoding="utf-8") == "before"


def test_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_run(RUN, path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))

    with pytest.raises(OSError, match="No space"):
        write_run(replace(RUN, signature={}), path)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_who_reads_meanwhile_sees_one_whole_file(tmp_path):
    path = tmp_path / "run.json"
    write_run(RUN, path)
    before = path.read_bytes()

    with path.open("rb") as reader:
        write_run(replace(RUN, signature={}), path)
        assert reader.read() == before

    assert load_run(path).signature == {}


def document(**changes: object) -> str:
    return json.dumps({"version": 1, "results": [], **changes})


def result(**changes: object) -> str:
    return document(results=[{"case": "f::a"}, {"case": "f::b", **changes}])


BROKEN = [
    ("", "line 1, column 1: is no JSON: Expecting value (the file ends too early)"),
    ("{", "is no JSON"),
    (document()[:-1], "the file ends too early"),
    ("{}{}", "Extra data"),
    ("[]", "must be a mapping, not []"),
    ("{}", "version: is missing"),
    (document(version=3), "version: is 3, this release reads 1 to 2"),
    (document(version=1.5), "version: is 1.5, this release reads 1 to 2"),
    (document(version=True), "version: is True"),
    ('{"version": 1}', "results: must be a list"),
    (document(result=[]), "unknown key 'result'. Did you mean 'results'?"),
    (document(results={}), "results: must be a list"),
    (document(results=[3]), "results[0]: must be a mapping, not 3"),
    (document(results=[{}]), "results[0]: case is missing"),
    (document(results=[{"case": "f::a"}] * 2), "results[1].case: 'f::a' occurs twice"),
    (result(rival=[]), "results[1].rival: must be a mapping, not []"),
    (result(rival={"rival": {}}), "results[1].rival: unknown key 'rival'"),
    (result(rival={"scores": [{"metric": "a"}]}), "results[1].rival.scores[0]: value is missing"),
    (document(suite={"bleu": {"min_gain": "much"}}), "suite: bleu: min_gain must be a number, not 'much'"),
    (result(score=[]), "results[1]: unknown key 'score'. Did you mean 'scores'?"),
    (result(scores=[{"metric": "bleu"}]), "results[1].scores[0]: value is missing"),
    (
        result(scores=[{"metric": "bleu", "value": "1"}]),
        "results[1].scores[0].value: must be a finite number, not '1'",
    ),
    (result(scores=[{"metric": "bleu", "value": True}]), "results[1].scores[0].value"),
    (
        result(scores=[{"metric": "bleu", "value": math.nan}]),
        "results[1].scores[0].value: must be a finite number",
    ),
    (
        result(scores=[{"metric": "bleu", "value": -math.inf}]),
        "results[1].scores[0].value: must be a finite number",
    ),
    (
        result(scores=[{"metric": "bleu", "value": 10**400}]),
        "must be a finite number, not an enormous number",
    ),
    (result(scores=[{"metric": "bleu", "value": 1, "repeat": -1}]), "results[1].scores[0].repeat"),
    (result(scores=[{"metric": "bleu", "value": 1, "evidence": [{"a": [math.nan]}]}]), "evidence[0].a[0]"),
    (result(outputs=[{"text": None}]), "results[1].outputs[0].text: must be text, not None"),
    (
        result(outputs=[{"text": "", "passages": [{"text": ""}]}]),
        "results[1].outputs[0].passages[0]: id is missing",
    ),
    (
        result(failures=[{"metric": "", "stage": "ap", "error": ""}]),
        "results[1].failures[0].stage: must be one of app",
    ),
    (document(usage={"calls": 1.5}), "usage.calls: must be a whole number"),
    (document(signature={"app": 3}), "signature.app: must be text"),
    (document(suite={"bleu": 3}), "suite: bleu: must be a mapping"),
    (document(suite={"bleu": {"mean": "about 3"}}), "suite: bleu mean: must be a comparison"),
    (document(suite={"bleu": {"mean": ">= nan"}}), "suite: bleu mean: must be a comparison"),
    (document(suite={"bleu": {"meen": ">= 3"}}), "no statistic is named 'meen'. Did you mean 'mean'?"),
    (document(suite={"bleu": {"meen": ">= 80%"}}), "no statistic is named 'meen'. Did you mean 'mean'?"),
    (document(suite={"bleu": {"meen": ">= 0,8"}}), "no statistic is named 'meen'. Did you mean 'mean'?"),
    (document(suite={"bleu": {"meen": "< nan"}}), "no statistic is named 'meen'. Did you mean 'mean'?"),
    (document(suite={"bleu": {"mean": ">= 3", "max_drop": -1}}), "suite: bleu: max_drop"),
    (document(suite={"bleu": {"p50": ">= 3", "p95": "> 1", "max_drop": 1}}), "max_drop beside several"),
    ("9" * 5000, "too long"),
    ("[" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("text", "words"), BROKEN, ids=[words for _, words in BROKEN])
def test_broken_file_is_one_message_with_file_place_and_remedy(tmp_path, text, words):
    path = tmp_path / "run.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(RunFileError) as caught:
        load_run(path)

    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert message.endswith(f"make it again with: pytest --llm-golden --llm-out {path}")
    assert caught.value.__suppress_context__
    assert len(message) < 500


def test_every_cut_of_a_file_is_told(tmp_path):
    path = tmp_path / "run.json"
    write_run(RUN, path)
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(RunFileError):
            load_run(path)


@pytest.mark.parametrize(
    ("name", "record", "without", "optional"),
    [
        ("result", CaseResult, {"printed", "spent"}, {"input_hash"}),
        ("span", Span, {"resource"}, set()),
        ("output", Output, set(), set()),
        ("played", Played, set(), set()),
        ("score", Score, set(), set()),
        ("failure", Failure, set(), set()),
        ("check", Check, set(), set()),
        ("usage", Usage, set(), set()),
    ],
)
def test_the_schema_has_the_fields_of_the_records(name, record, without, optional):
    """What is read by the types of the records is what the schema publishes."""
    published = SCHEMA["$defs"][name]
    summed = {"calls"} if name == "result" else set()
    written = [field for field in fields(record) if field.name not in without]
    required = {each.name for each in written if each.default is each.default_factory is MISSING} - optional

    assert set(published["properties"]) == {each.name for each in written} | summed
    assert set(published.get("required", ())) == required
    assert published["additionalProperties"] is False


def test_a_result_counts_the_calls_of_all_its_repeats(tmp_path):
    usage = Usage(calls=3, replayed=1, failed=1)
    again = Output(text="b", repeat=1, usage=usage, elsewhere={"api.example.com": 2})
    broken = Failure(metric="", stage="app", error="broke", repeat=2, usage=Usage(calls=1, failed=1))
    path = tmp_path / "run.json"

    write_run(replace(RUN, results=(replace(RESULT, outputs=(again,), failures=(broken,)),)), path)

    (result,) = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert result["calls"] == {"made": 3, "replayed": 1, "failed": 2, "elsewhere": {"api.example.com": 2}}


def test_a_file_of_version_1_is_read(tmp_path):
    path = tmp_path / "run.json"
    write_run(RUN, path)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["environment"]
    for result in document["results"]:
        for name in ("input", "spans", "calls"):
            del result[name]
    path.write_text(json.dumps({**document, "version": 1}), encoding="utf-8")

    assert load_run(path) == RUN


def test_missing_file_names_the_near_one_and_how_to_make_it(tmp_path):
    (tmp_path / "baseline.json").touch()

    with pytest.raises(RunFileError, match=r"Did you mean 'baseline\.json'\? Make it: pytest --llm-golden"):
        load_run(tmp_path / "basline.json")


def test_what_is_no_readable_text_is_told(tmp_path):
    (tmp_path / "run.json").write_bytes(b'{"version": \xff')

    with pytest.raises(RunFileError, match="byte 12 is no UTF-8"):
        load_run(tmp_path / "run.json")
    with pytest.raises(RunFileError, match="cannot be read: Is a directory"):
        load_run(tmp_path)


def test_hostile_text_is_escaped_in_the_message(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(result(**{"\x1b[2J\u202e": 1}), encoding="utf-8")

    with pytest.raises(RunFileError) as caught:
        load_run(path)

    assert "\\x1b[2J\\u202e" in str(caught.value)
    assert str(caught.value).isprintable()


BEYOND_A_SCHEMA = (
    "too early",
    "Extra",
    "occurs twice",
    "no statistic",
    "max_drop beside",
    "finite",
    "evidence[0]",
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        each
        for each in BROKEN
        if each[0].startswith('{"version": 1, ')
        and not any(words in each[1] for words in BEYOND_A_SCHEMA)
        and "nan" not in each[0]
    ],
)
def test_schema_refuses_what_the_reader_refuses(text, words):
    assert not VALIDATOR.is_valid(json.loads(text)), words


def stream(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    return path


def test_stream_reads_as_the_whole_file_does(tmp_path):
    write_run(RUN, tmp_path / "run.json")
    whole = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    head = {key: whole[key] for key in ("version", "signature", "suite")}

    full = stream(tmp_path / "full.jsonl", head, *whole["results"], {"usage": whole["usage"]})
    cut = stream(tmp_path / "cut.jsonl", head, *whole["results"])

    assert load_run(full) == RUN
    assert load_run(cut).usage == RESULT.outputs[0].usage


def test_broken_line_of_a_stream_is_named(tmp_path):
    path = stream(tmp_path / "run.jsonl", {"version": 1}, {"case": "f::a"}, {"case": "f::b", "scores": 3})
    with pytest.raises(RunFileError, match="line 3: scores: must be a list, not 3"):
        load_run(path)

    path.write_text('{"version": 1}\n{"case": \n{"case": "f::a"}', encoding="utf-8")
    with pytest.raises(RunFileError, match=r"line 2, column 10: is no JSON.*ends too early"):
        load_run(path)

    path.write_text("", encoding="utf-8")
    with pytest.raises(RunFileError, match="is empty"):
        load_run(path)


def test_the_line_in_which_a_stream_was_cut_off_is_left_out(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text('{"version": 1}\n{"case": "f::a"}\n{"case": ', encoding="utf-8")
    assert [result.case for result in load_run(path).results] == ["f::a"]

    path.write_text('{"version": 1', encoding="utf-8")
    with pytest.raises(RunFileError, match="line 1"):
        load_run(path)


def test_the_last_result_of_a_case_counts_and_so_do_later_stamps(tmp_path):
    first, again = (
        {"case": "f::a", "outputs": [{"text": text, "repeat": at} for at, text in enumerate(texts)]}
        for texts in ("a", "ab")
    )
    path = stream(tmp_path / "run.jsonl", {"version": 2, "signature": {"app:f": "x:y"}}, first)
    with path.open("ab") as file:
        file.write(dump_stamps({"code:x.py": "12"}) + json.dumps(again).encode() + b"\n")

    run = load_run(path)
    assert [len(result.outputs) for result in run.results] == [2]
    assert run.signature == {"app:f": "x:y", "code:x.py": "12"}


def test_little_is_needed(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(result(scores=[{"metric": "bleu", "value": 1}]), encoding="utf-8")

    assert load_run(str(path)).results[1] == CaseResult(
        case="f::b", input_hash="", scores=(Score(metric="bleu", value=1.0),)
    )


def test_load_run_is_public():
    assert pytest_llmops.load_run is load_base


@pytest.mark.parametrize("name", ["pyproject.toml", "golden.yaml"])
def test_no_remedy_writes_over_a_file_of_another_kind(tmp_path, name):
    (tmp_path / name).write_text("version: 1\n")
    with pytest.raises(RunFileError) as caught:
        load_run(tmp_path / name)
    assert str(caught.value).endswith("make it again with: pytest --llm-golden --llm-out run.json")


def test_what_a_check_denies_is_not_written(tmp_path):
    options = {"deny": ["falcon seven"], "allow": ["help@willow.co.uk"]}
    check = Check(metric="pii_leak", comparison="<=", threshold=0, options=options)
    suite = SuiteCheck(metric="pii_leak", statistic="mean", comparison="<=", threshold=0, options=options)
    result = CaseResult(case="a.yaml::a", input_hash="", checks=(check,))
    path = tmp_path / "run.json"

    write_run(Run(signature={}, results=(result,), suite={"a.yaml": (suite,)}), path)

    assert "falcon" not in path.read_text(encoding="utf-8")
    (read,) = load_run(path).results
    assert read.checks[0].options == {**options, "deny": ["<DENIED 12 chars>"]}
