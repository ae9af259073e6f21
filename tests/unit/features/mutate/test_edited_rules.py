"""Rules of prompts and documents, and what is no rule."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest
import yaml

from pytest_llmops.features.mutate.rules import edit_rules

PAGE = """---
title: Returns and everything about them
---
# How long do you have to send it back

Boots must be sent back within 60 days
of delivery. The parcel needs a label of ours.

- Never send back a stove with gas in it.

```
must not be changed within 60 days of code
```

| a table | that must not be touched at all |
"""


def changes(content: str, suffix: str = ".md") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for edit in edit_rules(content, suffix):
        found.setdefault(edit.kind, []).append(edit.change)
    return found


def test_sentences_are_rules_over_wrapped_lines_and_headings_code_and_tables_are_none():
    assert changes(PAGE) == {
        "rule_deleted": [
            "deleted: Boots must be sent back within 60 days of delivery.",
            "deleted: The parcel needs a label of ours.",
            "deleted: Never send back a stove with gas in it.",
        ],
        "rule_inverted": [
            "must → must not: Boots must be sent back within 60 days of delivery.",
            "Never → Always: Never send back a stove with gas in it.",
        ],
        "rule_weakened": [
            "must → may: Boots must be sent back within 60 days of delivery.",
            "Never → Rarely: Never send back a stove with gas in it.",
        ],
        "number_changed": ["60 → 90: Boots must be sent back within 60 days of delivery."],
    }


def test_one_rule_is_changed_and_the_rest_stays_as_it_is():
    edit = next(edit for edit in edit_rules(PAGE, ".md") if edit.kind == "number_changed")
    assert (edit.content, edit.line) == (PAGE.replace("within 60 days\nof", "within 90 days\nof"), 6)


@pytest.mark.parametrize(
    ("suffix", "content", "read"),
    [
        (
            ".yaml",
            "text: |\n  You must answer in one sentence.\n  Never name a price of 5 euros.\nmost: 3\n",
            yaml.safe_load,
        ),
        (
            ".json",
            json.dumps({"rules": ["You must answer in one sentence."], "most": 3}, indent=1),
            json.loads,
        ),
    ],
)
def test_structured_files_stay_readable_and_keep_their_keys(suffix, content, read):
    edits = edit_rules(content, suffix)
    assert {edit.kind for edit in edits} >= {"rule_inverted", "rule_weakened"}
    for edit in edits:
        assert read(edit.content).keys() == read(content).keys()


def test_a_language_without_its_own_words_has_deletions_and_numbers():
    assert set(changes("Stiefel kann man innerhalb von 60 Tagen zurückgeben.\n")) == {
        "rule_deleted",
        "number_changed",
    }


@pytest.mark.parametrize("content", ["", "# Only a heading that says must\n", "12 13\n", "x = 1\n" * 3])
def test_a_file_without_a_sentence_has_no_rule(content):
    assert edit_rules(content, ".md") == []


def test_many_rules_are_changed_in_three_places():
    content = "".join(f"Rule {at} says that you must pay {at} euros.\n\n" for at in range(1, 51))
    assert [change.partition(":")[0] for change in changes(content)["number_changed"]] == [
        "1 → 2",
        "25 → 37",
        "50 → 75",
    ]


def test_a_template_of_which_no_sentence_ends_is_read_in_linear_time():
    content = "You are a shop that answers a customer about orders and returns " * 400 + "{question}"
    start = time.perf_counter()
    assert edit_rules(content, ".md") == []
    assert time.perf_counter() - start < 2
    (deleted,) = changes("Use {n} words, not more. {language}: name a source of it.")["rule_deleted"]
    assert deleted == "deleted: name a source of it."


def test_a_long_file_is_not_held_once_a_rule():
    content = "".join(f"Rule {at} says that you must pay {at} euros.\n\n" for at in range(1, 3_001))
    tracemalloc.start()
    edits = edit_rules(content, ".md")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(edits) == 12
    assert most < 60 * len(content)
