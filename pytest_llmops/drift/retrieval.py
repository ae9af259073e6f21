"""Whether equal questions bring up other passages than before, beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_llmops.drift import LEVEL, Clue
from pytest_llmops.records import CaseResult
from pytest_llmops.statistics.significance.permutation import exchange_units

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EXACT_CASES = 10  # these have 1,024 exchanges, which are all looked at
_EXCHANGES = 999


def compare_retrieval(pairs: Sequence[tuple[CaseResult, CaseResult]]) -> Clue | None:
    """
    What moved in how often each passage is retrieved; None where nothing did.

    The effect is the Jensen-Shannon distance of the two distributions, from 0 to 1. Its p-value is that of
    a permutation test which exchanges the runs case by case, exact up to ten cases. Cases that embedded
    other texts are left out: there the question to the index changed.

    Args:
        pairs: (base, new) of each case.

    Source: Endres and Schindelin (2003), A new metric for probability distributions, IEEE Trans. Inf.
    Theory 49.
    """
    rows = [
        (before, after)
        for base, new in pairs
        if _embedded(base) == _embedded(new) and (before := _retrieved(base)) and (after := _retrieved(new))
    ]
    if all(before == after for before, after in rows):
        return None
    import numpy as np

    names = sorted({name for row in rows for shares in row for name in shares})
    counts = np.array([[[shares.get(name, 0.0) for name in names] for shares in row] for row in rows])
    distance, p_value = _test(counts)
    change = f"other passages come up: Jensen-Shannon distance {distance:.2f}, p = {p_value:.2g}"
    return Clue(kind="data", evidence=f"{change}, {len(rows)} cases", sure=p_value <= LEVEL)


def _embedded(result: CaseResult) -> set[str]:
    return {call.key for output in result.outputs for call in output.model_calls if call.kind == "embeddings"}


def _retrieved(result: CaseResult) -> dict[str, float]:
    """Passage id to the share of the repeats that retrieved it; an empty id stands for none at all."""
    retrieved = [output.passages for output in result.outputs if output.passages is not None]
    counted = Counter(name for passages in retrieved for name in {passage.id for passage in passages} or {""})
    return {name: count / len(retrieved) for name, count in counted.items()}


def _test(counts: NDArray[np.float64]) -> tuple[float, float]:
    """Distance and p-value; `counts` has shape (cases, 2, passages)."""
    import numpy as np

    cases = len(counts)
    differences, total = counts[:, 0] - counts[:, 1], counts.sum(axis=(0, 1))

    def measure(exchanged: NDArray[np.bool_]) -> NDArray[np.float64]:
        return _distances((1.0 - 2.0 * exchanged) @ differences, total)

    p_value = exchange_units(cases, measure, draws=None if cases <= _EXACT_CASES else _EXCHANGES)
    return float(measure(np.zeros((1, cases), bool))[0]), p_value


def _distances(differences: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far apart two sides are that differ by each row and add up to the total."""
    from scipy.spatial.distance import jensenshannon

    before, after = (side.clip(min=0.0) for side in ((total + differences) / 2, (total - differences) / 2))
    distances: NDArray[np.float64] = jensenshannon(before, after, base=2, axis=1)
    return distances
