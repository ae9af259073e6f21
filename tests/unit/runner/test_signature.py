"""The signature of a run, by which two runs show their differences."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

import pytest

from pytest_llmops import load_golden
from pytest_llmops.errors import PromptError
from pytest_llmops.records import CaseResult, ModelCall, Output, Score
from pytest_llmops.runner.signature import prompt_versions, sign_run

GOLDEN = """
version: 1
app: shop:answer
prompts: [prompts]
data: [docs, index.bin]
cases: [{id: a, input: hello}, {id: b, input: there}]
"""
PLANNER = "---\nname: planner\nversion: 1.2.0\nkind: planner\n---\nPlan.\n"


@pytest.fixture
def root(tmp_path):
    files = {
        "golden/shop.yaml": GOLDEN,
        "prompts/planner.md": PLANNER,
        "prompts/plain.txt": "Be brief.",
        "docs/a.md": "60 days",
        "docs/deep/b.md": "free",
        "index.bin": "0101",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def sign(root, *results: CaseResult, **options):
    golden = load_golden(root / "golden/shop.yaml", root=root)
    return dict(sign_run([golden], results or done("a", "b"), **{"app": None, "root": root, **options}))


def done(*cases: str, **others) -> tuple[CaseResult, ...]:
    return tuple(CaseResult(case=f"golden/shop.yaml::{case}", input_hash="", **others) for case in cases)


def test_a_run_is_signed_by_all_that_made_it(root):
    signed = sign(root)
    digest = hashlib.sha256(GOLDEN.encode()).hexdigest()
    assert signed["pytest-llmops"] == version("pytest-llmops")
    assert signed["golden:golden/shop.yaml"] == digest
    assert signed["app:golden/shop.yaml"] == "shop:answer"
    planner = hashlib.sha256(PLANNER.encode()).hexdigest()
    assert signed["prompt:prompts/planner.md"] == f"planner 1.2.0 {planner}"
    assert signed["prompt:prompts/plain.txt"].startswith("plain - ")
    assert signed["repeats"] == "1"
    assert "partial" not in signed
    assert list(signed) == sorted(signed)
    assert all(isinstance(value, str) for value in signed.values())


def test_the_app_that_overrides_is_the_one_that_signs(root):
    assert sign(root, app="till:ask")["app:golden/shop.yaml"] == "till:ask"
    (root / "golden/shop.yaml").write_text(GOLDEN.replace("app: shop:answer\n", ""))
    assert sign(root)["app:golden/shop.yaml"] == "llm_app"


def test_a_run_of_some_cases_says_so(root):
    assert sign(root, *done("a"))["partial"] == "1 of 2 cases"
    assert sign(root, repeats="auto")["repeats"] == "auto"


@pytest.mark.parametrize("written", ["docs/a.md", "docs/deep/b.md", "docs/c.md"])
def test_data_is_signed_to_the_last_byte(root, written):
    before = sign(root)
    (root / written).write_text("30 days")
    after = sign(root)
    assert before["data:docs"] != after["data:docs"]
    assert before["data:index.bin"] == after["data:index.bin"]
    (root / written).unlink()
    assert sign(root)["data:docs"] != after["data:docs"]


def test_data_is_signed_by_names_too(root):
    before = sign(root)["data:docs"]
    (root / "docs/a.md").rename(root / "docs/aa.md")
    assert sign(root)["data:docs"] != before


def test_data_is_the_same_wherever_it_lies(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "root"
    root.rename(other)
    moved = sign(other)
    other.rename(root)
    assert moved == sign(root)


def score(signature: str) -> Score:
    return Score(metric="bleu", value=1, signature=signature)


def test_metrics_are_signed_by_how_they_scored(root):
    results = (*done("a", scores=(score("v1"), score("v1"))), *done("b", scores=(score("v2"),)))
    assert sign(root, *results)["metric:bleu"] == "v1, v2"


def called(**call: str | None) -> Output:
    return Output(text="", model="the last one", model_calls=(ModelCall(key="k", **call),))


@pytest.mark.parametrize(
    ("outputs", "signed"),
    [
        ((called(model="gpt", reported="gpt-1", fingerprint="fp_a"),), {"model:gpt": "gpt-1 fp_a"}),
        (
            (
                called(model="gpt", reported="gpt-1", fingerprint="fp_b"),
                called(model="gpt", reported="gpt-1", fingerprint="fp_a"),
            ),
            {"model:gpt": "gpt-1 fp_a, gpt-1 fp_b"},
        ),
        ((called(model="gpt", reported="gpt-1"),), {"model:gpt": "gpt-1"}),
        ((called(model="gpt"),), {"model:gpt": "-"}),
        ((called(model=None, reported="gpt-1"),), {"model:-": "gpt-1"}),
        ((called(model="gpt", tools="t1"),), {"model:gpt": "-", "tools:gpt": "t1"}),
        (
            (called(model="gpt", tools="t2"), called(model="gpt", tools="t1")),
            {"model:gpt": "-", "tools:gpt": "t1, t2"},
        ),
        ((Output(text="", model="said by the app"),), {"model:said by the app": "said by the app"}),
        ((Output(text=""),), {}),
    ],
)
def test_models_are_signed_by_who_answered(root, outputs, signed):
    found = sign(root, *done("a", outputs=outputs))
    assert {name: value for name, value in found.items() if name.startswith(("model:", "tools:"))} == signed


def test_versions_of_prompts_by_name(root):
    golden = load_golden(root / "golden/shop.yaml", root=root)
    assert prompt_versions([golden], root) == {"planner": "1.2.0", "plain": "-"}
    assert prompt_versions([], root) == {}
    (root / "prompts/planner.md").write_text(PLANNER.replace("1.2.0", "one"))
    with pytest.raises(PromptError, match=r"planner\.md:3"):
        prompt_versions([golden], root)
