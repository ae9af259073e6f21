"""
Writes golden/adapter-plans.yaml: the fresh draw's plans with calls, without a rival, one model call each.

Usage: python -m benchmarks.doses.golden
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.doses.drawing import Question, draw_fresh

PATH = Path(__file__).parents[2] / "golden" / "adapter-plans.yaml"
_HEAD = """\
# The adapter's plans alone, so many that a drop of .05 in exact calls is seen; docs/adapter.md has the
# figures. No base is asked, and each case is one call. Written by `python -m benchmarks.doses.golden` from
# the phrasings of the test split, filled with names and numbers that stand nowhere else. Cases of one
# phrasing share a group.
version: 1
app: reference_app.single_steps:tuned
prompts: [reference_app/prompts]
data: [reference_app/adapter]

suite:
  tool_calls: {mean: ">= 0.7", max_drop: 0.03}

cases:
"""


def format_golden(questions: Sequence[Question]) -> str:
    kept = [one for one in questions if one["task"] == "plan" and json.loads(one["expected"])["calls"]]
    groups = {text: number for number, text in enumerate(dict.fromkeys(one["phrasing"] for one in kept), 1)}
    counts: dict[str, int] = {}
    parts = []
    for one in kept:
        kind = one["kind"].replace("_", "-").replace("+", "-")
        counts[kind] = counts.get(kind, 0) + 1
        parts.append(_format_case(f"{kind}-{counts[kind]}", groups[one["phrasing"]], one))
    return _HEAD + "\n".join(parts)


def _format_case(name: str, group: int, one: Question) -> str:
    calls = ", ".join(map(_format_call, json.loads(one["expected"])["calls"]))
    return (
        f"  - id: {name}\n"
        f"    input: {json.dumps(one['question'], ensure_ascii=False)}\n"
        f"    group: phrasing-{group}\n"
        f"    checks: {{tool_calls: {{expected: [{calls}], extra: denied, record_only: true}}}}\n"
    )


def _format_call(call: dict[str, Any]) -> str:
    values = ", ".join(f"{name}: {json.dumps(value)}" for name, value in call["arguments"].items())
    return f"{{name: {call['name']}, arguments: {{{values}}}}}"


if __name__ == "__main__":
    PATH.write_text(format_golden(draw_fresh()), encoding="utf-8")
