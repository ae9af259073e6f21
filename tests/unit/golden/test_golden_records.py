"""The records that a golden file becomes, and the hash of an input."""

# ruff: noqa: F811 - the fixture is imported, and named again by the test that takes it

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from pytest_llmops.golden import find_golden_files, input_hash, load_golden
from pytest_llmops.records import Case, Check, Golden, Source, SuiteCheck
from tests.unit.golden.test_golden_loader import FULL, project  # noqa: F401 - a fixture


def test_a_full_file_becomes_its_records(project: Path) -> None:
    path = "golden/shop.yaml"

    golden = load_golden(path, root=project)

    latency = Check(metric="latency_s", comparison="<=", threshold=2.0)
    assert golden == Golden(
        path=path,
        app="shop.bot:answer",
        encoder="small",
        prompts=("prompts/answer.md",),
        sha256=sha256(FULL.encode()).hexdigest(),
        suite=(
            SuiteCheck(metric="recall@5", statistic="mean", comparison=">=", threshold=0.9, max_drop=0.05),
            SuiteCheck(metric="latency_s", statistic="p95", comparison="<=", threshold=2.0),
            SuiteCheck(metric="cost_usd", statistic="sum", comparison="<=", threshold=0.1),
        ),
        cases=(
            Case(
                id="returns-window",
                input="How long do I have to send boots back?",
                reference="Within 60 days of delivery.",
                relevant=("returns#window", "returns#short"),
                tags=("policy",),
                repeats=3,
                source=Source(path=path, line=13),
                checks=(
                    latency,
                    Check(metric="exact_match", comparison=">=", threshold=1.0),
                    Check(metric="rouge_l", comparison=">=", threshold=0.4),
                    Check(metric="rouge_l", comparison="<=", threshold=0.9),
                    Check(
                        metric="keywords",
                        comparison=">=",
                        threshold=1.0,
                        options={"all": ["60 days"], "none": ["no refund"]},
                    ),
                    Check(metric="semantic", comparison=">=", threshold=0.8, options={"encoder": "small"}),
                    Check(metric="recall@3", comparison=">=", threshold=1.0),
                ),
            ),
            Case(
                id="Grüße 2",
                input={
                    "question": "hi",
                    "history": [{"role": "user", "text": "no"}],
                    "deep": {"n": 1, "f": 0.5, "ok": True, "none": None},
                },
                reference="ho",
                source=Source(path=path, line=25),
                checks=(latency, Check(metric="rouge_l", comparison=">=", threshold=0.3)),
            ),
        ),
    )
    assert type(golden.cases[1].input) is dict
    assert type(golden.cases[1].input["history"]) is list


def test_the_hash_of_an_input_follows_what_is_asked_and_nothing_else() -> None:
    case = Case(id="a", input={"b": 1, "a": "é"}, reference="r", relevant=("p",))

    assert len(input_hash(case)) == 64
    assert input_hash(case) == input_hash(
        Case(id="z", input={"a": "é", "b": 1}, reference="r", relevant=("p",), tags=("t",), repeats=2)
    )
    others = [
        Case(id="a", input={"b": 2, "a": "é"}, reference="r", relevant=("p",)),
        Case(id="a", input={"b": 1, "a": "é"}, reference="", relevant=("p",)),
        Case(id="a", input={"b": 1, "a": "é"}, reference=None, relevant=("p",)),
        Case(id="a", input={"b": 1, "a": "é"}, reference="r"),
    ]
    assert len({input_hash(each) for each in [case, *others]}) == 5


def test_the_golden_files_of_this_project_load() -> None:
    root = Path(__file__).parents[3]

    goldens = [load_golden(path, root=root) for path in find_golden_files(["golden"], root)]

    assert "golden/support.yaml" in [golden.path for golden in goldens]
    assert all(golden.cases for golden in goldens)
