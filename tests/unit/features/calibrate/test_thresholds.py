"""Cuts of a score against a count by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.features.calibrate.thresholds import count_right, find_error_threshold
from pytest_llmops.statistics.codes import rank_codes
from pytest_llmops.statistics.intervals import upper_bound

ROWS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60)


@given(ROWS)
def test_right_rows_are_counted_at_every_cut(rows):
    scores, good = (np.array(column, float) for column in zip(*rows, strict=True))

    found = count_right(rank_codes(scores), good, np.ones(len(rows)))

    expected = [sum((score >= cut) == bool(kind) for score, kind in rows) for cut in sorted(set(scores))]
    assert found.tolist() == expected


@given(ROWS, st.sampled_from([0.1, 0.3, 0.6]))
def test_threshold_is_the_loosest_whose_bound_keeps_the_error(rows, max_error):
    scores, good = (np.array(column, float) for column in zip(*rows, strict=True))

    found = find_error_threshold(scores, good, max_error)

    bad = [score for score, kind in rows if not kind]
    if not bad:
        assert found is None
        return
    keeping = [
        cut
        for cut in sorted(set(scores))
        if upper_bound(sum(score >= cut for score in bad), len(bad)) <= max_error
    ]
    assert found.threshold == (keeping[0] if keeping else None)
    assert (found.upper <= max_error) == bool(keeping)
    assert found.bad == len(bad)


def test_59_bad_rows_show_five_percent_and_58_do_not():
    """0.95 ** 59 is just below 0.05."""
    for bad, expected in ((58, None), (59, 1.0)):
        scores, good = np.array([0.0] * bad + [1.0]), np.array([0.0] * bad + [1.0])
        assert find_error_threshold(scores, good, 0.05).threshold == expected


def test_error_is_kept_on_rows_that_were_not_looked_at():
    """Of 300 thresholds chosen on 150 bad rows, more than 1 in 20 may let 10 % through only by chance."""
    rng = np.random.default_rng(5)
    broken = found = 0
    for _ in range(300):
        scores = np.concatenate([rng.normal(size=150), rng.normal(2, 1, 100)])
        chosen = find_error_threshold(scores, np.repeat([0.0, 1.0], [150, 100]), 0.1)
        if chosen.threshold is not None:
            found += 1
            broken += (rng.normal(size=20_000) >= chosen.threshold).mean() > 0.1
    assert found == 300
    assert broken <= 26  # of a binomial 300 at 0.05 no more than 1 in 200 is above
