"""Any key that changed is looser, but where a rule says that its new value asks for as much."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import pytest

from pytest_llmops.records import Attached, Bound, Case, Check, Golden, SuiteCheck
from pytest_llmops.revision.loosening import UNWATCHED, list_looser_keys
from pytest_llmops.settings import Settings
from tests.unit.gates.golden_records import case_of, check_of, compare_goldens, golden_of, suite_of


@dataclass(frozen=True, kw_only=True)
class Later:
    """A case as a later release may have it."""

    key_of_tomorrow: object = None
    live: object = False
    never_record: object = ()
    allowed_hosts: object = ()
    also_record: object = ()
    ignored_parts: object = ()
    record_only: object = False
    model_errors: object = None
    require_spans: object = False
    passages: object = "scan"
    pass_rate: object = None
    max_drop: object = None
    group: str = ""
    measures: object = field(default_factory=dict)


def at_least(threshold: float) -> Bound:
    return Bound(comparison=">=", threshold=threshold)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("key_of_tomorrow", None, "anything"),
        ("live", True, False),
        ("record_only", False, True),
        ("model_errors", "fail", "allow"),
        ("model_errors", "warn", "allow"),
        ("model_errors", None, "allow"),
        ("never_record", ("a", "b"), ("a",)),
        ("allowed_hosts", (), ("a",)),
        ("also_record", (), ("POST a/b",)),
        ("ignored_parts", (), ("/a",)),
        ("require_spans", True, False),
        ("require_spans", 3, 2),
        ("passages", "scan", "own_knowledge"),
        ("pass_rate", at_least(0.8), at_least(0.7)),
        ("pass_rate", None, at_least(0.8)),
        ("pass_rate", at_least(0.8), None),
        ("max_drop", 0.1, 0.2),
        ("max_drop", 0.1, None),
        ("group", "", "one"),
    ],
)
def test_looser(name: str, before: Any, after: Any) -> None:
    was, now = Later(**{name: before}), Later(**{name: after})
    assert [key.name for key in list_looser_keys(was, now)] == [name]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("live", False, True),
        ("record_only", True, False),
        ("model_errors", "allow", "warn"),
        ("model_errors", None, "fail"),
        ("never_record", ("a",), ("b", "a")),
        ("require_spans", False, True),
        ("require_spans", 2, 3),
        ("passages", "own_knowledge", "scan"),
        ("pass_rate", at_least(0.8), at_least(0.9)),
        ("max_drop", 0.2, 0.1),
        ("max_drop", None, 0),
        ("measures", {}, {"mutation": {"lies": at_least(0.9)}}),
        ("measures", {"mutation": {"lies": at_least(0.8)}}, {"mutation": {"lies": at_least(0.9)}}),
    ],
)
def test_stricter(name: str, before: Any, after: Any) -> None:
    assert list_looser_keys(Later(**{name: before}), Later(**{name: after})) == []


FILE_FIELDS = {field.name for field in fields(Golden) if field.compare} - {
    "path",
    "sha256",
    "rival",
    "runs_on",
    "table",  # its cases are compared
}
OTHER: dict[str, Any] = {
    "judge": {"model": "m", "base_url": "http://127.0.0.1:1/v1"}, "encoder": "large", "require_spans": 0,
    "measures": {"mutation": {"lies": at_least(0.8)}},
    "allowed_hosts": ("h",), "also_record": ("POST a/b",), "ignored_parts": ("/a",),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILE_FIELDS))
def test_every_field_of_a_file_is_watched(name: str) -> None:
    """`rival` only where something rests on it, `runs_on` never; the digest is of what the others say."""
    full = replace(
        golden_of(case_of(check_of(">= 0.5")), suite=(suite_of(">= 0.5"),)),
        prompts=("p",),
        data=("d",),
        anchors="a.jsonl",
        never_record=("h",),
        app="a:b",
        judge={"model": "m"},
        require_spans=1,
        measures={"mutation": {"lies": at_least(0.9)}},
    )
    value = OTHER.get(name, () if isinstance(getattr(full, name), tuple) else "other")
    assert compare_goldens([full], [replace(full, **{name: value})])


FOR_PEOPLE = {"id", "source", "tags", "description", "metadata"}
OF_CASES = {"repeats": 1, "checks": (), "relevant": ("x",), "attached": (Attached(path="a.png", sha256="0"),)}


@pytest.mark.parametrize("name", sorted({field.name for field in fields(Case)} - FOR_PEOPLE))
def test_every_field_of_a_case_is_watched(name: str) -> None:
    """But for words for people, and for the tags, where nobody chooses by them."""
    case = case_of(check_of(">= 0.5"), repeats=5)
    value: Any = OF_CASES.get(name, "other")
    assert compare_goldens([golden_of(case)], [golden_of(replace(case, **{name: value}))])


@pytest.mark.parametrize("name", sorted(field.name for field in fields(Check)))
def test_every_field_of_a_check_is_watched(name: str) -> None:
    check = replace(check_of(">= 0.5"), min_kappa=0.5, max_drop=0.1)
    changed: dict[str, Any] = {
        "comparison": "<=", "threshold": 0.4, "options": {"x": 1}, "min_kappa": None,
        "pass_rate": at_least(0.5), "max_drop": 0.5, "record_only": True,
    }  # fmt: skip
    new = replace(check, **{name: changed.get(name, "other")})
    assert compare_goldens([golden_of(case_of(check))], [golden_of(case_of(new))])


@pytest.mark.parametrize("name", sorted(field.name for field in fields(SuiteCheck)))
def test_every_field_of_a_suite_check_is_watched(name: str) -> None:
    check = suite_of(">= 0.5", drop=0.1)
    changed: dict[str, Any] = {
        "comparison": "<=", "threshold": 0.4, "options": {"x": 1}, "max_drop": 0.5, "record_only": True,
        "watch": False,
    }  # fmt: skip
    new = replace(check, **{name: changed.get(name, "other")})
    assert compare_goldens([golden_of(suite=(check,))], [golden_of(suite=(new,))])


@pytest.mark.parametrize("name", sorted({field.name for field in fields(Settings)}))
def test_every_setting_is_watched_but_those_that_decide_nothing(name: str) -> None:
    laxer: dict[str, Any] = {
        "baseline": ("git:main", "none"), "max_repeats": (2, 1), "repeats": (2, 1), "timeout_s": (1, 2),
    }  # fmt: skip
    was, now = (replace(Settings(), **{name: value}) for value in laxer.get(name, ("a", "other")))
    free = {"root", "flagged", "golden", "out", "concurrency", "export", "metrics", "prices", "runs_on"}
    assert bool(list_looser_keys(was, now)) is (name not in free)
    assert UNWATCHED[Settings] == free


@pytest.mark.parametrize(
    ("old", "new", "loosened"),
    [
        (">= 0.5", ">= 0.5", False),
        (">= 0.5", ">= 0.6", False),
        (">= 0.5", "> 0.5", False),
        (">= 0.5", ">= 0.4", True),
        ("> 0.5", ">= 0.5", True),
        ("> 0.5", ">= 0.6", False),
        (">= 0.5", "> 0.49", True),
        ("<= 2", "<= 2", False),
        ("<= 2", "<= 1", False),
        ("<= 2", "< 2", False),
        ("<= 2", "<= 3", True),
        ("< 2", "<= 2", True),
        (">= 0.5", "<= 0.5", True),
        ("<= 0.5", ">= 0.5", True),
        (">= 0.5", "<= 1", True),
    ],
)
def test_a_bound_that_moved(old, new, loosened):
    keys = list_looser_keys(check_of(old), check_of(new))
    assert [key.name for key in keys] == ["bound"] * loosened


@pytest.mark.parametrize(
    ("metric", "old", "new", "differ"),
    [
        ("exact_match", {}, {"normalize": True}, False),
        ("exact_match", {}, {"normalize": False}, True),
        ("semantic", {}, {"encoder": "default"}, False),
        ("semantic", {}, {"encoder": "mine"}, True),
        ("keywords", {"all": ["a"]}, {"all": ["a", "b"]}, True),
        ("json_schema", {"schema": {"const": 1}}, {"schema": {"const": True}}, True),
        ("pii_leak", {"deny": ["Ann"]}, {"deny": ["Bob"]}, True),
        ("unheard_of", {"a": 1}, {"a": 1}, False),
        ("unheard_of", {}, {"a": 1}, True),
    ],
)
def test_other_options_differ_unless_they_mean_the_same(metric, old, new, differ):
    """Whether they are stricter is decided by asking the old check too."""
    keys = list_looser_keys(check_of(">= 1", metric, **old), check_of(">= 1", metric, **new))
    assert [key.name for key in keys] == ["options"] * differ
    (golden,), (edited,) = (
        [golden_of(case_of(check_of(">= 1", metric, **options)))] for options in (old, new)
    )
    assert [item.metric for item in compare_goldens([golden], [edited])] == [metric] * differ


def test_other_options_do_not_excuse_what_else_is_looser() -> None:
    """What is looser by itself has no metric whose old checks could be asked in its place."""
    old = check_of(">= 0.9", "exact_match")
    looser = check_of(">= 0.8", "exact_match", normalize=False)
    recorded = replace(check_of(">= 0.9", "exact_match", normalize=False), record_only=True)
    for new, name in ((looser, "bound"), (recorded, "record_only")):
        items = compare_goldens([golden_of(case_of(old))], [golden_of(case_of(new))])
        assert [(item.what, item.metric) for item in items] == [
            (f"exact_match: {what} changed{more}", metric)
            for what, more, metric in sorted([("options", ": normalize", "exact_match"), (name, "", "")])
        ]


def test_true_is_not_one() -> None:
    """To Python they are equal, and the app gets another input."""
    one, true = (golden_of(case_of(check_of(">= 1"), input={"strict": value})) for value in (1, True))
    assert [item.what for item in compare_goldens([one], [true])] == ["input changed"]
