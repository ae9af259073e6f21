"""Parity with scipy and statsmodels, and that a weight is a repeated row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, spearmanr
from statsmodels.stats.inter_rater import cohens_kappa

from pytest_llmops.features.calibrate.estimates import (
    count_good,
    measure_accuracy,
    measure_kappa,
    measure_spearman,
    read_auc,
)
from pytest_llmops.statistics.codes import find_kinds, rank_codes

LEVELS = 4
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40)


def columns(rows):
    first, second, weights = (np.array(column) for column in zip(*rows, strict=True))
    return first, second, weights.astype(float)


def measure_auc(codes, good, weights):
    return read_auc(*count_good(codes, good, weights))


@given(ROWS)
def test_auc_is_the_share_of_pairs_that_mannwhitneyu_counts(rows):
    scores, kinds, _ = columns(rows)
    good = (kinds > 1).astype(float)

    found = measure_auc(rank_codes(scores.astype(float)), good, np.ones(len(rows)))

    if good.all() or not good.any():
        assert np.isnan(found)
    else:
        ups, downs = scores[good == 1], scores[good == 0]
        assert found == pytest.approx(mannwhitneyu(ups, downs).statistic / (len(ups) * len(downs)))


def test_rows_of_neither_kind_do_not_count():
    codes = rank_codes(np.array([1.0, 2.0, 9.0]))

    assert measure_auc(codes, np.array([0, 1, np.nan]), np.ones(3)) == 1.0


@given(ROWS, st.booleans())
def test_kappa_is_that_of_statsmodels(rows, quadratic):
    first, second, weights = columns(rows)
    table = np.zeros((LEVELS, LEVELS))
    np.add.at(table, (first, second), weights)

    found = measure_kappa(first, second, weights, levels=LEVELS, quadratic=quadratic)

    with np.errstate(all="ignore"):
        wt = "quadratic" if quadratic else None
        expected = cohens_kappa(table, wt=wt, return_results=False) if table.any() else np.nan
    if np.isfinite(expected):
        assert found == pytest.approx(expected, abs=1e-9)
    else:
        assert np.isnan(found)


def test_kappa_of_a_table_worked_by_hand():
    """Cohen's two raters of 50 grants: 20 both yes, 15 both no, 5 and 10 split; kappa 0.4."""
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])

    assert measure_kappa(first, second, np.ones(50), levels=2, quadratic=False) == pytest.approx(0.4)


@given(ROWS)
def test_spearman_is_that_of_scipy(rows):
    first, second, _ = columns(rows)

    found = measure_spearman(first, second, np.ones(len(rows)))

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic, abs=1e-9)


@given(ROWS)
def test_a_weight_is_a_row_that_is_there_so_often(rows):
    first, second, weights = columns(rows)
    often = weights.astype(int)
    if not often.any():
        return
    repeated = np.repeat(first, often), np.repeat(second, often)
    ones = np.ones(often.sum())
    good, good_repeated = (second > 1).astype(float), (repeated[1] > 1).astype(float)

    assert measure_auc(first, good, weights) == pytest.approx(
        measure_auc(repeated[0], good_repeated, ones), nan_ok=True
    )
    assert measure_spearman(first, second, weights) == pytest.approx(
        measure_spearman(*repeated, ones), nan_ok=True, abs=1e-9
    )
    assert measure_accuracy(first == second, weights) == pytest.approx((repeated[0] == repeated[1]).mean())


def test_codes_keep_the_order_and_the_ties():
    assert rank_codes(np.array([0.5, -1.0, 0.5, 7.0])).tolist() == [1, 0, 1, 2]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_rows_alike_in_all_columns_are_of_one_kind(rows):
    columns = [np.array(column) for column in zip(*rows, strict=True)]

    one, kind = find_kinds(*columns)

    assert [rows[at] for at in one] == sorted(set(rows))
    assert [rows[one[each]] for each in kind] == rows
