"""What a metric declares is declared once, and every reader of such facts follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from pytest_llmops import registry
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.plugin.assertions.families import find_metric
from pytest_llmops.protocols import FACTS, MetricTraits, traits_of
from pytest_llmops.records import Bound, CaseResult, Check, Output, Sample, Score
from pytest_llmops.registry import create_metric, family_members, find_traits, known_metrics, register_metric

JUDGES = {"judge", "reference_grade", "faithfulness", "pairwise"}
REFERENCES = {
    "exact_match", "keywords", "keyword_overlap", "regex", "lexical", "rouge_1", "rouge_2", "rouge_l",
    "ngram_overlap", "bleu", "chrf", "semantic", "bertscore", "cross_encoder", "facts",
    "supported", "answers", "state",
}  # fmt: skip
RUN = {"first_token_s", "latency_s", "cost_usd", "tokens", "model_calls", "turns"}
NAMES = set(known_metrics())
FAMILIES = {
    "lexical": (
        "rouge_l", "rouge_1", "rouge_2", "bleu", "chrf", "exact_match", "keywords", "keyword_overlap",
        "ngram_overlap", "regex", "json_schema",
    ),
    "semantic": ("semantic", "bertscore", "cross_encoder"),
    "judge": ("judge", "reference_grade"),
    "pairwise": ("pairwise",),
    "recall_at_k": ("recall@k", "precision@k", "hit@k", "ndcg@k", "mrr", "map"),
    "faithfulness": ("faithfulness", "facts", "supported"),
    "tool_calls": ("tool_calls", "tool_order", "denied_calls"),
    "pii_leak": ("pii_leak",),
    "": (
        "answers", "degraded", "finish", "first_token_s", "latency_s",
        "cost_usd", "tokens", "model_calls", "turns", "state", "pass^k", "pass@k",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Slurs(DeclaredMetric):
    """How often the output holds the word."""

    word: str = "boo"

    traits = MetricTraits(
        name="slurs",
        version=3,
        family="lexical",
        basis="judge",
        range=(0.0, 9.0),
        higher_is_better=False,
        bound=Bound(comparison="<=", threshold=0.0),
        excusable=False,
        masks=True,
    )

    def measure(self, sample: Sample) -> Score:
        found = sample.output.text.count(self.word)
        return self.give(sample, float(found), "found" if found else "", made=f"word:{self.word}")


class Plain:
    """As a project writes one."""

    name = "plain"
    version = 2
    needs: ClassVar[frozenset[str]] = frozenset({"passages"})
    range = (0.0, 5.0)
    higher_is_better = False
    bound = None
    waits = True
    family = "lexical"  # of its own kind
    basis = "judge"

    def score(self, batch: Any) -> Any:
        return batch


@pytest.fixture
def slurs(monkeypatch: pytest.MonkeyPatch) -> str:
    """One line in the table, as for any new metric of this package."""
    monkeypatch.setitem(registry._BUILT_IN, "slurs", f"{__name__}:Slurs")  # type: ignore[arg-type]
    monkeypatch.setattr(registry, "_load", lambda path: Slurs if path.endswith(":Slurs") else LOAD(path))
    registry._parameters.cache_clear()
    find_traits.cache_clear()
    yield "slurs"
    registry._parameters.cache_clear()
    find_traits.cache_clear()


LOAD = registry._load


@pytest.mark.parametrize("name", sorted(registry._BUILT_IN))
def test_a_built_in_declares_the_name_of_its_line(name: str) -> None:
    factory: Any = registry._factory(name)

    assert factory.traits.name == name
    assert {fact for fact in FACTS if isinstance(getattr(factory, fact), property)} <= {
        "name", "needs", "range", "bound", "waits"
    }  # fmt: skip


def test_what_scores_rest_on() -> None:
    assert {name for name in NAMES if find_traits(name).basis == "judge"} == JUDGES
    assert {name for name in NAMES if find_traits(name).basis == "reference"} == REFERENCES
    assert {name for name in NAMES if find_traits(name).basis == "run"} == RUN


def test_leaks_and_attacks_are_never_excused_and_a_leak_masks_what_it_finds() -> None:
    inexcusable = {name for name in NAMES if not find_traits(name).excusable}
    assert inexcusable == {"pii_leak", "attack", "attack_success"}
    assert {name for name in NAMES if find_traits(name).masks} == {"pii_leak"}
    assert {name for name in NAMES if find_traits(name).compares} == {"pairwise"}


@pytest.mark.parametrize("family", FAMILIES)
def test_members_of_a_family_in_their_order(family: str) -> None:
    assert family_members(family) == FAMILIES[family]


def test_an_option_may_change_a_fact() -> None:
    assert create_metric("keyword_overlap", {"words": ["a"]}).needs == frozenset()
    assert create_metric("keyword_overlap").needs == {"reference"}
    assert traits_of(create_metric("recall@3")).name == "recall@3"
    assert traits_of(create_metric("faithfulness")).waits is False
    assert traits_of(create_metric("faithfulness", {"by": "judge", "judge": "m"})).waits is True


def test_plain_attributes_say_what_they_are_documented_to_say() -> None:
    traits = traits_of(Plain())  # type: ignore[arg-type]

    assert traits == MetricTraits(
        name="plain", version=2, needs=frozenset({"passages"}), range=(0.0, 5.0), higher_is_better=False,
        bound=None, waits=True,
    )  # fmt: skip


def test_an_unknown_name_has_no_special_traits() -> None:
    assert find_traits("nobody's") == MetricTraits(name="nobody's")


def test_a_registered_metric_is_looked_up_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    assert find_traits("insults").masks is False

    register_metric("insults", Slurs)
    assert find_traits("insults").masks is True

    registry.forget_metrics(["insults"])
    assert find_traits("insults").masks is False


def test_one_file_and_one_line_make_a_metric(slurs: str) -> None:
    """Registry, marker, gate and masking know it by what it declares."""
    from pytest_llmops.detect.seal import seal_result
    from pytest_llmops.errors import ComparisonError
    from pytest_llmops.gates.absolute import is_judged_by_rate
    from pytest_llmops.golden.thresholds import read_checks

    metric = create_metric(slurs, {"word": "bah"})
    (score,) = metric.score([Sample(output=Output(text="bah", repeat=2))])
    check = Check(metric=slurs, comparison="<=", threshold=0.0)
    sealed = seal_result(
        CaseResult(
            case="a",
            input_hash="",
            outputs=(Output(text="call 4242 4242 4242 4242"),),
            scores=(score,),  # type: ignore[arg-type]
        )
    )

    assert isinstance(score, Score)
    assert (score.metric, score.value, score.repeat, score.signature) == (
        "slurs",
        1.0,
        2,
        "slurs|v3|word:bah",
    )
    assert find_metric("lexical", {"metric": slurs}) == (slurs, {})
    assert not is_judged_by_rate(check, 0.0)
    with pytest.raises(ComparisonError, match="takes no pass_rate: a leak is excused in no repeat"):
        read_checks(slurs, {"max": 0, "pass_rate": ">= 0.5"})
    assert sealed.outputs[0].text != "call 4242 4242 4242 4242"
