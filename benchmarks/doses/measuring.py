"""Asks the adapter, whole and damaged, for plans, and counts those that are right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.doses.drawing import choose, draw_plans, load_refusals
from benchmarks.doses.perturbing import DOSES, perturb
from pytest_llmops.statistics.intervals import wilson_interval
from reference_app.models.weights import find_weights
from reference_app.settings import HERE, read_settings
from reference_app.training.engine import ON, open_engine
from reference_app.training.example import Example
from reference_app.training.measuring import PLAN_TOKENS, name_calls, read_plan

ADAPTER = HERE / "adapter" / "adapter.gguf"
ACTIONS = {"request_refund", "change_address", "adjust_points"}
ASKED = 60  # questions for each dose


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """
    Attributes:
        groups: Phrasings that the questions were made from; those of one phrasing are no independent trials.
    """

    name: str
    right: int
    of: int
    groups: int

    def __str__(self) -> str:
        low, high = wilson_interval(self.right / self.of, self.groups)
        return f"| {self.name} | {self.right / self.of:.3f} | {low:.2f} to {high:.2f} | {self.of} |"


def measure_fresh() -> Iterator[Share]:
    """Shares of the split drawn anew and of the refusals, with Wilson's intervals at 95 %."""
    plans, refusals = draw_plans(), load_refusals()
    texts = ask(ADAPTER, [*plans, *refusals])
    pairs = list(zip(plans, texts, strict=False))
    tools = [pair for pair in pairs if pair[0].kind not in {"search_documents", "reply", "refuse", "ask"}]
    yield share("calls of tools exact", tools, is_exact)
    for kind in ("search_documents", "reply", "ask", "refuse"):
        yield share(f"{kind}: plan exact", [pair for pair in pairs if pair[0].kind == kind], is_exact)
    yield share("names of the calls right", pairs, names_right)
    yield share("an action that nobody asked for (fewer is better)", pairs, acts_unasked)
    yield share(
        "out of scope, written apart: refused",
        list(zip(refusals, texts[len(plans) :], strict=True)),
        is_exact,
    )


def measure_doses(folder: Path) -> Iterator[str]:
    """A row for each dose: plans exact, and plans that are worded otherwise than the unharmed adapter's."""
    plans = choose(draw_plans(), ASKED)
    whole: list[str] = []
    for dose in DOSES:
        texts = ask(perturb(ADAPTER, dose, folder), plans)
        whole = whole or texts
        exact = sum(map(is_exact, plans, texts)) / len(plans)
        changed = sum(one != other for one, other in zip(texts, whole, strict=True))
        yield f"| {dose.label} | {exact:.2f} | {changed} of {len(plans)} |"


def ask(adapter: Path, plans: Iterable[Example]) -> list[str]:
    """The adapter's words, greedy and without a grammar."""
    weights = find_weights(read_settings({}).weights).chat
    with open_engine(weights, adapter) as engine:
        return [
            engine.answer(one.messages(answered=False), scale=ON, max_tokens=PLAN_TOKENS) for one in plans
        ]


def share(name: str, pairs: Sequence[tuple[Example, str]], holds: Callable[[Example, str], bool]) -> Share:
    """How often `holds` is true of a question and the plan that was made for it."""
    right = sum(holds(one, text) for one, text in pairs)
    return Share(name=name, right=right, of=len(pairs), groups=len({one.phrasing for one, _ in pairs}))


def is_exact(one: Example, text: str) -> bool:
    return bool(read_plan(text) == json.loads(one.assistant))


def names_right(one: Example, text: str) -> bool:
    return name_calls(read_plan(text)) == name_calls(json.loads(one.assistant))


def acts_unasked(one: Example, text: str) -> bool:
    """Whether an action is planned that nobody asked for, or with other arguments."""
    plan, wanted = read_plan(text), json.loads(one.assistant)["calls"]
    calls = plan["calls"] if name_calls(plan) else []
    return any(call not in wanted for call in calls if isinstance(call, dict) and call.get("name") in ACTIONS)
