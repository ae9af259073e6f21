from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llmops import Run, Settings, load_golden, load_run, load_settings, merge, run_golden, write_run
from pytest_llmops.errors import MergeError
from pytest_llmops.records import CaseResult, ModelCall, Output, Score

GOLDEN = """
suite: {keywords: {mean: ">= 0.5"}}
cases:
"""


def answer(question: str) -> str:
    return f"good {question}"


@pytest.mark.parametrize("count", [1, 2, 13])
def test_shards_of_a_script_become_the_run(tmp_path: Path, count: int) -> None:
    checks = "checks: {keywords: {all: [good]}}"
    groups = ["" if at % 3 else ", group: g" for at in range(10)]
    cases = "".join(f"  - {{id: c{at}, input: q{at}, {checks}{group}}}\n" for at, group in enumerate(groups))
    (tmp_path / "golden.yaml").write_text(GOLDEN + cases)
    golden = load_golden("golden.yaml", root=tmp_path)
    settings = load_settings(tmp_path)
    assert isinstance(settings, Settings)

    whole = run_golden(golden, answer, settings=settings)
    shards = [
        run_golden(golden, answer, settings=replace(settings, shard=f"{number}/{count}"))
        for number in range(1, count + 1)
    ]
    for number, shard in enumerate(shards):
        write_run(shard, tmp_path / f"{number}.json")
        assert load_run(tmp_path / f"{number}.json").shard == f"{number + 1}/{count}"
    merged = merge([load_run(tmp_path / f"{number}.json") for number in range(count)])

    assert merged.signature == whole.signature
    assert merged.suite == whole.suite
    assert merged.usage == whole.usage
    assert [result.case for result in merged.results] == [result.case for result in whole.results]
    write_run(merged, tmp_path / "merged.json")
    assert load_run(tmp_path / "merged.json").parts == merged.parts


def make(case: str, shard: str = "", **call: object) -> Run:
    output = Output(text="good", model_calls=(ModelCall(key=case, **call),)) if call else Output(text="good")
    result = CaseResult(
        case=f"golden/shop.yaml::{case}",
        input_hash=case,
        outputs=(output,),
        scores=(Score(metric="judge", value=1, signature=f"judge|v1|{case}"),),
    )
    return Run(
        signature={"golden:golden/shop.yaml": "1", "partial": "1 of 2 cases"}, results=(result,), shard=shard
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model": "m", "fingerprint": "fp_1"}, {"model": "m", "fingerprint": "fp_2"}),
        ({"model": "m", "settings": {"system": "1"}}, {"model": "m", "settings": {"system": "2"}}),
        ({"model": "m", "tools": "1"}, {"model": "m"}),
        ({"model": "m"}, {}),
    ],
)
def test_what_depends_on_the_case_is_no_difference(one: dict, other: dict) -> None:
    merged = merge([make("a", **one), make("b", **other)])

    assert len(merged.results) == 2
    assert "partial" not in merged.signature
    assert [part.cases for part in merged.parts] == [1, 1]


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ({"model": "m"}, {"model": "n"}, "the requested model is m in one and n in the other"),
        (
            {"model": "m", "reported": "m-1"},
            {"model": "m", "reported": "m-2"},
            "the model that answered of m is m-1 in one and m-2 in the other",
        ),
        (
            {"model": "m", "settings": {"temperature": "0"}},
            {"model": "m", "settings": {"temperature": "1"}},
            "temperature of m is 0 in one and 1 in the other",
        ),
    ],
)
def test_what_answered_otherwise_is_refused(one: dict, other: dict, message: str) -> None:
    with pytest.raises(MergeError) as refused:
        merge([make("a", **one), make("b", **other)], ["a.json", "b.json"])

    assert str(refused.value) == f"a.json and b.json are no parts of one run: {message}"


def score_all(signatures: dict[str, str], shard: str) -> Run:
    """A shard whose cases one metric scored, each with a signature."""
    results = tuple(
        CaseResult(
            case=f"golden/shop.yaml::{case}",
            input_hash=case,
            outputs=(Output(text="good"),),
            scores=(Score(metric="semantic", value=1, signature=signature),),
        )
        for case, signature in signatures.items()
    )
    return Run(signature={"partial": f"shard {shard}: 2 of 4 cases"}, results=results, shard=shard)


def test_another_encoder_is_refused_where_it_depends_on_no_case() -> None:
    one = score_all({"a": "semantic|v1|small", "b": "semantic|v1|small"}, "1/2")
    other = score_all({"c": "semantic|v1|large", "d": "semantic|v1|large"}, "2/2")
    mixed = score_all({"c": "semantic|v1|large", "d": "semantic|v1|c"}, "2/2")

    with pytest.raises(
        MergeError, match=r"metric semantic is semantic\|v1\|small in one and semantic\|v1\|large"
    ):
        merge([one, other])
    assert len(merge([one, mixed]).results) == 4
    newer = score_all({"c": "semantic|v2|c", "d": "semantic|v2|d"}, "2/2")
    with pytest.raises(
        MergeError, match=r"metric semantic is semantic\|v1 in one and semantic\|v2 in the other"
    ):
        merge([one, newer])


def test_a_run_that_did_not_come_to_its_end_is_refused() -> None:
    run = make("a")
    unfinished = replace(run, signature={**run.signature, "partial": "unfinished"})

    with pytest.raises(MergeError, match="run 2: the run did not come to its end"):
        merge([make("b"), unfinished])


def test_runs_of_unlike_golden_sets_are_refused() -> None:
    run = make("a")
    more = replace(run, signature={**run.signature, "golden:golden/more.yaml": "2"})

    with pytest.raises(MergeError, match=r"golden file golden/more\.yaml is new"):
        merge([make("b"), more])


def test_a_name_from_a_file_controls_no_terminal() -> None:
    with pytest.raises(MergeError) as refused:
        merge([make("a\x1b[31m"), make("a\x1b[31m")], ["x\x1b[31m", "y"])

    assert "\x1b" not in str(refused.value)


def make_one_that_stamps(kind: str) -> list[Run]:
    one, other = make("a"), make("b")
    one = replace(one, signature={**one.signature, "stamped": f"package {kind}", f"{kind}:shop": "v1"})
    return [one, replace(other, signature={**other.signature, "stamped": "package"})]


def test_a_shard_without_a_case_of_a_service_has_no_version_of_it() -> None:
    assert merge(make_one_that_stamps("service")).signature["service:shop"] == "v1"


def test_a_shard_without_stamps_of_code_is_of_another_run() -> None:
    with pytest.raises(MergeError, match="not stamped"):
        merge(make_one_that_stamps("code"))
