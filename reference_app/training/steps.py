"""
The two things the adapter was trained for, each alone: to plan, and to answer from what was found.

As two systems, with the adapter and without it, so that one can be compared with the other on the same
cases. One engine serves both; a request says how much of the adapter's weights is added.
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app.training.engine import OFF, ON, open_engine
from reference_app.training.example import as_user, read_prompt
from reference_app.training.measuring import ANSWER_TOKENS, PLAN_TOKENS, name_calls, read_plan

if TYPE_CHECKING:
    from pathlib import Path

    from reference_app.training.engine import Engine


def tuned(given: str | dict[str, str]) -> dict[str, Any]:
    """
    What the adapter of `REFERENCE_APP_ADAPTER`, else the packaged one, words; nothing is mended.

    Args:
        given: A customer's turns to plan, one a line; or `question` with the `passage` to answer it from; or
            any `instruction` with a `text`, to see what the model can do beside.

    Returns:
        `text`, and of a plan its calls as `tool_calls`, none of which is made.

    Raises:
        reference_app.errors.AppError: The weights or the adapter cannot be used.
    """
    return _answer(given, ON)


def base(given: str | dict[str, str]) -> dict[str, Any]:
    """The same without the adapter, with the same prompts."""
    return _answer(given, OFF)


def _answer(given: str | dict[str, str], scale: float) -> dict[str, Any]:
    from reference_app.settings import read_settings

    settings = read_settings({**os.environ, "REFERENCE_APP_PROFILE": "adapter"})
    if isinstance(given, dict) and "instruction" in given:
        system, user = given["instruction"], given["text"]
    elif isinstance(given, dict):
        system, user = read_prompt("adapter-answerer"), as_user(given["passage"], given["question"])
    else:
        system, user = read_prompt("adapter-planner"), given
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    limit = PLAN_TOKENS if isinstance(given, str) else ANSWER_TOKENS
    text = _open(settings.weights, settings.adapter).answer(messages, scale=scale, max_tokens=limit)
    answer: dict[str, Any] = {"text": text, "model": "SmolLM2 with the adapter" if scale else "SmolLM2"}
    plan = read_plan(text) if isinstance(given, str) else None
    if plan is not None and all(isinstance(name, str) for name in name_calls(plan) or [None]):
        answer["tool_calls"] = [
            {"name": call["name"], "arguments": call.get("arguments", {})} for call in plan["calls"]
        ]
    return answer


@cache
def _open(weights: Path, adapter: Path | None) -> Engine:
    """One engine for the process, until it ends."""
    from reference_app.models.weights import find_weights

    stack = ExitStack()
    engine = stack.enter_context(open_engine(find_weights(weights).chat, adapter))
    atexit.register(stack.close)
    return engine
