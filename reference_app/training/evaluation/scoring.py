"""What counts as right, case by case."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app.state import ROUTES
from reference_app.tools.api import OPENAPI
from reference_app.tools.operations import read_operations
from reference_app.tools.plans import MAX_CALLS
from reference_app.training.examples.records import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_app.training.evaluation.cases import Case
    from reference_app.training.evaluation.tone import Tone

_CITATION = re.compile(r"\[([\w-]+#[\w-]+)\]")
_WORD = re.compile(r"\w+(?:[.,:'-]\w+)*")


def score_plan(expected: str, got: str) -> dict[str, bool]:
    """
    Behaviours of a plan: `json_valid schema_valid intent`, with calls `arguments_exact`, else where it
    applies `refused`.
    """
    wanted = json.loads(expected)
    plan = _parse(got)
    scores = {
        "json_valid": plan is not None,
        "schema_valid": _is_plan(plan),
        "intent": _intent(plan) == _intent(wanted),
    }
    if wanted["calls"]:
        scores["arguments_exact"] = plan == wanted
    if wanted["route"] == "refuse":
        scores["out_of_scope_refused"] = isinstance(plan, dict) and plan.get("route") == "refuse"
    return scores


def score_answer(case: Case, got: str, tone: Tone) -> dict[str, float]:
    """Behaviours of an answer, among them `rouge_l` from 0 to 1."""
    text = got.strip()
    cited = _CITATION.findall(text)
    scores: dict[str, float] = {
        "professional": tone.is_professional(text),
        "rouge_l": _rouge_l(case.expected, text),
    }
    if case.task == "document":
        scores["citation_right"] = cited == [case.kind] and text.endswith(f" [{case.kind}]")
        scores["numbers_right"] = _numbers(case.expected) == _numbers(text)
    elif case.task == "facts":
        scores["citation_right"] = not cited
        scores["ids_copied"] = all(
            re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text) is not None for one in case.ids
        )
    elif case.task == "unknown":
        scores["unknown_said"] = text == UNKNOWN
    return scores


def score_general(keys: Sequence[str], got: str) -> dict[str, bool]:
    """Whether one of the key words stands in the answer."""
    return {"general_ability": any(key.lower() in got.lower() for key in keys)}


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": tool.parameters},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in read_operations(OPENAPI)
    ]
    several = {"type": "array", "items": {"oneOf": calls}, "minItems": 1, "maxItems": MAX_CALLS}

    def plan(routes: Sequence[str], calls: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"route": {"enum": routes}, "calls": calls},
            "required": ["route", "calls"],
            "additionalProperties": False,
        }

    empty = {"type": "array", "maxItems": 0}
    return Draft202012Validator(
        {"oneOf": [plan(["tools"], several), plan([route for route in ROUTES if route != "tools"], empty)]}
    )


def _is_plan(plan: object) -> bool:
    return plan is not None and bool(_validator().is_valid(plan))


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _intent(plan: object) -> tuple[object, ...] | None:
    if not isinstance(plan, dict) or not isinstance(plan.get("calls"), list):
        return None
    names = [call.get("name") if isinstance(call, dict) else None for call in plan["calls"]]
    return (plan.get("route"), *names)


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:[.,:]\d+)*", _CITATION.sub("", text)))


def _rouge_l(expected: str, got: str) -> float:
    from rapidfuzz.distance import LCSseq

    wanted, said = (_WORD.findall(text.lower()) for text in (expected, got))
    common = LCSseq.similarity(wanted, said)
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(wanted)
    return float(2 * precision * recall / (precision + recall))
