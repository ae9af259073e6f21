from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import yaml

from reference_app.training.evaluation.scoring import score_plan
from reference_app.training.examples.corpus import (
    DATA,
    FILES,
    PHRASINGS,
    build_corpus,
    read_lines,
    write_corpus,
)
from reference_app.training.examples.formats import read_chat, read_preferences
from reference_app.training.examples.records import UNKNOWN

ROOT = Path(__file__).parents[3]
# Independent questions, written without a look at the training data, that happen to be worded as it is.
MET_BY_CHANCE = {
    "which category has the most products",
    "what happened to {order}",
    "i want my money back for {order}",
}


@pytest.fixture(scope="module")
def corpus():
    return build_corpus()


def normal(text: str) -> str:
    return " ".join(re.findall(r"\w+|\{\w+\}", text.lower()))


def trained(corpus):
    return (*corpus.train, *corpus.validation)


def test_the_committed_files_are_what_the_script_makes(corpus, tmp_path):
    write_corpus(corpus, tmp_path)
    assert [(tmp_path / name).read_bytes() == (DATA / name).read_bytes() for name in FILES] == [True] * len(
        FILES
    )


def test_sizes(corpus):
    assert len(corpus.train) >= 600
    assert len(corpus.test) >= 150
    assert len(corpus.pairs_train) >= 100
    assert len(corpus.general) >= 30
    for part in (corpus.train, corpus.test):
        kinds = Counter(example.kind for example in part if example.task == "plan")
        assert kinds["refuse"] >= 30
        assert len(kinds) == 16


def test_every_intent_has_a_dozen_phrasings_to_learn_from(corpus):
    phrasings = defaultdict(set)
    for example in trained(corpus):
        if example.task == "plan":
            phrasings[example.kind].add(example.phrasing)
    assert {kind: len(texts) for kind, texts in phrasings.items() if len(texts) < 12} == {}


def test_no_phrasing_stands_in_training_and_test(corpus):
    seen = {normal(example.phrasing) for example in trained(corpus)}
    seen |= {normal(pair.phrasing) for pair in corpus.pairs_train}
    unseen = {normal(example.phrasing) for example in (*corpus.test, *corpus.general)}
    unseen |= {normal(pair.phrasing) for pair in corpus.pairs_test}
    assert seen & unseen == set()


def test_no_conversation_stands_in_training_and_test(corpus):
    assert {normal(one.user) for one in trained(corpus)} & {normal(one.user) for one in corpus.test} == set()


@pytest.mark.parametrize("pattern", [r"FW-\d{5}", r"\b[A-Z]{1,2}\d{1,2} \d[A-Z]{2}\b", r"\b[A-Z]{3}-\w{4}\b"])
def test_no_order_postcode_or_tracking_number_stands_in_both(corpus, pattern):
    parts = [set(re.findall(pattern, f"{one.user} {one.assistant}".upper())) for one in trained(corpus)]
    tests = [set(re.findall(pattern, f"{one.user} {one.assistant}".upper())) for one in corpus.test]
    assert set().union(*tests)
    assert set().union(*parts) & set().union(*tests) == set()


def test_entities_of_the_splits_are_disjoint():
    pools = yaml.safe_load((PHRASINGS / "plans.yaml").read_text(encoding="utf-8"))["entities"]
    facts = yaml.safe_load((PHRASINGS / "facts.yaml").read_text(encoding="utf-8"))
    for kind in pools["train"]:
        assert set(pools["train"][kind]) & set(pools["test"][kind]) == set()
    assert set(facts["days"]["train"]) & set(facts["days"]["test"]) == set()
    assert set(facts["things"]["train"]) & set(facts["things"]["test"]) == set()


def test_no_product_or_store_of_a_plan_stands_in_both(corpus):
    def named(part):
        plans = [
            json.loads(one.assistant) for one in part if "store_stock" in one.kind and one.task == "plan"
        ]
        calls = [
            call["arguments"] for plan in plans for call in plan["calls"] if call["name"] == "store_stock"
        ]
        return {value.lower() for arguments in calls for value in arguments.values()}

    assert len(named(trained(corpus))) > 100
    assert named(trained(corpus)) & named(corpus.test) == set()


def test_sections_of_document_answers_are_disjoint(corpus):
    sections = [
        {one.kind for one in part if one.task == "document"} for part in (trained(corpus), corpus.test)
    ]
    assert sections[0] & sections[1] == set()


def test_no_golden_question_is_trained(corpus):
    golden = set()
    for path in (ROOT / "golden").glob("*.yaml"):
        cases = yaml.safe_load(path.read_text(encoding="utf-8")).get("cases", [])
        golden |= {_without_entities(case["input"]) for case in cases if isinstance(case.get("input"), str)}
    assert golden
    used = {_without_entities(example.user) for example in trained(corpus)}
    used |= {_without_entities(example.user.rpartition("Question: ")[2]) for example in trained(corpus)}
    used |= {_without_entities(example.phrasing) for example in trained(corpus)}
    assert golden & used == MET_BY_CHANCE


def _without_entities(text: str) -> str:
    return normal(re.sub(r"FW-\d{5}", "{order}", text, flags=re.IGNORECASE))


def test_every_plan_is_valid_and_in_one_form(corpus):
    for example in (*trained(corpus), *corpus.test):
        if example.task == "plan":
            assert all(score_plan(example.assistant, example.assistant).values()), example
            assert example.assistant == json.dumps(
                json.loads(example.assistant), separators=(",", ":"), ensure_ascii=False
            )


def test_numbers_and_ids_of_an_answer_stand_in_what_it_was_given(corpus):
    for example in (*trained(corpus), *corpus.test):
        if example.task in ("document", "facts"):
            assert set(re.findall(r"\d+", example.assistant)) <= set(re.findall(r"\d+", example.user)), (
                example
            )
            assert all(one in example.user and one in example.assistant for one in example.ids), example


def test_an_unknown_answer_is_given_where_the_passage_is_of_another_section(corpus):
    rows = yaml.safe_load((PHRASINGS / "answers.yaml").read_text(encoding="utf-8"))
    home = {row[1]: row[0] for part in rows.values() for row in part}
    unknown = [one for one in (*corpus.train, *corpus.test) if one.task == "unknown"]
    assert len(unknown) >= 40
    for example in unknown:
        assert example.assistant == UNKNOWN
        assert f"[{home[example.phrasing]}]" not in example.user


def test_both_splits_hold_hurried_spelling(corpus):
    for part in (corpus.train, corpus.test):
        asked = [one.user for one in part if one.task == "plan"]
        assert sum(text == text.lower() for text in asked) >= len(asked) / 12
        assert sum(text[-1] not in ".?!;:>" for text in asked) >= len(asked) / 8


def test_the_files_keep_openais_formats():
    assert len(read_chat(DATA / "sft-train.jsonl")) >= 600
    assert len(read_chat(DATA / "sft-test.jsonl")) >= 150
    assert len(read_preferences(DATA / "dpo-train.jsonl")) >= 100
    assert len(read_preferences(DATA / "dpo-test.jsonl")) >= 20
    assert len(read_lines(DATA / "expected-test.jsonl")) == sum(
        len(read_lines(DATA / name)) for name in ("sft-test.jsonl", "general-test.jsonl")
    )
