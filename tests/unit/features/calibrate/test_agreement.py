"""Scores against labels of every kind, each read as `llmops calibrate` will show it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.features.calibrate import thresholds as errors_by_threshold
from pytest_llmops.features.calibrate.agreement import measure_agreement
from pytest_llmops.features.calibrate.labels import LabelError, Labels
from pytest_llmops.records import Bound
from pytest_llmops.statistics import bootstrap


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 299)
    monkeypatch.setattr(errors_by_threshold, "_RESAMPLES", 199)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What of a metric counts for agreement."""

    range: tuple[float, float] = (0.0, 1.0)
    higher_is_better: bool = True
    bound: Bound = field(default_factory=lambda: Bound(comparison=">=", threshold=0.5))


LEAK = Scale(range=(0.0, float("inf")), higher_is_better=False, bound=Bound(comparison="<=", threshold=0))
RATING = Scale(range=(1.0, 5.0), bound=Bound(comparison=">=", threshold=4))


def labels_of(values, kind="good"):
    return Labels(
        kind=kind, values=tuple(None if value is None else float(value) for value in values), description=""
    )


def noisy(count=200, seed=1, noise=0.4):
    """Labels of both kinds, and scores around them."""
    rng = np.random.default_rng(seed)
    good = rng.integers(0, 2, count)
    return np.clip(good * 0.6 + 0.2 + rng.normal(0, noise, count), 0, 1), good


def test_good_and_bad_against_a_score():
    scores, good = noisy()

    found = measure_agreement(scores.tolist(), labels_of(good), Scale(), max_error=0.3)

    passed = scores >= 0.5
    assert (found.rows, found.groups) == (200, 200)
    assert found.cut.bound == Bound(comparison=">=", threshold=0.5)
    assert found.accuracy.value == pytest.approx((passed == good).mean())
    assert found.kappa == found.quadratic_kappa == found.cut.kappa
    assert found.best[1].value >= found.accuracy.value
    assert ((scores >= found.best[0].threshold) == good).mean() == pytest.approx(found.best[1].value)
    assert found.calibration.mapping == "none"
    assert found.error_threshold.upper <= 0.3
    for measure in (found.auc, found.accuracy, found.kappa, found.spearman, found.best[1]):
        assert measure.low < measure.value < measure.high
        assert measure.method == "BCa"


def test_where_lower_is_better_everything_turns():
    scores, good = noisy()
    turned = (1 - scores).tolist()
    low = Scale(higher_is_better=False, bound=Bound(comparison="<=", threshold=0.5))

    one = measure_agreement(scores.tolist(), labels_of(good), Scale(), max_error=0.3)
    other = measure_agreement(turned, labels_of(good), low, max_error=0.3)

    assert other.auc.value == pytest.approx(one.auc.value)
    assert other.kappa.value == pytest.approx(one.kappa.value)
    assert other.spearman.value == pytest.approx(one.spearman.value)
    assert other.best[0].comparison == "<="
    assert other.best[0].threshold == pytest.approx(1 - one.best[0].threshold)
    assert other.error_threshold.threshold == pytest.approx(1 - one.error_threshold.threshold)


def test_ratings_of_the_metrics_own_scale_are_compared_level_by_level_and_at_the_bound():
    labels = [1, 2, 3, 4, 5] * 20
    scores = [float(min(5, max(1, label + (-1, 0, 0, 1)[at % 4]))) for at, label in enumerate(labels)]

    found = measure_agreement(scores, labels_of(labels, "rating"), RATING)

    assert found.levels == (1, 2, 3, 4, 5)
    assert found.kappa.value < found.quadratic_kappa.value
    same = [(score >= 4) == (label >= 4) for score, label in zip(scores, labels, strict=True)]
    assert found.accuracy.value == pytest.approx(sum(same) / 100)
    assert [cut.bound.threshold for cut in found.cuts] == [4, 2, 3, 5, 4]
    assert found.cuts[-1].bound.comparison == ">"  # so that a check on either can be vouched for
    assert found.calibration.mapping == "logistic"


def test_ratings_on_the_scale_of_a_metric_where_lower_is_better_count_down_with_it():
    low = Scale(range=(1.0, 5.0), higher_is_better=False, bound=Bound(comparison="<=", threshold=2))

    found = measure_agreement([1.0, 2, 3, 4, 5, 5], labels_of([1, 2, 3, 4, 5, 4], "rating"), low)

    assert found.spearman.value > 0.9
    assert (found.accuracy.value, found.auc.value) == (1.0, 1.0)
    assert [cut.bound for cut in found.cuts[:2]] == [low.bound, Bound(comparison="<=", threshold=1)]


