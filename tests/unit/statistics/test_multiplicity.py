from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from pytest_llmops.statistics.multiplicity import adjust_holm

p_values = st.lists(st.one_of(st.floats(1e-300, 1), st.sampled_from([0.01, 0.02, 1.0])), max_size=12)


@settings(max_examples=15)
@given(p_values.filter(lambda drawn: len(drawn) > 1))
def test_holm_is_that_of_statsmodels(drawn):
    with pytest.MonkeyPatch.context() as patch:
        # It collects garbage each time, which takes a second where all tests are loaded.
        patch.setattr("gc.collect", lambda *_: 0)
        _, expected, _, _ = multipletests(drawn, method="holm")

    assert adjust_holm(drawn) == pytest.approx(expected.tolist(), rel=1e-12)


@pytest.mark.parametrize(
    ("drawn", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
    ],
)
def test_holm_by_hand(drawn, adjusted):
    """The third row is the example of R's `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`."""
    assert adjust_holm(drawn) == pytest.approx(adjusted)


@given(p_values, st.randoms(use_true_random=False))
def test_holm_never_strengthens_and_each_keeps_its_own_whatever_the_order(drawn, random):
    adjusted = adjust_holm(drawn)
    order = list(range(len(drawn)))
    random.shuffle(order)

    assert all(raw <= each <= 1 for raw, each in zip(drawn, adjusted, strict=True))
    assert adjust_holm([drawn[each] for each in order]) == [adjusted[each] for each in order]


@given(p_values, st.floats(1e-9, 1))
def test_a_further_test_never_strengthens_another(drawn, further):
    assert all(
        before <= after
        for before, after in zip(adjust_holm(drawn), adjust_holm([*drawn, further]), strict=False)
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_holm_is_bonferroni_over_every_set_of_tests(drawn):
    """Of all sets that hold the one, the worst counts."""
    places = range(len(drawn))
    sets = [chosen for size in places for chosen in combinations(places, size + 1)]
    worst = [
        max(min(1, len(each) * min(drawn[one] for one in each)) for each in sets if at in each)
        for at in places
    ]

    assert adjust_holm(drawn) == pytest.approx(worst)
