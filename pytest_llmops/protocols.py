"""Protocols of apps, metrics and listeners of a run, and the traits that metrics declare."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from pytest_llmops.records import Bound, Failure, Sample, Score, ScoredOutput

Need = Literal["reference", "relevant", "passages", "spans", "turns", "expected"]
Reads = Literal["all", "last", "transcript"]
Basis = Literal["judge", "reference", "run"]

App = Callable[[Any], Any]
"""Returns text, an `Output`, or another value that `runner/app/returned.py` knows; or an awaitable of it."""


Conversation = Literal["messages", "session", ""]
"""By what an app holds a conversation: the messages so far, or a session by which it knows them."""


class RemoteApp(ABC):
    """
    An app outside of this process; all its coroutines run on one loop.

    A base class and no protocol: a look at the attributes of anybody's app would run its code.

    Attributes:
        at_once: How many calls may be under way; None for as many as cases run at once.
    """

    __slots__ = ()
    at_once: int | None

    @property
    @abstractmethod
    def conversation(self) -> Conversation:
        """Return by what it holds a conversation; empty where it holds none."""

    @abstractmethod
    async def __call__(self, question: Any, /, *, session: str = "") -> Any:
        """
        Return the answer to one case, or to one turn of it.

        Args:
            question: Its input; or, in a conversation by messages, those so far.
            session: Of the conversation; empty for a new one.
        """

    @abstractmethod
    async def prepare(self) -> None:
        """Find out what a run has to know before the first call, once it succeeds."""

    @abstractmethod
    async def close(self) -> None:
        """End connections and processes."""

    @abstractmethod
    def stamps(self) -> Mapping[str, str]:
        """Return stamps for the signature of the run, of what is known by now."""

    @abstractmethod
    def files(self) -> Iterable[str]:
        """Return the files of the project that it is known to run, from the root."""


@runtime_checkable
class Metric(Protocol):
    """
    A way to turn outputs into numbers.

    An instance is a frozen dataclass of its options, so that equal ones share a batch and any one can
    be sent to another process. Whatever is heavy is loaded inside `score`.

    Attributes:
        name: As written in a golden file, `recall@3` for k = 3.
        version: Raised whenever equal inputs may score otherwise.
        needs: Parts that a case or an output must have; reported at collection where possible.
        range: Lowest and highest score.
        bound: The meaning of `true`, `false`, `none` or options without a comparison; None if no number is
            right for all kinds of text, so that each check has to write one.

    The attributes `waits` and `compares` are optional, see `MetricTraits`. So are `weights`, packaged weights
    that the metric loads, and `judges`, chat models that it calls: both are checked before the app is called.
    `measured_languages` are `MetricTraits.languages` with these options.
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
        """Return one result for each sample, in order. May raise: the runner makes failures of errors."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricTraits:
    """
    Facts that a metric declares; code that treats one metric differently from another reads them here.

    Attributes:
        name: As for `Metric`, and so are `version`, `needs`, `range`, `higher_is_better` and `bound`;
            `recall@k` if the name in a golden file sets an option.
        waits: It waits on an endpoint rather than computing: it is called on many threads at once, sample by
            sample, where others get full batches on one.
        compares: Its score is of an answer against its rival's: it gets only pairs, and its score of the app
            is turned round for the rival.
        family: The marker and fixture whose `metric=` may name it; empty for golden files only.
        basis: The ground of a score: the opinion of a `judge`, which may waver; the `reference` of the case;
            or the time and money that the `run` took, which no answer shows.
        excusable: A miss may be excused, by other repeats that pass or because the baseline has it too.
        reads: Its output of a conversation: the answers of `all` turns, the `last` answer, or the
            `transcript`; None leaves it to what it needs, see `reads_of`.
        word: What golden files may write for its own bound, as `finish: stop`; empty for `true` alone.
        weighed: A miss that is not excusable is still weighed against chance where the app is known to vary.
        masks: It finds personal data, so results in which it found some are masked.
        languages: Codes of the languages of the texts that it was measured on; empty if it reads all alike.
        over_repeats: It is of all repeats of a case, so it goes under `suite`; no output has it.
    """

    name: str
    version: int = 1
    needs: frozenset[Need] = frozenset()
    range: tuple[float, float] = (0.0, 1.0)
    higher_is_better: bool = True
    bound: Bound | None = None
    waits: bool = False
    compares: bool = False
    family: str = ""
    basis: Basis | None = None
    excusable: bool = True
    weighed: bool = False
    masks: bool = False
    languages: frozenset[str] = frozenset()
    word: str = ""
    reads: Reads | None = None
    over_repeats: bool = False


FACTS = ("name", "version", "needs", "range", "higher_is_better", "bound", "waits", "compares", "reads")
"""Facts that a custom metric may declare by plain attributes."""


def traits_of(metric: Metric) -> MetricTraits:
    """Return the traits of a metric, from its `traits` or from plain attributes."""
    declared = getattr(metric, "traits", None)
    traits = declared if isinstance(declared, MetricTraits) else MetricTraits(name=metric.name)
    return replace(traits, **{name: getattr(metric, name) for name in FACTS if hasattr(metric, name)})


def reads_of(metric: Metric) -> Reads:
    """Return what a metric reads of a conversation; one that needs a reference compares the last answer."""
    return traits_of(metric).reads or ("last" if "reference" in metric.needs else "all")


class ScoreBatch(Protocol):
    """Scores samples with one metric, in this process or by the session's scoring service."""

    def __call__(self, metric: Metric, batch: Sequence[Sample]) -> Sequence[Score | Failure]: ...


class RunListener(Protocol):
    """
    Follows one run in one process.

    Attributes:
        setting: The name of the setting that asked for it.
    """

    setting: ClassVar[str]

    def take(self, output: ScoredOutput) -> None:
        """Note an output, from the loop of the cases."""

    def finish(self) -> Sequence[str]:
        """End work under way, and return a sentence for each error so far; may be called again."""

    def warnings(self) -> Iterable[str]:
        """Return a sentence for each doubt that is no error."""

    def close(self) -> None:
        """Undo all changes to the process."""