def test_ratings_in_a_unit_of_their_own_can_only_be_ranked():
    scores, _ = noisy()

    found = measure_agreement(scores.tolist(), labels_of(scores * 50 + 3, "rating"), Scale())

    assert found.spearman.value == pytest.approx(1)
    assert (found.auc.value, found.kappa.value, found.cut, found.cuts) == (None, None, None, ())
    assert "--positive '>= N'" in found.notes[0]


def test_pairs_are_compared_verdict_by_verdict():
    labels = [1, 0, 1, 0, 0.5] * 8
    verdicts = [1.0, 0.0, 1.0, 1.0, 0.5] * 8

    found = measure_agreement(verdicts, labels_of(labels, "pair"), Scale(), max_error=0.1)

    assert found.accuracy.value == pytest.approx(0.8)
    assert found.auc.value == pytest.approx(0.75)  # half of the second's wins are read as the first's
    assert found.levels == (0, 0.5, 1)
    assert (found.cut, found.best, found.error_threshold) == (None, None, None)
    assert [cut.bound.threshold for cut in found.cuts] == [0.5, 1]
    assert found.rate.labelled.value == pytest.approx(0.5)
    assert "no threshold keeps an error" in found.notes[0]


def test_whole_agreement_is_no_certainty():
    """Six of six would pass a check with min_kappa 0.6 if resamples, all alike, were believed."""
    found = measure_agreement([1, 0, 1, 0, 1, 0], labels_of([1, 0, 1, 0, 1, 0]), Scale())

    assert (found.kappa.value, found.kappa.method) == (1.0, "exact")
    assert found.kappa.low < 0.1
    assert (found.accuracy.value, found.auc.value) == (1.0, 1.0)
    assert found.accuracy.low == pytest.approx(0.541, abs=1e-3)
    assert found.auc.low == pytest.approx(0.292, abs=1e-3)  # of three pairs that share no row


def test_rows_of_one_kind_are_told():
    found = measure_agreement([0.1, 0.9, 0.7], labels_of([1, 1, 1]), Scale())

    assert (found.auc.value, found.kappa.value, found.calibration) == (None, 0.0, None)
    assert "label rows of both" in found.notes[0]


def test_rows_without_label_or_score():
    scores, good = noisy(300)
    labels = [*good[:100].tolist(), *[None] * 200]
    given = [None, *scores[1:].tolist()]

    found = measure_agreement(given, labels_of(labels), Scale())

    assert found.rows == 99
    assert found.rate.rows == 299
    assert found.rate.judged == pytest.approx((scores[1:] >= 0.5).mean())
    assert (
        found.rate.powered.high - found.rate.powered.low < found.rate.labelled.high - found.rate.labelled.low
    )


def test_groups_widen_what_their_rows_share():
    scores, good = noisy(40)
    copied, kinds = np.repeat(scores, 5).tolist(), np.repeat(good, 5)

    alone = measure_agreement(copied, labels_of(kinds), Scale())
    grouped = measure_agreement(copied, labels_of(kinds), Scale(), groups=np.repeat(range(40), 5).tolist())

    assert grouped.groups == 40
    for name in ("auc", "accuracy", "kappa", "spearman"):
        narrow, wide = getattr(alone, name), getattr(grouped, name)
        assert wide.value == pytest.approx(narrow.value)
        assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_metrics_without_an_end_and_with_a_strict_bound(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 9)  # what is looked for here needs no interval
    strict = Scale(bound=Bound(comparison=">", threshold=0.0))

    assert measure_agreement([0.0, 0.5, 1], labels_of([0, 1, 1]), strict).accuracy.value == 1.0
    assert measure_agreement([0.0, 2, 7], labels_of([1, 0, 0]), LEAK).accuracy.value == 1.0
    assert measure_agreement([0.0, 2, 7], labels_of([1, 0, 0]), LEAK).auc.value == 1.0


@pytest.mark.parametrize("labels", [[None, None, 1], [None, 1, 0]])
def test_fewer_than_two_rows_are_an_error(labels):
    with pytest.raises(LabelError, match="1 of 3 rows with a label and a score; at least two are needed"):
        measure_agreement([0.5, None, 0.3], labels_of(labels), Scale())


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=15),
    st.sampled_from(["good", "rating"]),
)
def test_every_number_is_finite_and_inside_its_interval(rows, kind):
    scores, labels = zip(*rows, strict=True)
    values = labels if kind == "rating" else [label % 2 for label in labels]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 99)
        found = measure_agreement(
            [float(score) for score in scores], labels_of(values, kind), RATING, max_error=0.2
        )

    measures = [found.auc, found.spearman, found.accuracy, found.kappa, found.quadratic_kappa]
    for measure in [*measures, *(cut.kappa for cut in found.cuts)]:
        assert measure.value is None or -1 - 1e-9 <= measure.value <= 1 + 1e-9
        if measure.low is not None:
            assert -1 - 1e-9 <= measure.low <= measure.high <= 1 + 1e-9
