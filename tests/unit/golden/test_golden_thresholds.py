"""What each way of writing a check asks of a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from pytest_llmops import registry
from pytest_llmops.errors import ComparisonError, LLMOpsError
from pytest_llmops.golden.thresholds import read_checks
from pytest_llmops.records import Bound


@dataclass(frozen=True, kw_only=True)
class Quality:
    """From -1 to 1, higher is better, good from 0.5."""

    encoder: str = "default"
    expected: tuple[Any, ...] = ()

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()
    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">", threshold=0.5)

    def score(self, batch: Any) -> Any:
        return batch


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """A count, best when 0."""

    kind: str = "all"

    name: ClassVar[str] = "leaks"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()
    range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    higher_is_better: ClassVar[bool] = False
    bound: ClassVar[Bound] = Bound(comparison="<=", threshold=0.0)

    def score(self, batch: Any) -> Any:
        return batch


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {"quality": Quality, "leaks": Leaks})


@pytest.mark.parametrize(
    ("name", "written", "bounds"),
    [
        ("quality", ">= 0.8", [(">=", 0.8)]),
        ("quality", ">0.8", [(">", 0.8)]),
        ("quality", "  <=  -.5 ", [("<=", -0.5)]),
        ("quality", "< +1.", [("<", 1.0)]),
        ("quality", ">= 1e-3", [(">=", 0.001)]),
        ("quality", "> -1", [(">", -1.0)]),
        ("quality", True, [(">", 0.5)]),
        ("quality", False, [("<=", 0.5)]),
        ("quality", "none", [("<=", -1.0)]),
        ("quality", {"min": 0.2}, [(">=", 0.2)]),
        ("quality", {"max": 0.5}, [("<=", 0.5)]),
        ("quality", {"max": 0.9, "min": 0.2}, [(">=", 0.2), ("<=", 0.9)]),
        ("quality", {"min": 0.2, "max": 0.2}, [(">=", 0.2), ("<=", 0.2)]),
        ("quality", {"encoder": "e"}, [(">", 0.5)]),
        ("quality", [{"name": "x"}], [(">", 0.5)]),
        ("leaks", "none", [("<=", 0.0)]),
        ("leaks", False, [("<=", 0.0)]),
        ("leaks", {"kind": "email"}, [("<=", 0.0)]),
        ("leaks", "<= 3", [("<=", 3.0)]),
        ("leaks", "> 0", [(">", 0.0)]),
    ],
)
def test_what_is_written_becomes_bounds(name: str, written: Any, bounds: list[tuple[str, float]]) -> None:
    checks, metric = read_checks(name, written)

    assert [(check.comparison, check.threshold) for check in checks] == bounds
    assert {check.metric for check in checks} == {name}
    assert metric.name == name


def test_options_and_the_encoder_of_the_file_reach_the_metric() -> None:
    given = read_checks("quality", {"min": 0.1, "expected": ["a"]}, models={"encoder": "small"})
    own = read_checks("quality", {"min": 0.1, "encoder": "large"}, models={"encoder": "small"})
    listed = read_checks("quality", [{"name": "x"}])
    without = read_checks("leaks", "none", models={"encoder": "small"})

    assert given[0][0].options == {"encoder": "small", "expected": ["a"]}
    assert given[1] == Quality(encoder="small", expected=("a",))
    assert own[0][0].options == {"encoder": "large"}
    assert listed[0][0].options == {"expected": [{"name": "x"}]}
    assert without[0][0].options == {}


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("quality", 0.8, 'a number alone does not say which side is good; write ">= 0.8"'),
        ("leaks", 3, 'a number alone does not say which side is good; write "<= 3"'),
        ("quality", None, 'is empty; write a comparison such as ">= 0.8", or the word none'),
        ("quality", "0.8", "cannot read '0.8'; did you mean \">= 0.8\"?"),
        ("leaks", "2", "cannot read '2'; did you mean \"<= 2\"?"),
        ("quality", "=> .8", "cannot read '=> .8'; did you mean \">= 0.8\"?"),
        ("quality", "≤ 80 %", "cannot read '≤ 80 %'; did you mean \"<= 0.8\"?"),
        ("quality", "> 0,8", "cannot read '> 0,8'; did you mean \"> 0.8\"?"),
        ("quality", "== 1", "cannot read '== 1'; did you mean \">= 1\"?"),
        ("quality", "True", "cannot read 'True'; write true without quotes"),
        ("quality", "NONE", "cannot read 'NONE'; write none without quotes"),
        ("quality", "", "cannot read ''; write a comparison such as \">= 0.8\", true, false or none"),
        (
            "quality",
            ">= nan",
            "cannot read '>= nan'; write a comparison such as \">= 0.8\", true, false or none",
        ),
        (
            "quality",
            ">= \u0661",
            "cannot read '>= \u0661'; write a comparison such as \">= 0.8\", true, false or none",
        ),
        ("quality", ">= 1e999", "'>= 1e999' is too large a number"),
        ("quality", ">= 1.5", '">= 1.5" is out of range; it goes from -1 to 1'),
        ("quality", "< -2", '"< -2" is out of range; it goes from -1 to 1'),
        ("quality", "> 1", '"> 1" can never hold; it goes from -1 to 1'),
        ("quality", "< -1", '"< -1" can never hold; it goes from -1 to 1'),
        ("leaks", "< 0", '"< 0" can never hold; it is 0 or more'),
        ("leaks", True, 'true could mean two things here; write none, or a limit such as "<= 2"'),
        ("quality", {}, "is an empty mapping; write min, max or an option in it"),
        ("quality", {"min": 0.9, "max": 0.1}, "min 0.9 is above max 0.1"),
        ("quality", {"max": 3}, '"<= 3" is out of range; it goes from -1 to 1'),
        (
            "quality",
            {"min": ">= 0.5"},
            "min must be a number, not the text '>= 0.5'; write it without quotes",
        ),
        ("quality", {"min": True}, "min must be a number, not true"),
        ("quality", {"max": [1]}, "max must be a number, not the list [1]"),
        ("quality", {"mni": 1}, "does not know 'mni'. Did you mean 'min'?"),
        ("quality", {"zzz": 1}, "quality has no option 'zzz'. It takes: encoder, expected."),
        ("leaks", [1], 'takes no list; write a comparison such as ">= 0.8", or a mapping'),
        ("x" * 101, True, "no metric has so long a name"),
    ],
)
def test_what_cannot_be_read_says_what_to_write(name: str, written: Any, message: str) -> None:
    with pytest.raises(LLMOpsError) as caught:
        read_checks(name, written)

    assert str(caught.value) == message


def test_a_long_or_hostile_value_is_cut_and_escaped() -> None:
    with pytest.raises(ComparisonError) as caught:
        read_checks("quality", "\x1b[31m" + "x" * 10_000)

    said = str(caught.value)
    assert said.startswith("cannot read '\\x1b[31mxxx")
    assert said.isprintable()
    assert len(said) < 150
