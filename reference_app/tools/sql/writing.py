"""Queries that a larger chat model writes itself, from the part of the schema that the question is about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from reference_app.tools.sql.execution import TooSlowError
from reference_app.tools.sql.guard.permissions import READABLE, DeniedError
from reference_app.tools.sql.linking.links import Value
from reference_app.tools.sql.linking.values import COLUMNS, Things
from reference_app.tools.sql.slots.schema import find_joins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from reference_app.models.prompt import Prompt
    from reference_app.tools.sql.linking.links import Linked

    Encode = Callable[[Sequence[str]], NDArray[np.float32]]
    Complete = Callable[[list[dict[str, str]]], str]

Result = TypeVar("Result")
REPAIRS = 2
TABLES = 5  # nearest to the question; those of named values and those in between come on top
SAMPLES = 6
NOTHING = "NONE"
_FENCE = re.compile(r"```(?:\w+)?\s*(.*?)```", re.DOTALL)


def describe_schema(
    question: str, linked: Linked, sampled: Mapping[str, Sequence[str]], encode: Encode
) -> str:
    """
    The tables that the question may need, a line each, with some values of the columns that hold few.

    Args:
        question: As it was asked.
        linked: Of the question; the tables of values that it names are always there.
        sampled: Values by kind.
        encode: Ranks the other tables.
    """
    names = list(READABLE)
    texts = [f"{name.replace('_', ' ')}: {', '.join(READABLE[name])}" for name in names]
    vectors = encode([question, *texts])
    nearness = vectors[1:] @ vectors[0]
    near = [names[place] for place in nearness.argsort()[::-1][:TABLES]]
    kinds = [one.to.kind for one in linked.links if isinstance(one.to, Value) and one.to.kind in COLUMNS]
    named = {COLUMNS[kind].partition(".")[0] for kind in kinds}
    named |= {"products" for one in linked.links if isinstance(one.to, Things)}
    wanted = {*near, *named}
    for table in tuple(wanted):
        for other in tuple(wanted):
            wanted |= {name for pair in find_joins(table, other) or () for name in pair}
    return "\n".join(_describe(table, sampled) for table in names if table in wanted)


def write_query(
    messages: list[dict[str, str]], complete: Complete, run: Callable[[str], Result]
) -> Result | None:
    """
    Ask for a query and run it; an error is shown to the model at most twice.

    Returns:
        What `run` returns; None where the model says that no query answers the question.

    Args:
        messages: As the chat API takes them.
        complete: The chat model.
        run: Checks and runs a query.

    Raises:
        DeniedError, TooSlowError: The last query still fails.
        UnavailableError: As `run` raises it.
    """
    for repair in range(REPAIRS + 1):
        reply = complete(messages)
        sql = extract_query(reply)
        if sql.upper().rstrip(".") == NOTHING:
            return None
        try:
            return run(sql)
        except (DeniedError, TooSlowError) as error:
            if repair == REPAIRS:
                raise
            messages = [
                *messages,
                {"role": "assistant", "content": reply},
                {"role": "user", "content": f"{error} Reply with the mended query alone."},
            ]
    raise AssertionError  # the last round returns or raises


def make_messages(prompt: Prompt, question: str, schema: str, setting: str) -> list[dict[str, str]]:
    """
    What the model is sent.

    Args:
        prompt: `sql.yaml`.
        question: As it was asked.
        schema: Of `describe_schema`.
        setting: The dialect and the day of today, as a sentence.
    """
    messages = [{"role": "system", "content": prompt.fill()}]
    turns = [*prompt.turns, {"passage": f"{setting}\n{schema}", "question": question}]
    for turn in turns:
        content = prompt.fill_turn({"passage": turn["passage"], "question": turn["question"]})
        messages.append({"role": "user", "content": content})
        if "answer" in turn:
            messages.append({"role": "assistant", "content": turn["answer"]})
    return messages


def extract_query(reply: str) -> str:
    """The query in a reply, with or without a fence around it."""
    fenced = _FENCE.search(reply)
    return (fenced[1] if fenced else reply).strip().rstrip(";").strip()


def _describe(table: str, sampled: Mapping[str, Sequence[str]]) -> str:
    columns = []
    for column, kind in READABLE[table].items():
        value_kind = next((name for name, place in COLUMNS.items() if place == f"{table}.{column}"), "")
        values = list(sampled.get(value_kind, ()))[:SAMPLES]
        example = f" such as {', '.join(map(repr, values))}" if values else ""
        columns.append(f"{column} {kind}{example}")
    return f"{table}({', '.join(columns)})"
