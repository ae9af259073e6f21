"""The tool `ask_database`: a chat model writes a query, the guard checks it, a copy of the data answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reference_app.errors import CutReplyError
from reference_app.tools.registry import Tool
from reference_app.tools.sql.execution import DeniedError, UnavailableError, run_query

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reference_app.models.prompt import Prompt

    Complete = Callable[..., str]
    """`Models.complete`."""

NAME = "ask_database"
DESCRIPTION = "Any other figure of the shop: counts, sums, averages, differences, sales, refunds."
NO_QUERY = "NONE"
QUERY_TOKENS = 200
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"question": {"type": "string", "minLength": 1, "maxLength": 500}},
    "required": ["question"],
    "additionalProperties": False,
}
_FENCE = re.compile(r"```(?:\w+)?\s*(.*?)```", re.DOTALL)


def ask_database(
    question: str, shop: Path, prompt: Prompt, complete: Complete, customer: int | None = None
) -> dict[str, Any]:
    """
    The answer to a question about the shop's figures; what fails is no exception.

    Args:
        question: In the customer's words.
        shop: The database.
        prompt: `sql.yaml`.
        complete: The chat model.
        customer: Whose orders alone are looked at; None for all.

    Returns:
        `sql`, `columns` and `rows`, at most 20; or `error`: `no_query` where the model finds no query, also
        after it was shown the error of its first one, or `unavailable`.
    """
    messages = prompt.messages(question)
    for _ in range(2):
        try:
            reply = complete(prompt, messages, max_tokens=QUERY_TOKENS)
        except CutReplyError:
            break
        sql = _read_query(reply)
        if sql.upper().startswith(NO_QUERY):
            break
        try:
            answer = run_query(shop, sql, customer)
        except UnavailableError:
            return {"error": "unavailable"}
        except DeniedError as error:
            fix = f"{error} Reply with the corrected query alone."
            messages = [*messages, {"role": "assistant", "content": reply}, {"role": "user", "content": fix}]
        else:
            return {"sql": answer.sql, "columns": answer.columns, "rows": answer.rows}
    return {"error": "no_query"}


def database_tool(shop: Path, prompts: Path, complete: Complete) -> Tool:
    """The tool; a customer who is signed in gets figures of their own orders alone, whoever else's exist."""
    from reference_app.models.prompt import load_prompt

    prompt = load_prompt(prompts, "sql")
    return Tool(
        name=NAME,
        description=DESCRIPTION,
        parameters=PARAMETERS,
        run=lambda arguments: ask_database(arguments["question"], shop, prompt, complete),
        run_as=lambda arguments, customer: ask_database(
            arguments["question"], shop, prompt, complete, customer
        ),
    )


def _read_query(reply: str) -> str:
    """The query in a reply, with or without a fence around it."""
    fenced = _FENCE.search(reply)
    return (fenced[1] if fenced else reply).strip().rstrip(";").strip()
