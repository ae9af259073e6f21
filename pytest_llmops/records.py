"""Records of cases, outputs, scores and verdicts: plain data, whose behaviour is where it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

Sign = Literal[">=", ">", "<=", "<"]
ModelErrors = Literal["allow", "warn", "fail"]
RunsOn = Literal["threads", "main_thread", "test_loop"]
Passages = Literal["scan", "own_knowledge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A place in a golden file; lines count from 1."""

    path: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One side of a threshold: a score holds it if `score comparison threshold` is true."""

    comparison: Sign
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    A threshold on one metric of one case. `min` with `max` in a golden file makes two checks.

    Attributes:
        min_kappa: The agreement with human labels that the check requires of its judge.
        pass_rate: The share of repeats that must pass; None leaves it to the default.
        max_drop: The drop of the case's mean from the baseline that is tolerated, in the metric's own unit;
            None leaves it to the default.
        record_only: The score is kept and shown, and fails no build whatever it is.
    """

    metric: str
    comparison: Sign
    threshold: float
    options: Mapping[str, Any] = field(default_factory=dict)
    min_kappa: float | None = None
    pass_rate: Bound | None = None
    max_drop: float | None = None
    record_only: bool = False


GAIN = "gain"
"""The statistic of a suite check that compares the app with its rival, `min_gain` in a golden file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteCheck:
    """
    A threshold on one statistic of a metric over all cases.

    Attributes:
        statistic: `mean`, `sum`, `min`, `max` or a percentile `p50` … `p99`; or `GAIN`, how much better than
            its rival the app scores in the mean.
        comparison: None if only a drop from the baseline is watched.
        max_drop: The worsening from the baseline that is tolerated, in the metric's own unit.
        record_only: The statistic is shown, and fails no build whatever it is.
        watch: A drop from the baseline fails a build.
    """

    metric: str
    statistic: str
    comparison: Sign | None
    threshold: float | None
    max_drop: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    record_only: bool = False
    watch: bool = True

    @property
    def is_bare(self) -> bool:
        """True if it asks for nothing but that a mean does not drop, as metrics without an entry do."""
        unbound = self.comparison is None and self.max_drop is None
        return unbound and self.statistic == "mean" and not self.record_only


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """
    A picture or table that a case's input names.

    Attributes:
        path: From the project's root, as the input has it.
        sha256: Of its bytes; empty where an older revision has no such file.
    """

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class XFail:
    """
    A case that is expected to miss a check.

    Attributes:
        strict: Whether it fails a build if it passes; None leaves it to pytest's setting `strict_xfail`.
    """

    reason: str
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTurn:
    """
    One turn of a case that is a conversation.

    Attributes:
        user: The message of the user.
        reference: The expected answer of this turn; so `relevant` are passages for this turn.
    """

    user: str
    reference: str | None = None
    relevant: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedUser:
    """
    A user that a chat model plays, turn by turn, in place of turns that are written.

    Attributes:
        goal: What the user wants of the app.
        persona: Who the user is.
        knows: What the user can say when the app asks: name to a JSON value.
        style: How the user writes.
        model: The chat model, as `Golden.judge`.
        seed: Of the first repeat; each further one has the next.
        max_turns: Messages of the user, at most.
    """

    goal: str
    persona: str = ""
    knows: Mapping[str, Any] = field(default_factory=dict)
    style: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    max_turns: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One question to the app with the checks of its answer, or one conversation.

    Attributes:
        id: Unique in its file; the item is `<file>::<id>`.
        input: The argument of the app; a string, or any JSON value. Of a conversation the messages of its
            history and of the user; with a simulated user, that user as it is written.
        turns: Of a conversation, for which the app is called once a turn; empty for one question.
        user: Leads the conversation in place of turns.
        history: Messages before the first turn, each with `role` and `content`.
        checks: Those of a turn have its number in the name of the metric, see `registry.turn_metric`.
        attached: The files that the input names.
        relevant: Ids of the passages that contain the answer.
        state: The function, `module:attribute`, that reads what the case left behind; empty for none.
        expected: What it has to return, a JSON value; None where nothing is expected of it.
        repeats: Number of calls of the app, `auto` while a verdict is open; None leaves it to the settings.
        live: Its model calls are made in every run and never replayed.
        group: Cases of one question have one group; empty for a case of its own.
        description: For people.
        metadata: For other tools; nothing here reads it.
        skip: Why it is not run; empty for a case that is.
    """

    id: str
    input: Any
    turns: tuple[CaseTurn, ...] = ()
    user: SimulatedUser | None = None
    history: tuple[Mapping[str, str], ...] = ()
    attached: tuple[Attached, ...] = ()
    reference: str | None = None
    relevant: tuple[str, ...] = ()
    state: str = ""
    expected: Any = None
    checks: tuple[Check, ...] = ()
    tags: tuple[str, ...] = ()
    repeats: int | Literal["auto"] | None = None
    live: bool = False
    group: str = ""
    source: Source | None = None
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    skip: str = ""
    xfail: XFail | None = None

    @property
    def is_conversation(self) -> bool:
        """Whether the app is called once a turn."""
        return bool(self.turns or self.user)


