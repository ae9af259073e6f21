"""The data: what is trained on is right, and none of it stands in the test split or in a golden file."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from reference_app.training import golden
from reference_app.training.answers import UNKNOWN
from reference_app.training.corpus import DATA, FILES, PHRASINGS, build_corpus, write_corpus
from reference_app.training.measuring import score

ROOT = Path(__file__).parents[3]
KINDS = set(
    re.findall(
        r"\w+",
        "search_documents refuse reply ask find_products find_reviews list_stores ask_database order_status "
        "shipment loyalty_points store_stock request_refund change_address adjust_points",
    )
)


@pytest.fixture(scope="module")
def corpus():
    return build_corpus()


@pytest.fixture(scope="module")
def trained(corpus):
    return [*corpus["train"], *corpus["validation"]]


def normal(text):
    return " ".join(re.findall(r"\w+", re.sub(r"FW-\d{5}", "order", text, flags=re.IGNORECASE).lower()))


def test_the_committed_files_are_what_the_command_writes(corpus, tmp_path):
    write_corpus(corpus, tmp_path)
    golden.write_golden(tmp_path)
    for name in FILES:
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (DATA / f"{name}.jsonl").read_bytes()
    for name in ("adapter.yaml", "adapter-plans.yaml"):
        assert (tmp_path / name).read_bytes() == (ROOT / "golden" / name).read_bytes()


def test_each_tool_is_planned_alone_in_both_splits(corpus):
    for part, least in (("train", 10), ("test", 2)):
        kinds = Counter(one.kind for one in corpus[part] if one.task == "plan")
        assert {kind for kind in KINDS if kinds[kind] < least} == set()


def test_no_phrasing_conversation_or_number_of_the_test_split_is_trained(corpus, trained):
    test = [*corpus["test"], *corpus["pairs-test"]]
    for what in (lambda one: normal(one.phrasing), lambda one: normal(one.user)):
        assert {what(one) for one in test} & {what(one) for one in trained} == set()
    pattern = re.compile(r"FW-\d{5}|\b[A-Z]{1,2}\d{1,2} \d[A-Z]{2}\b|\b[A-Z]{3}-\w{4}\b")
    numbers = [
        {found for one in part for found in pattern.findall(one.user.upper())} for part in (trained, test)
    ]
    assert numbers[1]
    assert numbers[0] & numbers[1] == set()


def test_no_product_store_or_section_of_the_test_split_is_trained(corpus, trained):
    pools = yaml.safe_load((PHRASINGS / "plans.yaml").read_text(encoding="utf-8"))["entities"]
    assert all(set(pools["train"][kind]) & set(pools["test"][kind]) == set() for kind in pools["train"])
    tested = {one.kind for one in corpus["test"] if one.task == "document"}
    given = {
        found for one in trained for found in re.findall(r"^\[([\w-]+#[\w-]+)\]", one.user, re.MULTILINE)
    }
    assert len(tested) > 30
    assert tested & given == set()


def test_no_golden_question_is_trained(trained):
    used = {
        normal(text)
        for one in trained
        for text in (one.user, one.phrasing, one.user.rpartition("Question: ")[2])
    }
    for path in (ROOT / "golden").glob("adapter*.yaml"):
        cases = yaml.safe_load(path.read_text(encoding="utf-8"))["cases"]
        asked = [case["input"] for case in cases]
        texts = {normal(one if isinstance(one, str) else json.dumps(one)) for one in asked}
        assert texts & used == set(), path


def test_every_plan_and_answer_is_right_by_its_own_measure(corpus, trained):
    for one in (*trained, *corpus["test"]):
        if one.task != "general":
            assert {name for name, value in score(one, one.assistant) if value < 1} == set(), one


def test_numbers_of_an_answer_stand_in_what_it_was_given(corpus, trained):
    for one in (*trained, *corpus["test"]):
        if one.task in {"document", "facts"}:
            assert set(re.findall(r"\d+", one.assistant)) <= set(re.findall(r"\d+", one.user)), one
        if one.task == "unknown":
            assert one.assistant == UNKNOWN


def test_the_names_of_the_split_drawn_anew_stand_nowhere_else():
    names = yaml.safe_load((PHRASINGS / "names.yaml").read_text(encoding="utf-8"))
    files = [*DATA.glob("*.jsonl"), *(path for path in PHRASINGS.glob("*.yaml") if path.stem != "names")]
    known = "".join(path.read_text(encoding="utf-8").lower() for path in files)
    assert [name for kind in names.values() for name in kind if name.lower() in known] == []
