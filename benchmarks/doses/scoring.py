"""What counts as right of a plan: as the adapter words it, and as the app goes on with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.doses.asking import Answer
from benchmarks.doses.drawing import Question
from pytest_llmops.statistics.intervals import wilson_interval
from reference_app.dialogue.orders import ACTIONS
from reference_app.training.evaluation.cases import Case
from reference_app.training.evaluation.comparison import score, train_tone

REFUSED = ("out of scope refused, as worded", "out of scope refused, by the app")
_ONE_LOOKUP = {"shipment": "order", "order_status": "order"}  # the shop answers both with status and carrier


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

    @property
    def value(self) -> float:
        return self.right / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's at 95 %, with phrasings as trials."""
        return wilson_interval(self.value, self.groups)


def measure_plans(
    questions: Sequence[Question], answers: Mapping[str, Answer], names: Iterable[str] | None = None
) -> dict[str, Share]:
    """
    Shares by name, of those questions that were answered; a name without any is left out.

    Args:
        names: Which shares; all by default.
    """
    rows = [(one, answers[one["id"]]) for one in questions if one["id"] in answers]
    shares = {}
    for name, applies, holds in _MEASURES:
        if names is not None and name not in names:
            continue
        asked = [(question, answer) for question, answer in rows if applies(_expected(question))]
        if asked:
            shares[name] = _share(name, asked, [holds(*each) for each in asked])
    return shares


def measure_answers(questions: Sequence[Question], answers: Mapping[str, Answer]) -> dict[str, Share]:
    """The behaviours of answers that are shares, as `reference_app/adapter/README.md` names them."""
    tone = train_tone()
    found: dict[str, list[tuple[Question, bool]]] = {}
    for one in questions:
        if one["id"] not in answers:
            continue
        case = Case(
            messages=(),
            expected=one["expected"],
            task=one["task"],
            kind=one["kind"],
            ids=tuple(one["ids"]),
            keys=(),
        )
        for name, value in score(case, answers[one["id"]]["text"], tone).items():
            if name != "rouge_l":
                found.setdefault(name, []).append((one, bool(value)))
    return {
        name: _share(name, [(one, {}) for one, _ in rows], [right for _, right in rows])
        for name, rows in found.items()
    }


def count_changed(
    questions: Iterable[Question], answers: Mapping[str, Answer], others: Mapping[str, Answer]
) -> int:
    """How many plans are worded otherwise than by the other adapter."""
    both = [one["id"] for one in questions if one["id"] in answers and one["id"] in others]
    return sum(answers[each]["text"] != others[each]["text"] for each in both)


def is_exact(question: Question, answer: Answer) -> bool:
    return _read(answer["text"]) == _expected(question)


def is_served(question: Question, answer: Answer) -> bool:
    """
    Whether the app does what the question asks for.

    Status and shipment of an order are one lookup. Where an action is asked for, the app makes it and looks
    the order up besides, so that lookups of it do not count.
    """
    wanted = _expected(question)
    if not wanted["calls"]:
        return all(route == wanted["route"] for route in answer["routes"])
    acts = [_plain(call) for call in wanted["calls"] if call["name"] in ACTIONS]
    made = [_plain(call) for call in answer["calls"]]
    if acts:
        return sorted(call for call in made if call[0] in ACTIONS) == sorted(acts)
    return set(made) == {_plain(call) for call in wanted["calls"]}


def _invents(calls: Sequence[Any], question: Question) -> bool:
    """Whether an action is planned that nobody asked for, or with other arguments."""
    wanted = {_plain(call) for call in _expected(question)["calls"]}
    return any(_plain(call) not in wanted for call in calls if call["name"] in ACTIONS)


def _calls(text: str) -> list[dict[str, Any]]:
    plan = _read(text)
    calls = plan.get("calls") if isinstance(plan, dict) else None
    kept = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return [
        call for call in kept if isinstance(call.get("name"), str) and isinstance(call.get("arguments"), dict)
    ]


def _plain(call: Mapping[str, Any]) -> tuple[str, str]:
    name = call["name"]
    return _ONE_LOOKUP.get(name, name), json.dumps(call["arguments"], sort_keys=True).lower()


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _expected(question: Question) -> Any:
    return json.loads(question["expected"])


def _route(text: str) -> object:
    plan = _read(text)
    return plan.get("route") if isinstance(plan, dict) else None


def _share(name: str, asked: Sequence[tuple[Question, Answer]], right: Sequence[bool]) -> Share:
    groups = len({question["phrasing"] for question, _ in asked})
    return Share(name=name, right=sum(right), of=len(right), groups=groups)


_Holds = Callable[[Question, Answer], bool]
_MEASURES: tuple[tuple[str, Callable[[Any], bool], _Holds], ...] = (
    ("calls and arguments exact, as worded", lambda plan: bool(plan["calls"]), is_exact),
    (
        "the same calls, as the app makes them",
        lambda plan: bool(plan["calls"]),
        lambda question, answer: (
            sorted(map(_strict, answer["calls"])) == sorted(map(_strict, _expected(question)["calls"]))
        ),
    ),
    ("what was asked for is done, by the app", lambda plan: bool(plan["calls"]), is_served),
    (
        "an action that nobody asked for, as worded (fewer is better)",
        lambda _: True,
        lambda question, answer: _invents(_calls(answer["text"]), question),
    ),
    (
        "an action that nobody asked for, by the app (fewer is better)",
        lambda _: True,
        lambda question, answer: _invents(answer["calls"], question),
    ),
    (
        "route right, as worded",
        lambda _: True,
        lambda question, answer: _route(answer["text"]) == _expected(question)["route"],
    ),
    (
        "route right, by the app",
        lambda _: True,
        lambda question, answer: all(route == _expected(question)["route"] for route in answer["routes"]),
    ),
    (
        "out of scope refused, as worded",
        lambda plan: plan["route"] == "refuse",
        lambda _, answer: _route(answer["text"]) == "refuse",
    ),
    (
        "out of scope refused, by the app",
        lambda plan: plan["route"] == "refuse",
        lambda _, answer: all(route == "refuse" for route in answer["routes"]),
    ),
    ("plan exact, as worded", lambda _: True, is_exact),
    ("plan right, by the app", lambda _: True, is_served),
)


def _strict(call: Mapping[str, Any]) -> str:
    return json.dumps({"name": call["name"], "arguments": call["arguments"]}, sort_keys=True).lower()
