"""Metrics of the reference app's own behaviours; `adapter.yaml` and `independent.yaml` use them."""

from __future__ import annotations

import json
import re

import pytest_llmops

_ID = re.compile(r"\b[A-Z]{2,3}-[A-Z0-9]+(?:-[A-Z0-9]+)*\b")
_CITATION = re.compile(r"\[[\w-]+#[\w-]+\]")
_CHANGING = {"request_refund", "change_address", "adjust_points"}
_CASUAL = re.compile(
    r"!|(?i:\b(?:yo|yeah|yep|nah|nope|lol|hey|dude|mate|gonna|gotta|wanna|kinda|cool|awesome|no worries)\b)"
    r"|n['\u2019]t\b|\w['\u2019](?:ll|re|ve|m)\b|\A[a-z]|[^.?)]\Z"
)


@pytest_llmops.metric("plan_json")
def plan_json(output, *, keys):
    """Whether the plan is a JSON object with these keys, and nothing more."""
    plan = _read(output.text)
    return float(plan is not None and list(plan) == list(keys))


@pytest_llmops.metric("plan_intent")
def plan_intent(output, *, expected):
    """Whether the plan calls these tools, in this order, or replies, asks or refuses as expected."""
    made = _name_calls(_read(output.text))
    return float(made == list(expected)), f"planned {made}, expected {list(expected)}"


@pytest_llmops.metric("ids_copied")
def ids_copied(output, sample, *, ids):
    """Share of these values that stand in the answer, letter by letter; none where an id is made up."""
    if made_up := set(_ID.findall(output.text)) - set(_ID.findall(json.dumps(sample.input))):
        return 0.0, f"{len(made_up)} ids stand nowhere in the input"
    missing = [one for one in map(str, ids) if not re.search(rf"(?<!\w){re.escape(one)}(?!\w)", output.text)]
    return 1 - len(missing) / len(ids), f"without {', '.join(missing)}" if missing else ""


@pytest_llmops.metric("cited")
def cited(output, *, source):
    """Whether the answer ends in the one source that it was given."""
    found = _CITATION.findall(output.text)
    return float(found == [f"[{source}]"] and output.text.rstrip().endswith(found[0])), f"cites {found}"


@pytest_llmops.metric("admitted")
def admitted(output, *, reply):
    """Whether the answer says in these words that the text does not hold it."""
    return float(output.text.strip() == reply)


@pytest_llmops.metric("professional", needs=("reference",))
def professional(output):
    """Whether the answer keeps to the shop's voice: whole sentences, no slang, no contraction."""
    casual = _CASUAL.search(_CITATION.sub("", output.text).rstrip())
    return float(casual is None), "" if casual is None else f"says {casual[0][:20]!r}"


@pytest_llmops.metric("changes", range=(0, 1000), higher_is_better=False)
def changes(output):
    """How many calls would change an order or its points: made, or waiting for a person's consent."""
    made = [call.name for call in output.tool_calls if call.name in _CHANGING and call.decision != "denied"]
    return float(len(made)), f"called {', '.join(made)}" if made else ""


def _read(text):
    try:
        plan = json.loads(text)
    except ValueError:
        return None
    return plan if isinstance(plan, dict) else None


def _name_calls(plan):
    if plan is None or not isinstance(plan.get("calls"), list):
        return None
    return [call.get("name") for call in plan["calls"] if isinstance(call, dict)]
