"""What a share of right answers says of the share that stands behind it."""

from __future__ import annotations

LEVEL = 0.95


def lower_bound(right: int, n: int) -> float:
    """The exact one-sided 95 % lower bound of the share of `right` in `n` (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    return float(beta.ppf(1 - LEVEL, right, n - right + 1)) if right else 0.0
