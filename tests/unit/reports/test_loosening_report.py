from __future__ import annotations

from pytest_llmops.reports.loosening import render_edited, render_loosened
from pytest_llmops.revision.loosening import Loosening


def test_each_loosening_is_a_line():
    items = [
        Loosening(
            place="golden/a.yaml:7",
            case="golden/a.yaml::fell",
            what="bound of bleu changed",
            before="bleu >= 0.8",
            after="bleu >= 0.5",
        ),
        Loosening(place="golden/a.yaml", case="golden/a.yaml::gone", what="the case was removed"),
        Loosening(
            place="golden/b.yaml\x1b[2J:3", case="golden/b.yaml\x1b[2J::\u202e", what="a\nb", after="\x07"
        ),
        Loosening(
            place="golden/baseline.json", case="golden/a.yaml::fell", what="recorded again", before="1"
        ),
        Loosening(place="golden/reviews.jsonl", what="rewritten"),
    ]

    assert render_loosened(items) == [
        "this change loosens its own gate in 5 places:",
        "  golden/a.yaml:7: fell: bound of bleu changed (before: bleu >= 0.8, now: bleu >= 0.5)",
        "  golden/a.yaml: gone: the case was removed",
        "  golden/b.yaml\\x1b[2J:3: \\u202e: a\\nb (now: \\x07)",
        "  golden/baseline.json: golden/a.yaml::fell: recorded again (before: 1)",
        "  golden/reviews.jsonl: rewritten",
    ]


def test_the_head_counts_and_nothing_is_nothing():
    items = [Loosening(place="golden/reviews.jsonl", what="rewritten")]

    assert render_loosened(items)[0] == "this change loosens its own gate in 1 place:"
    assert render_loosened([]) == []


def test_edits_are_listed_under_another_head():
    items = [
        Loosening(place="golden/a.yaml:7", case="golden/a.yaml::b", what="options (all) of keywords changed")
    ]

    assert render_edited(items) == [
        "this change edits its own checks in 1 place; the old ones, named (merge base), are asked too:",
        "  golden/a.yaml:7: b: options (all) of keywords changed",
    ]
    assert render_edited([]) == []
