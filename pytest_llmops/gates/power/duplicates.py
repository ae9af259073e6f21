"""Cases without a group that ask nearly the same: tests would count one question several times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_llmops.records import Golden

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR = 0.8
"""
Cosine of two inputs from which on they are near-duplicates: paraphrases of a question lie at .74 to .84 by
the default encoder; of 242 pairs of STS-B 90 % of those that people call equal lie above, 3 % of unlike ones.
"""


def find_near_duplicates(
    golden: Golden, encode: Callable[[Sequence[str]], NDArray[Any]]
) -> list[tuple[str, ...]]:
    """
    Ids of cases that ask nearly the same, one tuple for each question, without those that share a group.

    Args:
        encode: Texts to unit vectors, shape (texts, dimensions).
    """
    cases = [case for case in golden.cases if isinstance(case.input, str) and case.input.strip()]
    if len(cases) < 2:  # noqa: PLR2004 - one question has no other
        return []
    vectors = encode([str(case.input) for case in cases])
    near = np.argwhere(np.triu(vectors @ vectors.T >= NEAR, k=1)).tolist()
    question = list(range(len(cases)))
    for one, other in near:
        if cases[one].group and cases[one].group == cases[other].group:
            continue
        old, new = sorted((question[one], question[other]), reverse=True)
        question = [new if each == old else each for each in question]
    by_question: dict[int, list[str]] = {}
    for case, of in zip(cases, question, strict=True):
        by_question.setdefault(of, []).append(case.id)
    return [tuple(ids) for ids in by_question.values() if len(ids) > 1]
