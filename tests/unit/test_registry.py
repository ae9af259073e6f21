"""One door to metrics: built-ins, entry points, and what is registered in a process."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from pytest_llmops import registry
from pytest_llmops.errors import MetricNameError, MetricOptionError, UnknownMetricError
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound
from pytest_llmops.registry import (
    create_metric,
    find_traits,
    forget_metrics,
    known_metrics,
    metric_options,
    register_metric,
)


@dataclass(frozen=True, kw_only=True)
class Length:
    """Characters of the output; `words` must be given."""

    unit: str = "characters"
    words: tuple[str, ...]

    name: ClassVar[str] = "length"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()
    range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    higher_is_better: ClassVar[bool] = False
    bound: ClassVar[Bound] = Bound(comparison="<=", threshold=100)

    def __post_init__(self) -> None:
        if self.unit == "miles":
            raise ValueError("unit cannot be 'miles'")

    def score(self, batch: Any) -> Any:
        return batch


@dataclass(frozen=True, kw_only=True)
class TopK(Length):
    k: int = 1
    words: tuple[str, ...] = ()


class Nothing:
    pass


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_registered", {})
    registry._parameters.cache_clear()
    register_metric("length", Length)
    register_metric("top@k", TopK)
    register_metric("anything", lambda **options: Length(words=tuple(options)))
    register_metric("nothing", Nothing)
    yield
    registry._parameters.cache_clear()


def test_lists_become_tuples_so_that_equal_metrics_are_equal() -> None:
    metric = create_metric("length", {"words": ["a", "b"]})

    assert metric == Length(words=("a", "b"))
    assert hash(metric) == hash(create_metric("length", {"words": ["a", "b"]}))


def test_the_name_sets_k() -> None:
    assert create_metric("top@3").k == 3  # type: ignore[attr-defined]
    assert create_metric("top@k", {"k": 7}).k == 7  # type: ignore[attr-defined]
    assert metric_options("top@3") == ("unit", "words")
    assert "k" in metric_options("top@k")


def test_a_name_with_its_own_number_may_be_registered() -> None:
    register_metric("top@1", Length)

    assert isinstance(create_metric("top@1", {"words": []}), Length)
    assert not isinstance(create_metric("top@1", {"words": []}), TopK)


def test_a_factory_with_open_options_takes_any() -> None:
    assert create_metric("anything", {"x": 1, "y": 2}) == Length(words=("x", "y"))


def test_a_metric_that_was_taken_back_may_be_another_one_with_other_options() -> None:
    assert metric_options("length") == ("unit", "words")

    forget_metrics(["length"])
    register_metric("length", lambda: Length(words=()))

    assert metric_options("length") == ()
    assert create_metric("length") == Length(words=())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "length",
            {"wrods": []},
            "length has no option 'wrods'. Did you mean 'words'? It takes: unit, words.",
        ),
        ("top@3", {"k": 5}, "top@3 has no option 'k'. It takes: unit, words."),
        ("length", {}, "length needs the option 'words'."),
        ("length", {"unit": "miles", "words": []}, "length: unit cannot be 'miles'"),
        ("nothing", {}, "nothing: its factory returns no metric, but a Nothing."),
        ("nothing", {"x": 1}, "nothing has no option 'x'. It takes none."),
    ],
)
def test_options_that_cannot_be(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(MetricOptionError) as caught:
        create_metric(name, options)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "near"),
    [("lenght", "length"), ("top@k", "top@5"), ("top@0", "top@5"), ("recal@5", "recall@5"), ("zzz", None)],
)
def test_an_unknown_name_comes_with_its_near_miss(name: str, near: str | None) -> None:
    with pytest.raises(UnknownMetricError) as caught:
        create_metric(name)

    said = str(caught.value)
    assert said.startswith(f"no metric is named {name!r}.")
    assert ("Did you mean" in said) == (near is not None)
    assert near is None or f"Did you mean {near!r}?" in said
    assert "recall@5" in said
    assert "@k" not in said.removeprefix(f"no metric is named {name!r}")


def test_a_metric_that_does_not_import_is_told_with_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_installed", lambda: {"gone": "no.such:Metric", "odd": "json:Metric"})

    for name, path in (("gone", "no.such:Metric"), ("odd", "json:Metric")):
        with pytest.raises(MetricOptionError, match=f"{name} cannot be loaded from {path}: "):
            create_metric(name)
        with pytest.raises(MetricOptionError):
            metric_options(name)


def test_an_installed_entry_point_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_installed", lambda: {"nil": f"{__name__}:Nothing"})

    assert "nil" in known_metrics()
    assert metric_options("nil") == ()


NEEDED: dict[str, dict[str, Any]] = {
    "keywords": {"all": ["x"]},
    "regex": {"pattern": "x"},
    "json_schema": {"schema": {}},
    "tool_calls": {"expected": [{"name": "x"}]},
    "tool_order": {"expected": ["x"]},
    "attack": {"success": {"canary": "x"}},
    "cross_encoder": {"model": "some/model"},
    **{name: {"judge": "embedded"} for name in ("judge", "pairwise", "reference_grade")},
}


@pytest.mark.parametrize("name", sorted(set(registry._BUILT_IN) - {"deepeval"}))
def test_every_built_in_is_a_metric_of_its_name(name: str) -> None:
    options = NEEDED.get(name, {})
    written = name.replace("@k", "@3").replace("^k", "^3")

    assert create_metric(written, options).name == written


@pytest.mark.parametrize(
    ("name", "options", "again"),
    [
        *((name.replace("@k", "@3"), options, options) for name, options in NEEDED.items()),
        ("keywords", {"all": ["a", "b"]}, {"all": ["a", "b"]}),
        ("keyword_overlap", {"words": ["a", "b"]}, {"words": ["a", "b"]}),
        ("ngram_overlap", {"n": 3}, {"n": 3}),
        ("rouge_1", {}, {}),
        ("rouge_2", {}, {}),
        ("rouge_l", {}, {}),
        ("regex", {"pattern": "a"}, {"pattern": ["a"]}),
        ("exact_match", {"normalize": ["case", "articles"]}, {"normalize": ["articles", "case"]}),
        ("facts", {}, {"against": ["passages", "reference", "tool_calls"]}),
        ("ndcg@3", {"grades": {"a": 1, "b": 2}}, {"grades": {"b": 2, "a": 1}}),
        ("pii_leak", {"allow": ["ann@example.com"]}, {"allow": ["ann@example.com"]}),
        (
            "tool_calls",
            {"expected": [{"name": "a", "arguments": {"x": [1, {"y": None}], "z": "\u00e9"}}]},
            {"expected": [{"name": "a", "arguments": {"z": "\u00e9", "x": [1, {"y": None}]}}]},
        ),
    ],
)
def test_options_that_say_the_same_make_one_metric_that_travels(name, options, again) -> None:
    one, other = create_metric(name, options), create_metric(name, again)

    assert {one: 1}[other] == 1
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own


def test_lexical_is_rouge_l() -> None:
    assert create_metric("lexical") == create_metric("rouge_l")
    assert {"lexical", "rouge_l", "recall@k"} <= set(known_metrics())


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("keywords", "pytest_llmops.metrics.lexical.keywords:Keywords, which is built in"),
        ("lexical", "pytest_llmops.metrics.lexical.rouge:RougeL, which is built in"),
        ("recall@5", "pytest_llmops.metrics.retrieval:RecallAtK, which is built in"),
        ("deepeval:polite", "pytest_llmops.features.deepeval.check:DeepEval, which is installed"),
    ],
)
def test_a_built_in_metric_cannot_be_shadowed(name: str, taken: str) -> None:
    """A conftest that did so would decide every check of that name."""
    with pytest.raises(MetricNameError, match=rf"test_registry.py:\d+: the metric '{name}' .* {taken}"):
        register_metric(name, TopK)
    assert not isinstance(create_metric("keywords", {"all": ["x"]}), TopK)


def test_a_name_with_a_colon_is_a_label_only_of_a_metric_that_takes_one() -> None:
    register_metric("semantic:strict", Length)

    assert isinstance(create_metric("semantic:strict", {"words": []}), Length)
    with pytest.raises(UnknownMetricError, match="rouge_l:strict"):
        create_metric("rouge_l:strict")


def test_two_metrics_cannot_have_one_name() -> None:
    register_metric("length", Length)  # the same again

    with pytest.raises(
        MetricNameError, match=r"test_registry.py:\d+: .*'length'.* \S+test_registry.py:\d+; give"
    ):
        register_metric("length", Nothing)
    assert isinstance(create_metric("length", {"words": []}), Length)


@dataclass(frozen=True)
class Duel:
    """Compares answers, and says so by a plain attribute as `protocols.Metric` has it."""

    name: str = "duel"
    version: ClassVar[int] = 3
    needs: ClassVar[frozenset[str]] = frozenset()
    range: ClassVar[tuple[float, float]] = (0.0, 2.0)
    bound: ClassVar[None] = None
    compares: ClassVar[bool] = True

    @property
    def higher_is_better(self) -> bool:
        return True

    def score(self, batch: Any) -> list[Any]:
        return [self.name for _ in batch]


def make_duel(name: str = "duel") -> Duel:
    return Duel(name)


def make_named_duel(name: str) -> Duel:
    return Duel(name)


@pytest.mark.parametrize("factory", [Duel, make_duel])
def test_plain_attributes_are_traits_too(factory):
    register_metric("duel", factory)
    try:
        traits = find_traits("duel")
    finally:
        forget_metrics(["duel"])

    assert (traits.name, traits.version, traits.compares, traits.higher_is_better) == ("duel", 3, True, True)


def test_a_factory_that_cannot_be_called_declares_nothing():
    register_metric("duel", make_named_duel)
    try:
        assert find_traits("duel") == MetricTraits(name="duel")
    finally:
        forget_metrics(["duel"])
