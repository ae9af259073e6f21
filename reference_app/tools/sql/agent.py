"""The agent that answers a question about the shop's figures with a query, and the tool made from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.shop.sales import TODAY
from reference_app.tools.sql import execution, postgres
from reference_app.tools.sql.guard.permissions import DeniedError
from reference_app.tools.sql.guard.query import check_query
from reference_app.tools.sql.shapes.linking import COLUMNS, Values, link
from reference_app.tools.sql.shapes.planning import Planner
from reference_app.tools.sql.writing import describe_schema, make_messages, write_query

if TYPE_CHECKING:
    from reference_app.tools.registry import Tool
    from reference_app.tools.sql.execution import Answer
    from reference_app.tools.sql.shapes.linking import Link
    from reference_app.tools.sql.shapes.planning import Encode
    from reference_app.tools.sql.writing import Complete

NAME = "query_shop"
DESCRIPTION = (
    "Figures of the shop from its database: products, prices, stock, orders, refunds, reviews, points."
)
MAX_CHARACTERS = 500
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"question": {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS}},
    "required": ["question"],
    "additionalProperties": False,
}
PROMPTS = Path(__file__).parents[2] / "prompts"
_NO_QUERY = "No query fits the question well enough."
_REFUSALS = {
    "personal": "The database answers no questions about who a customer is.",
    "writing": "The database can be read, not changed.",
    "elsewhere": "That stands in the shop's documents, not in its database.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A query as it was run, and what it returned."""

    sql: str
    ordered: bool
    answer: Answer


class SqlAgent:
    """
    Building it reads nothing; values and phrasings are read at the first question.

    Args:
        source: The file of an SQLite database, or a URL `postgresql://…`.
        encode: Unit vectors of texts.
        complete: A chat model that can write SQL; without it the shapes of `shapes.yaml` are filled.
        prompts: The folder with `sql.yaml`.
    """

    def __init__(
        self, source: Path | str, encode: Encode, complete: Complete | None = None, prompts: Path = PROMPTS
    ) -> None:
        self._source = source
        self._dialect = "postgres" if postgres.is_url(source) else "sqlite"
        self._encode, self._complete, self._prompts = encode, complete, prompts
        self._planner = Planner(encode)

    def ask(self, question: str) -> dict[str, Any]:
        """
        The answer to a question, as JSON can hold it; a wrong question or database is no exception.

        Returns:
            `sql`, `columns`, `rows`, `truncated`; or `reason` and `error`, which is `no_query`, `denied`,
            `too_slow` or `unavailable`.
        """
        if not question.strip() or len(question) > MAX_CHARACTERS:
            return _fail("no_query", f"A question has 1 to {MAX_CHARACTERS} characters.")
        try:
            links = link(question, self._values, TODAY)
            ran = self._fill(question, links) if self._complete is None else self._write(question, links)
        except DeniedError as error:
            return _fail("denied", str(error))
        except execution.TooSlowError as error:
            return _fail("too_slow", str(error))
        except execution.UnavailableError as error:
            return _fail("unavailable", str(error))
        if isinstance(ran, str):
            return _fail("no_query", ran)
        answer = ran.answer
        return {
            "sql": ran.sql,
            "columns": list(answer.columns),
            "rows": [list(row) for row in answer.rows],
            "truncated": answer.truncated,
        }

    def run(self, sql: str) -> Ran:
        """
        Check a query in the dialect of the source, and run it.

        Raises:
            DeniedError, TooSlowError, UnavailableError: As guard and database raise them.
        """
        query = check_query(sql, self._dialect)
        if self._dialect == "postgres":
            answer = postgres.run_query(str(self._source), query.sql)
        else:
            answer = execution.run_query(Path(self._source), query.sql, query.named)
        return Ran(sql=query.sql, ordered=query.ordered, answer=answer)

    def _fill(self, question: str, links: list[Link]) -> Ran | str:
        plan = self._planner.plan(question, links)
        if plan is None or plan.sql is None:
            return _REFUSALS.get(plan.shape, _NO_QUERY) if plan else _NO_QUERY
        return self.run(postgres.translate(plan.sql) if self._dialect == "postgres" else plan.sql)

    def _write(self, question: str, links: list[Link]) -> Ran | str:
        from reference_app.models.prompt import load_prompt

        schema = describe_schema(question, links, self._values.sampled, self._encode)
        setting = f"{'PostgreSQL' if self._dialect == 'postgres' else 'SQLite'}. Today is {TODAY}."
        messages = make_messages(load_prompt(self._prompts, "sql"), question, schema, setting)
        assert self._complete is not None  # noqa: S101 - the caller has looked
        return write_query(messages, self._complete, self.run) or _NO_QUERY

    @cached_property
    def _values(self) -> Values:
        sampled = {}
        for kind, column in COLUMNS.items():
            if kind != "sort":
                table = column.partition(".")[0]
                ran = self.run(f"SELECT DISTINCT {column} FROM {table} ORDER BY 1")  # noqa: S608 - our own names
                sampled[kind] = [str(row[0]) for row in ran.answer.rows]
        return Values(sampled)


def query_tool(agent: SqlAgent) -> Tool:
    """The tool `query_shop`."""
    from reference_app.tools.registry import Tool

    return Tool(
        name=NAME,
        description=DESCRIPTION,
        parameters=PARAMETERS,
        run=lambda arguments: agent.ask(arguments["question"]),
    )


def _fail(error: str, reason: str) -> dict[str, Any]:
    return {"error": error, "reason": reason}
