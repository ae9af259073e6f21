"""
Metrics of one judge or a panel: all of them judge each sample at once, and their opinions become one score.

A judge without an opinion makes the score a failure, unless a quorum of the others is enough.
"""

from __future__ import annotations

import asyncio
import statistics
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, TypeVar

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import LLMOpsError, MetricOptionError, describe_error
from pytest_llmops.judges.completion import JudgeError, NoVerdictError, Reply, close, require_client, run
from pytest_llmops.judges.model import EMBEDDED, JudgeModel, read_judge, refuse_near_miss
from pytest_llmops.judges.prompt import load_prompt
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
    One judge's opinion of one sample.

    Attributes:
        reason: For a value that is not the best; else empty.
        evidence: The verdict as JSON values.
    """

    value: float
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedMetric(DeclaredMetric):
    """
    A metric that calls chat models.

    Attributes:
        judge: As `read_judge` takes it.
        panel: Several judges instead of one: names of models at the judge's endpoint, or complete judges;
            None for one judge.
        vote: Makes one value of theirs. `majority` is the value of more than half of them, or the median
            where there is none.
        quorum: Number of the panel that must have answered; None for all.
    """

    judge: Any = None
    panel: Any = None
    vote: Vote = "mean"
    quorum: int | None = None

    prompt: ClassVar[str]
    """Name of the prompt for judges that can do more than say yes or no."""

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        judge = read_judge(self.judge, self.name) if self.judge or self.panel is None else None
        panel = None if self.panel is None else self._read_panel(judge)
        object.__setattr__(self, "panel", panel)
        object.__setattr__(self, "judge", None if panel else judge)
        if self.quorum is None:
            return
        if panel is None:
            raise MetricOptionError(
                f"{self.name}: quorum needs a panel, of which so many must answer; write `panel: [MODEL, …]`"
            )
        if not 1 <= self.quorum <= len(panel):
            raise MetricOptionError(
                f"{self.name}: quorum is how many of the panel must answer, 1 to {len(panel)}, "
                f"not {self.quorum!r}"
            )

    def _read_panel(self, judge: JudgeModel | None) -> tuple[JudgeModel, ...]:
        written = (self.panel,) if isinstance(self.panel, str | Mapping) else self.panel
        if not isinstance(written, tuple | list) or not written:
            raise MetricOptionError(
                f"{self.name}: panel is a list of judges, not {self.panel!r}; leave it out for one judge"
            )
        members = []
        for entry in written:
            is_name = isinstance(entry, str) and bool(entry.strip()) and entry != EMBEDDED
            if is_name and judge is not None and judge.model != EMBEDDED:  # a model at the judge's endpoint
                member = replace(judge, model=entry, family="")
                refuse_near_miss(member, self.name)
            else:
                member = read_judge(entry, self.name)
            members.append(member)
        if len(set(members)) < len(members):
            raise MetricOptionError(
                f"{self.name}: a judge is twice on the panel; its vote would count double"
            )
        return tuple(members)

    @property
    def judges(self) -> tuple[JudgeModel, ...]:
        return self.panel or (self.judge,)

    @property
    def instructions(self) -> str:
        """Prompts, rubric and options, for the signature."""
        prompts = dict.fromkeys("yes-no" if judge.yes_no else self.prompt for judge in self.judges)
        return ",".join(load_prompt(prompt).identity for prompt in prompts)

    @abstractmethod
    async def request(self, judge: JudgeModel, sample: Sample) -> Opinion:
        """
        Request one judge's opinion; `judge.base_url` is set for the embedded one too.

        Raises:
            JudgeError: It gave no verdict.
            CassetteError: It is not recorded and may not be made.
        """

    @property
    def made(self) -> str:
        """The signature's parts after name and version; scores that differ in them are not compared."""
        judges = ",".join(judge.identity for judge in self.judges)
        vote = f"|{self.vote}" + (f" of {self.quorum}" if self.quorum else "") if self.panel else ""
        return f"{judges}{vote}|{self.instructions}|parser{VERSION}"

    def settle(self, sample: Sample) -> Score | Failure | None:
        """The result of a sample that needs no judge, such as the worst for an output without a word."""
        if missing := find_missing(self, sample):
            return missing
        blank = find_blank(sample.output.text, sample.reference)
        return self.conclude(sample, self.range[0], blank) if blank else None

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        if not batch:
            return []
        judges = [locate(judge) for judge in self.judges]
        return side_by_side(lambda sample: self.settle(sample) or self._judge(sample, judges), batch)

    def _judge(self, sample: Sample, judges: Sequence[JudgeModel]) -> Score | Failure:
        try:
            with recording_of(sample.case or f"judges::{self.name}", sample.output.repeat) as log:
                replies = run(_request_all(self, judges, sample))
        except LLMOpsError as error:
            return fail(self, sample, str(error))
        opinions = [reply for reply in replies if isinstance(reply, Opinion)]
        problems = [
            (f"{judge.model}: " if self.panel else "") + describe_problem(reply, located, log)
            for judge, located, reply in zip(self.judges, judges, replies, strict=True)
            if isinstance(reply, Exception)
        ]
        if len(opinions) < (self.quorum or len(judges)):
            return fail(self, sample, "; ".join(problems))
        if not self.panel:
            return self.conclude(sample, opinions[0].value, opinions[0].reason, (dict(opinions[0].evidence),))
        return self._conclude_panel(sample, opinions, problems)

    def _conclude_panel(self, sample: Sample, opinions: Sequence[Opinion], problems: Sequence[str]) -> Score:
        values = [opinion.value for opinion in opinions]
        value = count_votes(values, self.vote)
        members = [{**opinion.evidence, "value": opinion.value} for opinion in opinions]
        values_shown = ", ".join(f"{member['judge']} {member['value']:g}" for member in members)
        disagreement = round(max(values) - min(values), _DIGITS)
        lowest = min(opinions, key=lambda opinion: opinion.value)
        reason = f"the judges differ by {disagreement:g} ({values_shown})" if disagreement else ""
        panel = {
            "judge": ", ".join(str(member["judge"]) for member in members),
            "family": ", ".join(sorted({str(member["family"]) for member in members})),
            "vote": self.vote,
            "disagreement": disagreement,
            "broken": list(problems),
            **self.combine(opinions),
        }
        reasons = [text for text in (reason, lowest.reason) if text]
        return self.conclude(sample, value, "; ".join(reasons), (panel, *members))

    def combine(self, opinions: Sequence[Opinion]) -> dict[str, Any]:  # noqa: ARG002 - for metrics that have any
        """Further evidence on the panel, from that of its members."""
        return {}

    def conclude(
        self, sample: Sample, value: float, reason: str = "", evidence: tuple[Any, ...] = ()
    ) -> Score:
        """The score of a sample, with the signature of all judges."""
        return self.give(
            sample, round(value, _DIGITS), printable(reason, _SHOWN), evidence=evidence, made=self.made
        )


