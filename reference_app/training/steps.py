"""
The two things the adapter was trained for, each alone: to plan, and to answer from what was found.

As two systems, with the adapter and without it, so that one can be compared with the other on the same
cases. The app's embedded endpoint serves both, by their names.
"""

from __future__ import annotations

import atexit
import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app.training.example import as_user, read_prompt
from reference_app.training.measuring import ANSWER_TOKENS, PLAN_TOKENS, name_calls, read_plan

if TYPE_CHECKING:
    from reference_app.models.client import Models
    from reference_app.models.weights import Weights
    from reference_app.settings import Settings


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
    return _answer(given, "adapter")


def base(given: str | dict[str, str]) -> dict[str, Any]:
    """The same without the adapter, with the same prompts."""
    return _answer(given, "base")


def _answer(given: str | dict[str, str], profile: str) -> dict[str, Any]:
    from reference_app.settings import read_settings

    own = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    with _opening:
        models, weights = _open(read_settings({**own, "REFERENCE_APP_PROFILE": "adapter"}))
    if isinstance(given, dict) and "instruction" in given:
        system, user = given["instruction"], given["text"]
    elif isinstance(given, dict):
        system, user = read_prompt("adapter-answerer"), as_user(given["passage"], given["question"])
    else:
        system, user = read_prompt("adapter-planner"), given
    # Whatever becomes of the adapter, the base says the same: its recordings are committed, by its address.
    client = models.chat if profile == "base" else models.embedding
    reply = client.chat.completions.create(
        model=weights.name_profile(profile),
        messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
        max_tokens=PLAN_TOKENS if isinstance(given, str) else ANSWER_TOKENS,
        temperature=0,
        seed=0,
    )
    text = reply.choices[0].message.content or ""
    named = "SmolLM2 with the adapter" if profile == "adapter" else "SmolLM2"
    answer: dict[str, Any] = {"text": text, "model": named}
    plan = read_plan(text) if isinstance(given, str) else None
    if plan is not None and all(isinstance(name, str) for name in name_calls(plan) or [None]):
        answer["tool_calls"] = [
            {"name": call["name"], "arguments": call.get("arguments", {})} for call in plan["calls"]
        ]
    return answer


@cache
def _open(settings: Settings) -> tuple[Models, Weights]:
    from reference_app.models.client import open_models
    from reference_app.models.weights import find_weights

    weights = find_weights(settings.weights, settings.adapter)
    models = open_models(settings, weights)
    atexit.register(models.close)
    return models, weights


_opening = threading.Lock()
