"""
One judge or several: each sample is put to all of them at once, and their opinions become one score.

A judge that gives none breaks the score, unless the quorum says how many are enough.
"""

from __future__ import annotations

import asyncio
import statistics
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import LLMOpsError, MetricOptionError, describe_error
from pytest_llmops.judges.completion import JudgeError, NoVerdictError, close, require_client, run
from pytest_llmops.judges.model import EMBEDDED, JudgeModel, read_judge, refuse_near_miss
from pytest_llmops.judges.verdict import VERSION, Answer
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail, find_missing
from pytest_llmops.metrics.words import find_blank
from pytest_llmops.models.chat import start_chat
from pytest_llmops.printable import printable
from pytest_llmops.recorder import CallLog, recording_of
from pytest_llmops.records import Failure, Sample, Score

Item = TypeVar("Item")
Result = TypeVar("Result")
Vote = Literal["mean", "median", "majority"]

_AT_ONCE = 64
_DIGITS = 4
_SHOWN = 240
_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """
    What one judge says of one sample.

    Attributes:
        reason: Why the value is not better; empty where it is the best.
        evidence: What its verdict was, as JSON values.
    """

    value: float
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedMetric(DeclaredMetric):
    """
    What the metrics have in common that call a chat model.

    Attributes:
        judge: As `read_judge` takes it.
        panel: Several judges instead of one: names of models at the judge's endpoint, or judges in full;
            None for one judge.
        vote: How their values become one. `majority` is the value of more than half of them; where there
            is none, the median.
        quorum: How many of the panel must have answered; all, where it is not given.
    """

    judge: Any = None
    panel: Any = None
    vote: Vote = "mean"
    quorum: int | None = None

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        members = (self.panel,) if isinstance(self.panel, str | Mapping) else self.panel
        if members is not None and not (isinstance(members, tuple | list) and members):
            raise MetricOptionError(
                f"{self.name}: panel is a list of judges, not {self.panel!r}; leave it out for one judge"
            )
        judge = None
        if self.judge or members is None:
            judge = read_judge(self.judge, self.name)
        if members is not None:
            members = tuple(_member(each, judge, self.name) for each in members)
        object.__setattr__(self, "panel", members)
        object.__setattr__(self, "judge", None if members else judge)
        if members and len(set(members)) < len(members):
            raise MetricOptionError(
                f"{self.name}: a judge is twice on the panel; its vote would count double"
            )
        if self.quorum is not None and not members:
            raise MetricOptionError(
                f"{self.name}: quorum needs a panel, of which so many must answer; write `panel: [MODEL, …]`"
            )
        if self.quorum is not None and not 1 <= self.quorum <= len(self.panel):
            raise MetricOptionError(
                f"{self.name}: quorum is how many of the panel must answer, 1 to {len(self.panel)}, "
                f"not {self.quorum!r}"
            )

    @property
    def judges(self) -> tuple[JudgeModel, ...]:
        """All whose opinions become the score."""
        return self.panel or (self.judge,)

    @property
    @abstractmethod
    def instructions(self) -> str:
        """Prompts, rubric and options, for the signature."""

    @abstractmethod
    async def request(self, judge: JudgeModel, sample: Sample) -> Opinion:
        """
        What one judge says; of the embedded one `judge.base_url` is where it runs.

        Raises:
            JudgeError: It gave no verdict.
            CassetteError: It is not recorded and may not be made.
        """

    @property
    def made(self) -> str:
        """What moves a score beside name and version; scores that are made otherwise are not compared."""
        judges = ",".join(each.identity for each in self.judges)
        vote = f"|{self.vote}" + (f" of {self.quorum}" if self.quorum else "") if self.panel else ""
        return f"{judges}{vote}|{self.instructions}|parser{VERSION}"

    def settle(self, sample: Sample) -> Score | Failure | None:
        """What needs no judge, among it an output that says nothing: the worst there is. Else None."""
        if missing := find_missing(self, sample):
            return missing
        blank = find_blank(sample.output.text, sample.reference)
        return self.conclude(sample, self.range[0], blank) if blank else None

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        if not batch:
            return []
        judges = [locate(each) for each in self.judges]
        return side_by_side(lambda sample: self.settle(sample) or self._judge(sample, judges), batch)

    def _judge(self, sample: Sample, judges: Sequence[JudgeModel]) -> Score | Failure:
        try:
            with recording_of(sample.case or f"judges::{self.name}", sample.output.repeat) as log:
                replies = run(_request_all(self, judges, sample))
        except LLMOpsError as error:
            return fail(self, sample, str(error))
        opinions = [each for each in replies if isinstance(each, Opinion)]
        problems = [
            (f"{judge.model}: " if self.panel else "") + describe_problem(each, located, log)
            for judge, located, each in zip(self.judges, judges, replies, strict=True)
            if isinstance(each, Exception)
        ]
        if len(opinions) < (self.quorum or len(judges)):
            return fail(self, sample, "; ".join(problems))
        if not self.panel:
            return self.conclude(sample, opinions[0].value, opinions[0].reason, (dict(opinions[0].evidence),))
        return self._combined(sample, opinions, problems)

    def _combined(self, sample: Sample, opinions: Sequence[Opinion], problems: Sequence[str]) -> Score:
        values = [each.value for each in opinions]
        value = count_votes(values, self.vote)
        members = [{**each.evidence, "value": each.value} for each in opinions]
        values_shown = ", ".join(f"{each['judge']} {each['value']:g}" for each in members)
        disagreement = round(max(values) - min(values), _DIGITS)
        lowest = min(opinions, key=lambda each: each.value)
        reason = f"the judges differ by {disagreement:g} ({values_shown})" if disagreement else ""
        whole = {
            "judge": ", ".join(str(each["judge"]) for each in members),
            "family": ", ".join(sorted({str(each["family"]) for each in members})),
            "vote": self.vote,
            "disagreement": disagreement,
            "broken": list(problems),
            **self.combine(opinions),
        }
        reasons = [text for text in (reason, lowest.reason) if text]
        return self.conclude(sample, value, "; ".join(reasons), (whole, *members))

    def combine(self, opinions: Sequence[Opinion]) -> dict[str, Any]:  # noqa: ARG002 - as above
        """What of the members' evidence is said of the panel as a whole."""
        return {}

    def conclude(
        self, sample: Sample, value: float, reason: str = "", evidence: tuple[Any, ...] = ()
    ) -> Score:
        """The score of a sample, with the signature of all judges."""
        return self.give(
            sample, round(value, _DIGITS), printable(reason, _SHOWN), evidence=evidence, made=self.made
        )


