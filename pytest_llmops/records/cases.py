"""What a golden file asks: cases, their checks and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Sign = Literal[">=", ">", "<=", "<"]
ModelErrors = Literal["allow", "warn", "fail"]
Passages = Literal["scan", "own_knowledge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where in a golden file something was written; lines count from 1."""

    path: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One side of a threshold: a score holds it when `score comparison threshold` is true."""

    comparison: Sign
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    A threshold on one metric of one case. `min` with `max` in a golden file makes two checks.

    Attributes:
        min_kappa: The agreement with human labels that the check asks of its judge; with less, it does
            not pass.
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
        comparison: None when only a drop from the baseline is watched.
        max_drop: The worsening from the baseline that is tolerated, in the metric's own unit.
        record_only: The statistic is shown, and fails no build whatever it is.
    """

    metric: str
    statistic: str
    comparison: Sign | None
    threshold: float | None
    max_drop: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    record_only: bool = False


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
class Case:
    """
    One question to the app and what its answer must hold.

    Attributes:
        id: Unique in its file; the item is `<file>::<id>`.
        input: What the app is called with; a string, or any JSON value.
        attached: The files that the input names.
        relevant: Ids of the passages that hold the answer.
        repeats: How often the app is asked, `auto` while a verdict is open; None leaves it to the settings.
        live: Its model calls are made in every run and never replayed.
        group: Cases of one question have one group; empty where the case stands for itself.
    """

    id: str
    input: Any
    attached: tuple[Attached, ...] = ()
    reference: str | None = None
    relevant: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    tags: tuple[str, ...] = ()
    repeats: int | Literal["auto"] | None = None
    live: bool = False
    group: str = ""
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """
    One golden file.

    Attributes:
        path: As the user sees it: relative to the project's root, with forward slashes.
        app: `module:attribute` of the app under test.
        rival: `module:attribute` of another app that is asked the same cases, to be compared with.
        judge: The chat model that judges answers, as `judge:` names it; empty leaves it to the settings.
        prompts: Files or folders with the app's prompts, from the project's root; they stamp a run.
        data: Files or folders that the app answers from, documents or an index; they stamp it too.
        never_record: Hosts whose model calls are made in every run, neither recorded nor replayed.
        model_errors: What a failed model call does to its case; None leaves it to the status.
        require_spans: How many spans the app must leave for a case.
        passages: Whether `pii_leak` looks into passages; None leaves it to the check.
        sha256: Of the file's bytes.
        bound_lines: Metric to the line of the first bound on it; empty where it was not read from a file.
        suite_lines: Metric of the suite to the line on which it is written, from 1.
    """

    path: str
    cases: tuple[Case, ...]
    suite: tuple[SuiteCheck, ...] = ()
    app: str | None = None
    rival: str | None = None
    encoder: str = "default"
    judge: Mapping[str, Any] = field(default_factory=dict)
    prompts: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    never_record: tuple[str, ...] = ()
    model_errors: ModelErrors | None = None
    require_spans: int = 0
    passages: Passages | None = None
    sha256: str = ""
    bound_lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    suite_lines: Mapping[str, int] = field(default_factory=dict, compare=False)
