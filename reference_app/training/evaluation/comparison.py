"""The adapter against its base on the test split: greedy, in llama.cpp, in one server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from reference_app.evaluation.shares import lower_bound
from reference_app.training.evaluation.cases import load_cases
from reference_app.training.evaluation.engine import OFF, ON, open_engine
from reference_app.training.evaluation.scoring import score_answer, score_general, score_plan
from reference_app.training.evaluation.tone import Tone
from reference_app.training.examples.corpus import DATA, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from reference_app.training.evaluation.cases import Case
from reference_app.training.evaluation.engine import Engine

PLAN_TOKENS, ANSWER_TOKENS = 112, 96
GOALS = {
    "json_valid": 0.99,
    "schema_valid": 0.95,
    "intent": 0.90,
    "arguments_exact": 0.90,
    "professional": 0.95,
    "out_of_scope_refused": 0.90,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one system said to one case, and how each behaviour came out, from 0 to 1."""

    case: Case
    text: str
    scores: dict[str, float]
    seconds: float
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """
    A behaviour over all cases that show it.

    Attributes:
        lower: Exact 95 % lower bound (Clopper-Pearson, one-sided); None for a mean that is no share.
        goal: None where none is set.
    """

    name: str
    value: float
    n: int
    lower: float | None
    goal: float | None

    @property
    def reached(self) -> bool:
        """Whether the value is at the goal, if there is one."""
        return self.goal is None or self.value >= self.goal


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    Both systems' measures by name.

    Attributes:
        adapter: Empty where no adapter was given.
        tone: How well the check of tone tells the held-out preference pairs apart.
    """

    adapter: dict[str, Measure]
    base: dict[str, Measure]
    tone: Measure
    outcomes: dict[str, tuple[Outcome, ...]]


def evaluate(  # noqa: PLR0913 - each has a use of its own
    adapter: Path | None,
    weights: Path,
    *,
    data: Path = DATA,
    systems: Sequence[str] = ("adapter", "base"),
    every: int = 1,
    progress: Callable[[], object] = lambda: None,
) -> Report:
    """
    Run the test split through the adapter and, at scale 0 in the same server, through the base.

    Args:
        adapter: GGUF file; None measures the base alone.
        weights: GGUF file of the base.
        systems: Which of `adapter` and `base` to run.
        every: Take each Nth case only, for a quick look.
        progress: Called after each answer.

    Raises:
        WeightsError: The adapter cannot be loaded.
    """
    cases = load_cases(data)[::every]
    tone = train_tone(data)
    scales = {name: scale for name, scale in (("adapter", ON), ("base", OFF)) if name in systems}
    if adapter is None:
        scales.pop("adapter", None)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in scales}
    with open_engine(weights, adapter) as engine:
        for name, scale in scales.items():
            for case in cases:
                outcomes[name].append(_run(engine, case, scale, tone))
                progress()
    measures = {name: summarise(rows) for name, rows in outcomes.items()}
    return Report(
        adapter=measures.get("adapter", {}),
        base=measures.get("base", {}),
        tone=measure_tone(tone, data),
        outcomes={name: tuple(rows) for name, rows in outcomes.items()},
    )


def train_tone(data: Path = DATA) -> Tone:
    """The check of tone, from the preference pairs for training and the answers to learn from."""
    pairs = read_lines(data / "dpo-train.jsonl")
    preferred, rejected = ([pair[side][0]["content"] for pair in pairs] for side in _SIDES)
    replies = (line["messages"][-1]["content"] for line in read_lines(data / "sft-train.jsonl"))
    return Tone([*preferred, *(reply for reply in replies if not reply.startswith("{"))], rejected)


def measure_tone(tone: Tone, data: Path = DATA) -> Measure:
    """The share of held-out answers, preferred and rejected, that the check puts on the right side."""
    pairs = read_lines(data / "dpo-test.jsonl")
    right = [
        tone.is_professional(pair[side][0]["content"]) == (side == _SIDES[0])
        for pair in pairs
        for side in _SIDES
    ]
    return _share("tone_check", right)


def score(case: Case, text: str, tone: Tone) -> dict[str, float]:
    """How each behaviour that the case shows came out, from 0 to 1."""
    scores: Mapping[str, float]
    if case.task == "plan":
        scores = score_plan(case.expected, text)
    elif case.task == "general":
        scores = score_general(case.keys, text)
    else:
        scores = score_answer(case, text, tone)
    return {name: float(value) for name, value in scores.items()}


def summarise(outcomes: Iterable[Outcome]) -> dict[str, Measure]:
    """A measure for each behaviour, and the means of `rouge_l`, `seconds` and `answer_tokens`."""
    rows = list(outcomes)
    names = dict.fromkeys(name for row in rows for name in row.scores)
    measures = {}
    for name in names:
        values = [row.scores[name] for row in rows if name in row.scores]
        measures[name] = _mean(name, values) if name == "rouge_l" else _share(name, [bool(v) for v in values])
    measures["seconds"] = _mean("seconds", [row.seconds for row in rows])
    measures["answer_tokens"] = _mean("answer_tokens", [row.answer_tokens for row in rows])
    return measures


_SIDES = ("preferred_output", "non_preferred_output")


def _run(engine: Engine, case: Case, scale: float, tone: Tone) -> Outcome:
    started = time.perf_counter()
    limit = PLAN_TOKENS if case.task == "plan" else ANSWER_TOKENS
    text, prompt_tokens, answer_tokens = engine.answer(case.messages, scale=scale, max_tokens=limit)
    return Outcome(
        case=case,
        text=text,
        scores=score(case, text, tone),
        seconds=time.perf_counter() - started,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
    )


def _share(name: str, values: Sequence[bool]) -> Measure:
    count = sum(values)
    return Measure(
        name=name,
        value=count / len(values),
        n=len(values),
        lower=lower_bound(count, len(values)),
        goal=GOALS.get(name),
    )


def _mean(name: str, values: Sequence[float]) -> Measure:
    return Measure(name=name, value=fmean(values), n=len(values), lower=None, goal=GOALS.get(name))
