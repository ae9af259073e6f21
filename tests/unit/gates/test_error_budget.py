from __future__ import annotations

import pytest

from pytest_llmops.gates.error_budget import (
    CASE_SHARE,
    COUNT_SHARE,
    SUITE_SHARE,
    divide_suite_share,
)


def test_all_channels_keep_one_budget():
    assert sum((SUITE_SHARE, CASE_SHARE, COUNT_SHARE)) == pytest.approx(1)


@pytest.mark.parametrize(("suites", "share"), [([], 0.7), ([[1]], 0.7), ([[1], [], [1, 2]], 0.35)])
def test_golden_files_with_checks_divide_the_suites_part_evenly(suites, share):
    assert divide_suite_share(suites) == pytest.approx(share)
