"""Pairs of values and what numpy calculates of them."""

from __future__ import annotations

import numpy as np

STATISTICS = ["mean", "sum", "min", "max", "p50", "p95"]
BY_NUMPY = {
    "min": np.min,
    "max": np.max,
    "p50": lambda values, axis: np.percentile(values, 50, axis=axis),
    "p95": lambda values, axis: np.percentile(values, 95, axis=axis),
}


def drawn(cases: int, seed: int, shift: float = 0.0) -> tuple[list[float], list[float]]:
    generator = np.random.default_rng(seed)
    base = generator.normal(0.7, 0.2, cases)
    return base.tolist(), (base + generator.normal(-shift, 0.1, cases)).tolist()
