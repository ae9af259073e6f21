"""
The two things the adapter was trained for, each alone: to plan, and to answer from what was found.

As two systems, with the adapter and without it, so that one can be compared with the other on the same
cases. Both are served by one process; a request says whether the adapter's weights are added.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_app.nodes.answerer import MAX_TOKENS
from reference_app.tools.plans import PlanError, read_plan
from reference_app.tracing import export_to

if TYPE_CHECKING:
    from reference_app.graph import SupportApp


def tuned(given: str | dict[str, str]) -> dict[str, Any]:
    """
    One step of the app as the environment sets it, by the model's words alone: nothing is mended.

    Args:
        given: A question to plan; or `question` with the `passage` to answer it from; or any `instruction`
            with a `text`, to see what the model can do beside.

    Returns:
        `text`, and of a plan its `tool_calls`, none of which is made.

    Raises:
        reference_app.errors.AppError: As `reference_app.answer`.
    """
    from reference_app.graph import open_app

    return _traced(open_app(), given)


def base(given: str | dict[str, str]) -> dict[str, Any]:
    """The same without the adapter, asked with the prompts for a model that knows nothing of the shop."""
    from reference_app.graph import open_app
    from reference_app.settings import read_settings

    return _traced(open_app(replace(read_settings(), tuned=False)), given)


def _traced(app: SupportApp, given: str | dict[str, str]) -> dict[str, Any]:
    with export_to(app.tracing):
        return _do(app, given)


def _do(app: SupportApp, given: str | dict[str, str]) -> dict[str, Any]:
    model = app.models.chat_model
    if isinstance(given, dict) and "instruction" in given:
        messages = [
            {"role": "system", "content": given["instruction"]},
            {"role": "user", "content": given["text"]},
        ]
        text = app.models.complete(app.parts.answerer.prompt, messages, max_tokens=MAX_TOKENS)
        return {"text": text, "model": model}
    if isinstance(given, dict):
        return {"text": app.parts.answerer.ask(given["passage"], given["question"]), "model": model}
    _, text = app.parts.planner.draft(given, app.models.embed_query(given))
    try:
        calls = read_plan(text).calls
    except PlanError:
        calls = ()
    return {
        "text": text,
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in calls],
        "model": model,
    }
