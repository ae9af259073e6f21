"""The seams: what an app, a metric and an encoder look like from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from pytest_llmops.records import Bound, Failure, Output, Sample, Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Need = Literal["reference", "relevant", "passages", "spans"]

Answer = str | Output | Mapping[str, Any]
App = Callable[[Any], Answer | Awaitable[Answer]]


@runtime_checkable
class Metric(Protocol):
    """
    A way to turn outputs into numbers.

    An instance is a frozen dataclass of its options, so that equal ones share a batch and any one can
    be sent to another process. Whatever is heavy is loaded inside `score`.

    Attributes:
        name: As written in a golden file, `recall@3` for k = 3.
        version: Raised whenever equal inputs may score otherwise.
        needs: What a case or an output must carry; told at collection where it can be.
        range: Lowest and highest score.
        bound: What `true`, `false`, `none` or options without a comparison mean; None where no number is
            right for all kinds of text, so that a check has to write its own.

    One that waits on an endpoint rather than computing may say so by an attribute `waits` that is true:
    it is then asked on many threads at once, sample by sample, where others get full batches on one.

    One that loads packaged weights may name them by an attribute `weights`, and one that asks chat models its
    `judges`: that they are there is checked before the app is called.

    One whose score is of an answer beside its rival may say so by an attribute `compares` that is true: it is
    then given pairs alone, and what it says of the app is turned round for the rival.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def needs(self) -> frozenset[Need]: ...
    @property
    def range(self) -> tuple[float, float]: ...
    @property
    def higher_is_better(self) -> bool: ...
    @property
    def bound(self) -> Bound | None: ...

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        """One result for each sample, in order. May raise: the runner makes failures of it."""
        ...


class Encoder(Protocol):
    """Texts to unit vectors. `identity` names the weights and everything else that moves a vector."""

    @property
    def identity(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape (texts, dimensions), rows of length 1, in the order given."""
        ...


class ScoreBatch(Protocol):
    """Scores samples with one metric: in this process, or by the session's scoring service."""

    def __call__(self, metric: Metric, batch: Sequence[Sample]) -> Sequence[Score | Failure]: ...