ANCHORS = "#anchors"
"""What the path of a golden file ends with in the ids of its anchors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A stored output that judged metrics score anew in each run; a change of its score is the judge's."""

    id: str
    input: Any
    output: str
    reference: str | None = None
    passages: tuple[Passage, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """
    One golden file.

    Attributes:
        path: From the project's root, with forward slashes.
        app: The app under test as it is written: `module:attribute`, a URL, or a mapping with `http` or
            `command`.
        rival: Another app that gets the same cases, for comparison, written likewise.
        judge: The chat model that judges answers, as `judge:` names it; empty leaves it to the settings.
        prompts: Files or folders with the app's prompts, from the project's root; they stamp a run.
        data: Files or folders from which the app answers, documents or an index; they stamp it too.
        anchors: File of stored outputs that are scored in each run, from the project's root; empty for none.
        never_record: Hosts whose model calls are made in every run, neither recorded nor replayed.
        allowed_hosts: Hosts to which the app may send what is no model call.
        also_record: Other requests that are recorded and replayed, as `POST api.example.com/rank*`.
        ignored_parts: Parts of requests that change in every call, as `CallRules.ignored`.
        model_errors: Effect of a failed model call on its case; None leaves it to the status.
        require_spans: Number of spans that the app must leave for a case.
        passages: Whether `pii_leak` looks into passages; None leaves it to the check.
        runs_on: Where the app and its rival are called; None leaves it to the settings.
        sha256: Of the file's bytes.
        bound_lines: Metric to the line of the first bound on it; empty if it was not read from a file.
        suite_lines: Metric of the suite to the line on which it is written, from 1.
        measures: Bounds of features, by their key under `suite`: `mutation` to `lies` to `>= 0.9`. Each is
            judged by what measures it, and by no ordinary run.
        table: File that has the cases, from the project's root; empty where the golden file has them.
    """

    path: str
    cases: tuple[Case, ...]
    suite: tuple[SuiteCheck, ...] = ()
    app: str | Mapping[str, Any] | None = None
    rival: str | Mapping[str, Any] | None = None
    encoder: str = "default"
    judge: Mapping[str, Any] = field(default_factory=dict)
    prompts: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    anchors: str = ""
    never_record: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    also_record: tuple[str, ...] = ()
    ignored_parts: tuple[str, ...] = ()
    model_errors: ModelErrors | None = None
    require_spans: int = 0
    passages: Passages | None = None
    runs_on: RunsOn | None = None
    sha256: str = ""
    bound_lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    suite_lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    measures: Mapping[str, Mapping[str, Bound]] = field(default_factory=dict)
    table: str = ""

    @classmethod
    def from_records(  # noqa: PLR0913 - the keys of a golden file
        cls,
        records: Any,
        *,
        checks: Mapping[str, Any] | None = None,
        suite: Mapping[str, Any] | None = None,
        app: str | None = None,
        judge: Mapping[str, Any] | str | None = None,
        columns: Mapping[str, str] | None = None,
        name: str = "records",
    ) -> Golden:
        """
        Return a golden set of records, each of which is a case.

        Args:
            records: Mappings of column to value: rows of a table, a pandas or polars data frame, a data set
                of Hugging Face.
            checks: Of every case, as under `checks` of a golden file.
            suite: Over all cases, as under `suite`.
            app: `module:attribute`; a callable is passed to `run_golden`.
            judge: As under `judge`.
            columns: Key of a case to the name of its column, as under `cases: {columns: …}`.
            name: What stands for the golden file in the ids of items and in messages.

        Raises:
            GoldenError: With all mistakes in the records and checks; the line is the number of the record.
        """
        from importlib import import_module

        make = import_module(f"{__package__}.golden.loader").make_golden  # which reads into these records
        golden: Golden = make(
            records, checks=checks, suite=suite, app=app, judge=judge, columns=columns, name=name
        )
        return golden


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A retrieved text, best first in its list; `score` is the retriever's own."""

    id: str
    text: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    decision: str | None = None
    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """
    Cost of the model calls of one output, or of a run.

    Attributes:
        calls: Model calls seen, answered or not; each attempt of a client that retries is one.
        replayed: Of these, answered from a cassette.
        failed: Of these, made without a complete answer: refused, cut off, out of time.
        prompt_tokens: None if a provider did not report its usage.
        cost_usd: None if a model's price is not known.
        stated: The app reported the numbers, so that a zero is a count and no call that was not seen.
    """

    calls: int = 0
    replayed: int = 0
    failed: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cost_usd: float | None = 0.0
    stated: bool = False


GIVEN_UP = "llmops.attempt.given_up"
"""Attribute of a span of an attempt that a provider's failure broke and another followed: its number."""

UNSEEN = "llmops.unseen_characters"
"""Attribute of a span: number of characters that were not kept, so that no check sees them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """
    One step of a trace, or a log record in it.

    Attributes:
        start: Seconds since the epoch, as `end`.
        events: Mappings of `name` and `attributes`: events, exceptions, links, baggage.
        trace_id: The trace that it is part of; empty if there is none.
        origin: Its source: `opentelemetry`, `log`, `otlp`, `langsmith`, `recorder`, `response`.
        resource: Attributes of the process and of the library that traces: resource and scope.
        repeat: Of the case, where the span is kept with its result.
    """

    span_id: str
    parent_id: str | None
    name: str
    kind: str = "span"
    start: float = 0.0
    end: float = 0.0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()
    status: str = "unset"
    trace_id: str = ""
    origin: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict)
    repeat: int = 0


NORMAL_ENDS = frozenset({"stop", "tool_calls"})
"""Why a model stops writing that has said all, or waits for a tool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """
    Digests of one answered model call of an output: enough to find changes, without text.

    Attributes:
        key: SHA-256 of the request (provider, model, messages, tools, settings) without the repeat:
            equal keys are the same question.
        kind: `chat`, `embeddings` …, as the recorder names calls.
        model: The requested model; `reported` is the one that the answer names.
        fingerprint: The provider's mark of weights and settings.
        tools: Digest of the tool schemas in the request; empty if there are none.
        answer: Digest of the answer: of its text and the tools that it calls, or of the vectors.
        id: Digest of the provider's name of the answer; empty if it has none.
        cached: By its headers the answer came out of a cache.
        settings: Sampling settings and all else in the request that is no content, name to value: texts are
            digests, the system prompt's too.
        finish: Why the model stopped: `stop`, `tool_calls`, `length`, `refusal`, `content_filter`, or the
            provider's own word; empty where it has none.
    """

    key: str
    kind: str = "chat"
    model: str | None = None
    reported: str | None = None
    fingerprint: str | None = None
    tools: str = ""
    answer: str = ""
    id: str = ""
    cached: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    finish: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCall:
    """
    A model call without a complete answer.

    Attributes:
        provider: The host, as the recorder names it.
        status: Of HTTP; None if no answer came.
        error: The reason, in one line, without secrets.
        retried: Whether an equal call was answered afterwards, so that nothing was lost.
    """

    provider: str
    model: str | None = None
    status: int | None = None
    error: str = ""
    retried: bool = False


def _default(of_field: Field[Any]) -> Any:
    return of_field.default if of_field.default_factory is MISSING else of_field.default_factory()


Ended = Literal["goal reached", "limit of turns", "user error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """
    The part of a simulated user in one repeat of a conversation.

    Attributes:
        ended: Why the conversation ended; a user may be wrong on its goal, so that checks decide.
        prompt: Name, version and digest of the prompt by which the model plays.
        model: As it was asked for; `reported` is what its answers name.
    """

    ended: Ended
    prompt: str
    model: str
    reported: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """
    The app's answer to one repeat of a case.

    In comparisons with a string, `in`, `str`, `len`, an index or slice and as a truth value it is its text.

    Attributes:
        latency_s: Wall time of the call; a replayed model call counts with the time it once took.
        model: The model that the provider reported, the last one if several were called.
        model_calls: The answered model calls in the order they began.
        failed_calls: The others.
        attempts: Calls of the app for this repeat; more than one where a provider failed.
        degraded: How the app itself says that this answer falls short, such as `quoted`; else empty.
        elsewhere: By host, how many requests that are no model calls went to other machines.
        unseen: By destination, how many connections the app opened in which nobody looked.
        changed_input: The app changed the input that it was called with, which was a copy for this call.
        first_token_s: Seconds until the first text of a streamed answer came; None where the app does not
            stream, or a model call of it was replayed.
        user: Of a conversation that a simulated user led, that user's part.
    """

    text: str
    repeat: int = 0
    passages: tuple[Passage, ...] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    latency_s: float = 0.0
    model: str | None = None
    trace_id: str | None = None
    model_calls: tuple[ModelCall, ...] = ()
    failed_calls: tuple[FailedCall, ...] = ()
    attempts: int = 1
    degraded: str = ""
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    unseen: Mapping[str, int] = field(default_factory=dict)
    changed_input: bool = False
    first_token_s: float | None = None
    user: Played | None = None

    def __repr__(self) -> str:
        set_ = [own for own in fields(self) if own.name == "text" or getattr(self, own.name) != _default(own)]
        return f"Output({', '.join(f'{own.name}={getattr(self, own.name)!r}' for own in set_)})"

    def __str__(self) -> str:
        return self.text

    def __len__(self) -> int:
        return len(self.text)

    def __contains__(self, part: str) -> bool:
        return part in self.text

    def __getitem__(self, place: int | slice) -> str:
        return self.text[place]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return self.text == other
        if not isinstance(other, Output):
            return NotImplemented
        return all(getattr(self, own.name) == getattr(other, own.name) for own in fields(self))

    def __hash__(self) -> int:
        return hash(self.text)  # as a string that is equal

    if not TYPE_CHECKING:  # a checker reports the name itself

        def __getattr__(self, name: str) -> Any:
            known = ", ".join(own.name for own in fields(self))
            remedy = f"its text has: write .text.{name}" if hasattr(str, name) else f"it has: {known}"
            raise AttributeError(f"an Output has no attribute {name!r}; {remedy}", name=name, obj=self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutput:
    """
    One turn of a conversation: the user's message, the app's answer to it, and the spans it left meanwhile.

    Attributes:
        asked: The turn as its case has it.
    """

    asked: CaseTurn
    output: Output
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRead:
    """
    What a case left behind, as the function of its `state` reads it after the last answer.

    Attributes:
        value: A JSON value.
        error: Why it could not be read; empty where it was.
    """

    value: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    Input of a metric: one output, the facts of its case, and its trace.

    Attributes:
        turns: Of a conversation, of which `output` is what the metric reads; else empty.
        case: The item's id, or another name of the sample's source, under which model calls of judges are
            recorded.
        rival: Another answer to the same input, for metrics of pairs.
        expected: The state that the case has to leave behind; None for any. `state` is the one that it left,
            where a function reads it.
    """

    output: Output
    input: Any = None
    reference: str | None = None
    relevant: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    case: str = ""
    rival: str | None = None
    turns: tuple[TurnOutput, ...] = ()
    expected: Any = None
    state: StateRead | None = None


Stage = Literal["app", "score", "rival", "unseen", "inapplicable", "user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """
    One metric's finite number for one output.

    Attributes:
        reason: One line for people on why it is not better.
        evidence: Its grounds, as JSON values: the missing words, the places of a leak.
        signature: Its origin (metric, version, library, model); scores of unlike ones are not compared.
    """

    metric: str
    value: float
    repeat: int = 0
    reason: str = ""
    evidence: tuple[Any, ...] = ()
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    A score that could not be made, with the reason.

    Attributes:
        metric: Empty if the app itself broke, or its user.
        stage: `rival` if a metric of pairs had no second answer, which is no fault of the app; `unseen` if
            the app shows nothing of what the metric judges, so that its check is undecided; `inapplicable`
            if the output has nothing that the metric could judge, so that its check is undecided and a suite
            leaves the case out; `user` if a simulated user did something wrong, so that the repeat says
            nothing of the app, with the same effect.
        usage: Of the model calls of a repeat in which the app broke; `failed_calls` are among them.
        traceback: Of an app that raised: its own frames as text, masked; empty if it has none.
        attempts: Calls of the app for this repeat, all of which a provider's failure broke.
        changed_input: As of an output.
        model_calls: As of an output; of all attempts.
    """

    metric: str
    stage: Stage
    error: str
    repeat: int = 0
    usage: Usage = field(default_factory=Usage)
    failed_calls: tuple[FailedCall, ...] = ()
    traceback: str = ""
    attempts: int = 1
    changed_input: bool = False
    model_calls: tuple[ModelCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """
    The score of one metric for an output.

    Attributes:
        value: None where it could not be scored, with the reason in `error`.
        label: `passed` or `failed` by the checks of the case; empty where it has none on the metric.
    """

    metric: str
    value: float | None = None
    label: str = ""
    explanation: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredOutput:
    """
    One repeat of a case with its scores.

    Attributes:
        spans: In the order in which they ended; an app may leave none.
    """

    case: str
    repeat: int
    input: Any
    text: str
    spans: tuple[Span, ...]
    judged: tuple[Judged, ...]
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """
    One answered turn of a conversation, as a result keeps it.

    Attributes:
        turn: Counts from 1.
        text: The app's answer.
    """

    turn: int
    user: str
    text: str
    repeat: int = 0
    tool_calls: tuple[ToolCall, ...] = ()
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """
    Everything that one case produced.

    Attributes:
        case: The item's id, `golden/shop.yaml::returns`.
        checks: Those of its golden file, so that two runs can be compared without it.
        answers: Digest of each repeat's answer, in a baseline, which keeps no outputs.
        auto: The most repeats that were allowed, if they were requested look by look while a verdict was
            open; 0 if their number was fixed.
        group: As its golden file names it: cases of one group are one unit of the suite's tests.
        runs: Number of repeats from each run, in a baseline that was merged from several.
        copies: Repeats that a cache answered with an earlier one's answer, and that count with it as one.
        left_out: Their number, in a baseline, which does not keep them.
        tried_again: Repeats, in a baseline, for which the app was called again since a provider failed.
        rival: The result of the app's rival for the same case; None if there is none.
        printed: `stdout`, `stderr` and `log` of the app meanwhile, for the item's report; files have them as
            spans.
        spent: In a baseline, what its repeats used together, without how the calls were answered.
        error_logs: Log records of the level ERROR and above, of the app and its rival meanwhile.
        input: Of the case, masked; None in a baseline.
        turns: Of a conversation, those that were answered, of all repeats; none in a baseline.
        spans: Of the repeats whose traces are kept, masked and without their resource.
        taken: It is the baseline's, since no change could have touched it (`--llm-affected`).
        xfail: Of its case, with `strict` as it was decided for the run; None in a baseline.
    """

    case: str
    input_hash: str
    outputs: tuple[Output, ...] = ()
    scores: tuple[Score, ...] = ()
    failures: tuple[Failure, ...] = ()
    checks: tuple[Check, ...] = ()
    answers: tuple[str, ...] = ()
    auto: int = 0
    group: str = ""
    runs: tuple[int, ...] = ()
    copies: tuple[int, ...] = ()
    left_out: int = 0
    tried_again: int = 0
    rival: CaseResult | None = None
    printed: tuple[tuple[str, str], ...] = ()
    error_logs: int = 0
    spent: Usage | None = None
    input: Any = None
    turns: tuple[Turn, ...] = ()
    spans: tuple[Span, ...] = ()
    xfail: XFail | None = None
    taken: bool = False

    @property
    def breakages(self) -> tuple[Failure, ...]:
        """The failures but for those that break no case: an output, or its user, gives nothing to judge."""
        return tuple(failure for failure in self.failures if failure.stage not in {"inapplicable", "user"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """
    A run that was merged with others.

    Attributes:
        shard: `3/8`, the third of eight; empty for a run that was no shard.
        cases: Their number.
        usage: Of its outputs.
        environment: As of a run.
    """

    shard: str = ""
    cases: int = 0
    usage: Usage = field(default_factory=Usage)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitWait:
    """
    Cost of a provider's limits.

    Attributes:
        waited_s: Seconds in which at least one call waited, of the process that waited longest.
        calls: How many calls waited.
    """

    waited_s: float
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    One pass over golden files.

    Attributes:
        signature: Origin of the run (versions, app, prompts, golden files), name to value.
        suite: The suite checks by golden file, so that two run files can be compared without it.
        anchors: Results of the golden files' anchors, scored in this run.
        environment: Where and when it was made, for people: `ended`, `revision`, `branch`, `job`, `url`.
        shard: `3/8` for the third of eight shards; empty for any other run.
        parts: The runs that it was merged from; empty for one that was made in one piece.
        errors: Sentences on what broke and belongs to no case.
        notes: Sentences on results and recordings that could not be kept, and the like.
        limits: By host, what its limits cost; those that limited nothing are left out.
        skipped: Ids of the cases that their golden files skip, each with the reason; they have no result.
    """

    signature: Mapping[str, str]
    results: tuple[CaseResult, ...]
    suite: Mapping[str, tuple[SuiteCheck, ...]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    anchors: tuple[CaseResult, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    shard: str = ""
    parts: tuple[Part, ...] = ()
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    limits: Mapping[str, LimitWait] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)


Outcome = Literal["passed", "failed", "regressed", "undecided", "error"]
OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "regressed", "undecided", "error")
Status = Outcome | Literal["known", "xfailed", "xpassed"]
"""
What is counted: an outcome, or `known` where it does not fail the build since the baseline has it too. A case
that its golden file expects to fail is `xfailed` or, where it passes, `xpassed`.
"""
STATUSES: tuple[Status, ...] = (*OUTCOMES, "known", "xfailed", "xpassed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    The gate's result for one check.

    Attributes:
        check: For people, `recall@5 mean >= 0.9`.
        metric: The metric of its numbers; empty if there is none.
        case: The item's id; None for a suite check.
        interval: Of the difference from the baseline, or of the gain over a rival, at the comparison's level.
        corrected: The mean that labels of people show, with the ends of its interval; None without labels.
        advice: The remedy, or the drop that a larger run would find.
        xfail: Why the golden file expects the case to fail; only where that decides: on a check that is
            missed, and on those of a case that passes and is not strict.
    """

    check: str
    outcome: Outcome
    metric: str = ""
    case: str | None = None
    observed: float | None = None
    baseline: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    corrected: tuple[float, float, float] | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    cases: int = 1
    reason: str = ""
    evidence: tuple[Any, ...] = ()
    advice: str = ""
    known: bool = False
    xfail: str = ""

    @property
    def excused(self) -> bool:
        """Whether it decides nothing, for the baseline has it too or the golden file expects it."""
        return self.known or bool(self.xfail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A case whose score differs from the baseline's; `confirmed` if that is no chance."""

    case: str
    metric: str
    before: float
    after: float
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    Comparison of two runs: verdicts, and the cases that were added, removed or changed.

    Attributes:
        differs: Other differences from the baseline, a line each: prompts, models, settings, code, data.
        not_stamped: What else may differ, a line each, since one of the runs has no stamps of it.
        stamped: The kinds of stamps that both runs have.
        since_release: How far the means are from those of the release, a sentence; empty without one.
        skipped: Cases of the new run that were not run, with the reason; `missing` has none of them.
        unjudged: Of these, the ones that the baseline has: they leave the comparison undecided at best.
    """

    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    level: float
    new: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()
    differs: tuple[str, ...] = ()
    not_stamped: tuple[str, ...] = ()
    stamped: tuple[str, ...] = ()
    since_release: str = ""
    skipped: Mapping[str, str] = field(default_factory=dict)
    unjudged: tuple[str, ...] = ()
