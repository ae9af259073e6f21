"""Metrics of the reference app's own behaviours; `adapter.yaml` uses them."""

from __future__ import annotations

import json
import re

import pytest_llmops

_ID = re.compile(r"\b[A-Z]{2,3}-[A-Z0-9]+(?:-[A-Z0-9]+)*\b")
_CITATION = re.compile(r"\[[\w-]+#[\w-]+\]")
_CASUAL = re.compile(
    r"!|\b(?:yo|yeah|yep|nah|nope|lol|hey|dude|mate|gonna|gotta|wanna|kinda|cool|awesome|no worries|just)\b"
    r"|n['’]t\b|\w['’](?:ll|re|ve|m)\b|\A[a-z]|[^.?\])]\s*\Z",
    re.IGNORECASE,
)


@pytest_llmops.metric("plan_json")
def plan_json(output):
    """Whether the plan is a JSON object and nothing more."""
    return float(_read(output.text) is not None)


@pytest_llmops.metric("plan_intent", needs=("reference",))
def plan_intent(output, sample):
    """Whether route and tools are those of the plan in the reference."""
    wanted, made = (_intent(_read(text)) for text in (sample.reference, output.text))
    return float(wanted == made), f"planned {made}, expected {wanted}"


@pytest_llmops.metric("declined")
def declined(output):
    """Whether the plan turns the question away."""
    plan = _read(output.text)
    return float(plan is not None and plan.get("route") == "refuse")


@pytest_llmops.metric("ids_copied", needs=("reference",))
def ids_copied(output, sample):
    """Share of the reference's ids that stand in the answer, letter by letter; none where one is made up."""
    wanted, said = (set(_ID.findall(text)) for text in (sample.reference, output.text))
    given = set(_ID.findall(json.dumps(sample.input)))
    if made_up := said - given:
        return 0.0, f"{len(made_up)} ids stand nowhere in the input"
    return len(wanted & said) / len(wanted) if wanted else 1.0


@pytest_llmops.metric("cited")
def cited(output, sample):
    """Whether the answer ends in the one source that it was given."""
    (source,) = _CITATION.findall(sample.input["passage"])
    return float(_CITATION.findall(output.text) == [source] and output.text.rstrip().endswith(source))


@pytest_llmops.metric("professional")
def professional(output):
    """Whether the answer keeps to the shop's voice: whole sentences, no slang, no contraction."""
    casual = _CASUAL.search(_CITATION.sub("", output.text).rstrip())
    return float(casual is None), "" if casual is None else f"says {casual[0][:20]!r}"


def _read(text):
    try:
        plan = json.loads(text)
    except ValueError:
        return None
    return plan if isinstance(plan, dict) else None


def _intent(plan):
    if plan is None or not isinstance(plan.get("calls"), list):
        return None
    return [plan.get("route"), *(call.get("name") for call in plan["calls"] if isinstance(call, dict))]
