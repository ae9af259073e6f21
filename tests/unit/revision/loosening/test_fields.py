"""Any field that changed is looser, but where a rule says that it became stricter."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from pytest_llmops.records import Attached, Bound, Case, Check, Golden, SuiteCheck
from pytest_llmops.revision.loosening.fields import looser_fields
from pytest_llmops.revision.loosening.setting_changes import WATCHED
from pytest_llmops.settings import Settings
from tests.unit.gates.golden_records import case_of, check_of, compare_goldens, golden_of, suite_of


@dataclass(frozen=True, kw_only=True)
class Later:
    """A case as a later release may have it."""

    key_of_tomorrow: object = None
    description: str = ""
    metadata: object = None
    live: object = False
    skip: object = ""
    xfail: object = ""
    record_only: object = False
    model_errors: object = None
    record: object = None
    require_spans: object = False
    passages: object = "scan"
    pass_rate: object = None
    max_drop: object = None
    group: str = ""


def at_least(threshold: float) -> Bound:
    return Bound(comparison=">=", threshold=threshold)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("key_of_tomorrow", None, "anything"),
        ("live", True, False),
        ("skip", "", "later"),
        ("xfail", False, True),
        ("record_only", False, True),
        ("model_errors", "fail", "allow"),
        ("model_errors", "warn", "allow"),
        ("model_errors", None, "allow"),
        ("record", {"never": ["a", "b"]}, {"never": ["a"]}),
        ("record", {"never": ["a"]}, None),
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
    assert [each.name for each in looser_fields(was, now, ())] == [name]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("description", "", "words"),
        ("metadata", None, {"owner": "ada"}),
        ("live", False, True),
        ("skip", "later", ""),
        ("record_only", True, False),
        ("model_errors", "allow", "warn"),
        ("model_errors", None, "fail"),
        ("record", None, {"never": ["a"]}),
        ("record", {"never": ["a"]}, {"never": ["b", "a"]}),
        ("require_spans", False, True),
        ("require_spans", 2, 3),
        ("passages", "own_knowledge", "scan"),
        ("pass_rate", at_least(0.8), at_least(0.9)),
        ("max_drop", 0.2, 0.1),
        ("max_drop", None, 0),
    ],
)
def test_stricter(name: str, before: Any, after: Any) -> None:
    assert not list(looser_fields(Later(**{name: before}), Later(**{name: after}), ()))


FILE_FIELDS = {each.name for each in fields(Golden) if each.compare} - {"path", "sha256", "rival"}
OTHER: dict[str, Any] = {
    "judge": {"model": "m", "base_url": "http://127.0.0.1:1/v1"}, "encoder": "large", "require_spans": 0,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILE_FIELDS))
def test_every_field_of_a_file_is_watched(name: str) -> None:
    """`rival` only where something rests on it; the digest is of what the others say."""
    full = replace(
        golden_of(case_of(check_of(">= 0.5")), suite=(suite_of(">= 0.5"),)),
        prompts=("p",),
        data=("d",),
        never_record=("h",),
        app="a:b",
        judge={"model": "m"},
        require_spans=1,
    )
    value = OTHER.get(name, () if isinstance(getattr(full, name), tuple) else "other")
    assert compare_goldens([full], [replace(full, **{name: value})])


OF_CASES = {"repeats": 1, "checks": (), "relevant": ("x",), "attached": (Attached(path="a.png", sha256="0"),)}


@pytest.mark.parametrize("name", sorted({each.name for each in fields(Case)} - {"id", "source", "tags"}))
def test_every_field_of_a_case_is_watched(name: str) -> None:
    """But for the tags, where nobody chooses by them."""
    case = case_of(check_of(">= 0.5"), repeats=5)
    value: Any = OF_CASES.get(name, "other")
    assert compare_goldens([golden_of(case)], [golden_of(replace(case, **{name: value}))])


@pytest.mark.parametrize("name", sorted(each.name for each in fields(Check)))
def test_every_field_of_a_check_is_watched(name: str) -> None:
    check = replace(check_of(">= 0.5"), min_kappa=0.5, max_drop=0.1)
    changed: dict[str, Any] = {
        "comparison": "<=", "threshold": 0.4, "options": {"x": 1}, "min_kappa": None,
        "pass_rate": at_least(0.5), "max_drop": 0.5, "record_only": True,
    }  # fmt: skip
    new = replace(check, **{name: changed.get(name, "other")})
    assert compare_goldens([golden_of(case_of(check))], [golden_of(case_of(new))])


@pytest.mark.parametrize("name", sorted(each.name for each in fields(SuiteCheck)))
def test_every_field_of_a_suite_check_is_watched(name: str) -> None:
    check = suite_of(">= 0.5", drop=0.1)
    changed: dict[str, Any] = {
        "comparison": "<=", "threshold": 0.4, "options": {"x": 1}, "max_drop": 0.5, "record_only": True,
    }  # fmt: skip
    new = replace(check, **{name: changed.get(name, "other")})
    assert compare_goldens([golden_of(suite=(check,))], [golden_of(suite=(new,))])


def test_every_setting_is_watched_but_those_that_decide_nothing() -> None:
    free = {each.name for each in fields(Settings)} - {*WATCHED}
    assert free == {"root", "flagged", "golden", "out", "concurrency", "export"}
