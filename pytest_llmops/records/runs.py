"""What was made of outputs: scores, failures, the result of a case, a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_llmops.records.cases import Check, SuiteCheck
from pytest_llmops.records.outputs import FailedCall, Output, Usage

Stage = Literal["app", "score", "rival"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """
    One metric's finite number for one output.

    Attributes:
        reason: One line for people, why it is not better.
        evidence: What it rests on, as JSON values: the words missing, the places of a leak.
        signature: How it was made (metric, version, library, model); unlike ones are not compared.
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
    What could not be scored, and why.

    Attributes:
        metric: Empty when the app itself broke.
        stage: `rival` where a metric of pairs had no second answer, which is no fault of the app.
        usage: What the model calls of a repeat took in which the app broke; `failed_calls` are among them.
        traceback: Of an app that raised: its own frames as text, masked; empty where it has none.
    """

    metric: str
    stage: Stage
    error: str
    repeat: int = 0
    usage: Usage = field(default_factory=Usage)
    failed_calls: tuple[FailedCall, ...] = ()
    traceback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """
    Everything one case produced.

    Attributes:
        case: The item's id, `golden/shop.yaml::returns`.
        checks: What its golden file asked of it, so that two runs can be compared by themselves.
        answers: Digest of each repeat's answer, in a baseline, which keeps no outputs.
        auto: The most repeats that were allowed, where they were asked for look by look while a verdict
            was open; 0 where their number was fixed.
        group: As its golden file names it: cases of one group are one unit of the suite's tests.
        runs: How many of the repeats each run gave, in a baseline that was merged from several.
        rival: What the app's rival produced for the same case; None where there is none.
        printed: `stdout`, `stderr` and `log` of the app meanwhile, as it wrote them; for the item's report,
            and in no file.
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
    rival: CaseResult | None = None
    printed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    One pass over golden files.

    Attributes:
        signature: What made the run (versions, app, prompts, golden files), name to value.
        suite: The suite checks by golden file, so that two run files can be compared by themselves.
    """

    signature: Mapping[str, str]
    results: tuple[CaseResult, ...]
    suite: Mapping[str, tuple[SuiteCheck, ...]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