def side_by_side(do: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Map the items on threads where there are several: each call waits, and has its own recording."""
    if len(items) == 1:
        return [do(items[0])]
    pool = ThreadPoolExecutor(min(len(items), _AT_ONCE), "llmops-judging")
    try:
        return list(pool.map(do, items))
    except KeyboardInterrupt:
        close()  # else the process would end only after all answers
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def count_votes(values: Sequence[float], vote: Vote) -> float:
    """One value of several: their mean, their median, or the value of more than half of them."""
    if vote == "mean":
        return statistics.fmean(values)
    if vote == "majority":
        value, times = Counter(values).most_common(1)[0]
        if 2 * times > len(values):
            return value
    return statistics.median(values)


def locate(judge: JudgeModel) -> JudgeModel:
    """
    The judge with its endpoint; starts the embedded model.

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
    """Prepare a judge's text for the evidence: masked, then cut, so that no half of a secret is left."""
    return mask(str(text))[:_KEPT]


def describe_problem(error: Exception, judge: JudgeModel, log: CallLog | None) -> str:
    """
    Describe the error of a judge for a report, with the remedy where its answer is a recorded one.

    Args:
        judge: As it was called.
        log: Calls that were made or replayed, where there is a recorder.
    """
    if not isinstance(error, JudgeError | LLMOpsError):
        return mask(describe_error(error))
    calls = log.calls if log is not None else []
    is_replayed = any(call.outcome == "replayed" and call.model == judge.model for call in calls)
    if not (is_replayed and isinstance(error, NoVerdictError)):
        return str(error)
    return f"{error}. The answer is a recorded one; --llm-record all asks again"


async def _request_all(
    metric: JudgedMetric, judges: Sequence[JudgeModel], sample: Sample
) -> list[Opinion | Exception]:
    """The opinion of each judge, or its error."""
    if len(judges) == 1:
        try:
            return [await metric.request(judges[0], sample)]
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes the failure of this judge
            return [error]
    await asyncio.sleep(0)  # `gather` needs the loop
    replies = await asyncio.gather(
        *(metric.request(judge, sample) for judge in judges), return_exceptions=True
    )
    for reply in replies:
        if isinstance(reply, BaseException) and not isinstance(reply, Exception):  # the run is being stopped
            raise reply
    return [reply for reply in replies if isinstance(reply, Opinion | Exception)]


def describe_judge(judge: JudgeModel, answer: Answer | Reply | None = None) -> dict[str, Any]:
    """
    The evidence on a judge: the model named in its answer, its family, and the form of the answer.

    Args:
        answer: A completion of a yes-no judge; None where none was needed.
    """
    if answer is None:
        return {"judge": judge.model, "family": judge.family, "form": "none"}
    if isinstance(answer, Reply):
        return {
            "judge": answer.model or judge.model,
            "asked": judge.model,
            "family": judge.family,
            "fingerprint": answer.fingerprint,
            "form": "yes_no",
        }
    reply = answer.reply
    return {
        "judge": reply.model or judge.model,
        "asked": judge.model,
        "family": judge.family,
        "fingerprint": reply.fingerprint,
        "form": answer.form,
        "repaired": answer.repaired,
    }
