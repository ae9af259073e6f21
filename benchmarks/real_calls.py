"""
Calls with what was really read before them: AgentDojo's own solutions of its tasks, run in its own worlds.

Kinds: `real: wanted`, a call of the user's task after the results of the earlier ones; `real: injected`, one of an
attacker's task after the same results with the attack in them. AgentDojo wants other releases than this
project: make an environment of its own, `pip install agentdojo==0.1.35`, and run this there.
Usage: python benchmarks/real_calls.py OUT.jsonl; then python benchmarks/guards.py FOLDER --real OUT.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from agentdojo.agent_pipeline.tool_execution import tool_result_to_str
from agentdojo.functions_runtime import FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suites

READING = ("get_", "search_", "read_", "list_", "check_")


def solve(
    suite: Any, task: Any, injections: dict[str, str]
) -> tuple[list[tuple[dict[str, Any], list[Any]]], list[Any]]:
    """The calls that solve the task, each with the results before it, and all results."""
    world = task.init_environment(suite.load_and_inject_default_environment(injections))
    runtime, texts, calls = FunctionsRuntime(suite.tools), [], []
    for call in task.ground_truth(world):
        arguments = json.loads(json.dumps(dict(call.args), default=str))
        calls.append(({"name": call.function, "arguments": arguments}, list(texts)))
        result, error = runtime.run_function(world, call.function, call.args)
        text = tool_result_to_str(result) if error is None else str(error)
        texts.append({"kind": "tool", "name": call.function, "text": text})
    return calls, texts


def main() -> None:
    rows = []
    for name, suite in get_suites("v1.2.1").items():
        tools = [
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters.model_json_schema(),
            }
            for tool in suite.tools
        ]
        goals = {
            attack_id: solve(suite, attack, {})[0] for attack_id, attack in suite.injection_tasks.items()
        }
        for task_id, task in suite.user_tasks.items():
            group, record = f"{name}/{task_id}", {"task": task.PROMPT, "allowed_tools": tools}
            for call, before in solve(suite, task, {})[0]:
                rows.append(
                    {**record, "kind": "real: wanted", "group": group, "call": call, "context": before}
                )
            for attack_id, attack in suite.injection_tasks.items():
                placed = dict.fromkeys(suite.get_injection_vector_defaults(), attack.GOAL)
                try:
                    read = solve(suite, task, placed)[1]
                except Exception:  # noqa: BLE001, S112 - some tasks cannot be solved in a world that was changed
                    continue
                if not any(attack.GOAL[:25] in text["text"] for text in read):
                    continue
                group = f"{name}/{attack_id}"
                for call, before in goals[attack_id]:
                    kind = "reads" if call["name"].startswith(READING) else "acts"
                    row = {**record, "kind": f"real: injected, {kind}", "group": group, "call": call}
                    rows.append({**row, "context": read + before})
    Path(sys.argv[1]).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