def side_by_side(do: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What `do` gives for each, on threads where there are several: each waits, and has its own recording."""
    if len(items) == 1:
        return [do(items[0])]
    pool = ThreadPoolExecutor(min(len(items), _AT_ONCE), "llmops-judging")
    try:
        return list(pool.map(do, items))
    except KeyboardInterrupt:
        close()  # else the process would end only when all requests are answered
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def count_votes(values: Sequence[float], vote: Vote) -> float:
    """One value of several: their mean, their median, or the one that more than half of them are."""
    if vote == "mean":
        return statistics.fmean(values)
    if vote == "majority":
        value, times = Counter(values).most_common(1)[0]
        if 2 * times > len(values):
            return value
    return statistics.median(values)


def locate(judge: JudgeModel) -> JudgeModel:
    """
    The judge with the endpoint at which it is called; the embedded model is started by this.

    Raises:
        MissingExtraError: A library is not installed.
        WeightsError: The embedded model is not in the cache.
    """
    require_client()
    if judge.model != EMBEDDED:
        return judge
    chat = start_chat()
    return replace(judge, model=chat.model, base_url=chat.base_url)


def kept(text: Any) -> str:
    """What a judge wrote, as evidence keeps it: masked, then cut, so that no half of a secret is left."""
    return mask(str(text))[:_KEPT]


def describe_problem(error: Exception, judge: JudgeModel, log: CallLog | None) -> str:
    """
    Why there is no verdict, as it may be shown; of an answer that will be replayed for ever, with the remedy.

    Args:
        judge: As it was called.
        log: Of the calls that were made or replayed, where a recorder listens.
    """
    if not isinstance(error, JudgeError | LLMOpsError):
        return mask(describe_error(error))
    calls = log.calls if log is not None else []
    is_replayed = any(each.outcome == "replayed" and each.model == judge.model for each in calls)
    if not (is_replayed and isinstance(error, NoVerdictError)):
        return str(error)
    return f"{error}. The answer is a recorded one; --llm-record all asks again"


def _member(written: Any, judge: JudgeModel | None, name: str) -> JudgeModel:
    is_name = isinstance(written, str) and bool(written.strip()) and written != EMBEDDED
    if is_name and judge is not None and judge.model != EMBEDDED:
        member = replace(judge, model=written, family="")
        refuse_near_miss(member, name)
        return member
    return read_judge(written, name)


async def _request_all(
    metric: JudgedMetric, judges: Sequence[JudgeModel], sample: Sample
) -> list[Opinion | Exception]:
    """Of each judge its opinion, or why there is none."""
    if len(judges) == 1:
        try:
            return [await metric.request(judges[0], sample)]
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes the failure of this judge
            return [error]
    await asyncio.sleep(0)  # `gather` needs the loop
    replies = await asyncio.gather(
        *(metric.request(judge, sample) for judge in judges), return_exceptions=True
    )
    for each in replies:
        if isinstance(each, BaseException) and not isinstance(each, Exception):  # we are being stopped
            raise each
    return [each for each in replies if isinstance(each, Opinion | Exception)]


def describe_judge(judge: JudgeModel, answer: Answer | None = None) -> dict[str, Any]:
    """
    The model that says it answered, its family, and how the answer came.

    Without an answer the judge was asked yes or no.
    """
    if answer is None:
        return {"judge": judge.model, "family": judge.family, "form": "yes_no"}
    reply = answer.reply
    return {
        "judge": reply.model or judge.model,
        "asked": judge.model,
        "family": judge.family,
        "fingerprint": reply.fingerprint,
        "form": answer.form,
        "repaired": answer.repaired,
    }
