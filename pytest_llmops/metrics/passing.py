"""`pass^k` and `pass@k`: how often all of k repeats of a case pass, or any of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Self

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Case

_ALL = Bound(comparison=">=", threshold=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfRepeats(DeclaredMetric):
    """
    A share over the repeats of each case. No single output has it, so it scores none.

    Attributes:
        k: 1 at least.
    """

    k: int

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if self.k < 1:
            raise MetricOptionError(f"{self.name}: k must be 1 or more, not {self.k}")

    def of_case(self, case: Case) -> Self | None:  # noqa: ARG002 - of none, see above
        return None

    def estimate(self, passed: int, repeats: int) -> float:
        """
        The share for one case, of which so many of so many repeats passed.

        Args:
            repeats: `k` at least.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class PassPowerK(_OfRepeats):
    """
    The chance that all of k repeats of a case pass, from 0 to 1: how reliable the app is.

    Of n repeats of which c passed: C(c, k) / C(n, k), without bias.

    Source: Yao et al. (2024), tau-bench, section 3.2.
    """

    traits = MetricTraits(name="pass^k", bound=_ALL, over_repeats=True)

    @property
    def name(self) -> str:
        return f"pass^{self.k}"

    def estimate(self, passed: int, repeats: int) -> float:
        return comb(passed, self.k) / comb(repeats, self.k)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassAtK(_OfRepeats):
    """
    The chance that at least one of k repeats of a case passes, from 0 to 1: what it could reach.

    Of n repeats of which c passed: 1 - C(n - c, k) / C(n, k), without bias.

    Source: Chen et al. (2021), Evaluating large language models trained on code, section 2.1.
    """

    traits = MetricTraits(name="pass@k", bound=_ALL, over_repeats=True)

    @property
    def name(self) -> str:
        return f"pass@{self.k}"

    def estimate(self, passed: int, repeats: int) -> float:
        return 1 - comb(repeats - passed, self.k) / comb(repeats, self.k)
