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
from reference_app.tools.sql.linking.links import Value
from reference_app.tools.sql.linking.names import name_products
from reference_app.tools.sql.linking.question import link
from reference_app.tools.sql.linking.values import COLUMNS, Values
from reference_app.tools.sql.understood import Understood, concerns, understand
from reference_app.tools.sql.writing import describe_schema, make_messages, write_query

if TYPE_CHECKING:
    from reference_app.tools.registry import Tool
    from reference_app.tools.sql.execution import Answer
    from reference_app.tools.sql.execution import Value as Cell
    from reference_app.tools.sql.linking.links import Linked
    from reference_app.tools.sql.writing import Complete, Encode

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
_DIGITS = 9
_CATEGORIES = (
    "SELECT products.name, categories.name FROM products "
    "JOIN categories ON products.category_id = categories.category_id"
)
_NO_QUERY = "The database holds no answer to that, or the question can be read in more than one way."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A query as it was run, and what it returned."""

    sql: str
    ordered: bool
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a text names and no other thing is called."""

    products: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()


class SqlAgent:
    """
    Building it reads nothing; the values of the database are read at the first question.

    Args:
        source: The file of an SQLite database, or a URL `postgresql://…`.
        encode: Unit vectors of texts; only the chat model's prompt needs it.
        complete: A chat model that can write SQL; without it the words of the question are linked.
        prompts: The folder with `sql.yaml`.
    """

    def __init__(
        self, source: Path | str, encode: Encode, complete: Complete | None = None, prompts: Path = PROMPTS
    ) -> None:
        self._source = source
        self._dialect = "postgres" if postgres.is_url(source) else "sqlite"
        self._encode, self._complete, self._prompts = encode, complete, prompts

    def ask(self, question: str) -> dict[str, Any]:
        """
        The answer to a question, as JSON can hold it; a wrong question or database is no exception.

        Returns:
            `sql`, `columns`, `rows`, `truncated`, and if no chat model wrote it `understood` (what was looked
            for, in words), `units` of the columns and `yes_no`; or `reason` and `error`, which is `no_query`,
            `denied`, `too_slow` or `unavailable`.
        """
        if not question.strip() or len(question) > MAX_CHARACTERS:
            return _fail("no_query", f"A question has 1 to {MAX_CHARACTERS} characters.")
        try:
            understood = self.understand(question) if self._complete is None else None
            ran = self.run(understood.sql) if understood else self._write(question)
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
            "rows": [[_tidy(value) for value in row] for row in answer.rows],
            "truncated": answer.truncated,
            **(
                {
                    "understood": understood.description,
                    "units": list(understood.units),
                    "yes_no": understood.yes_no,
                }
                if understood
                else {}
            ),
        }

    def understand(self, question: str) -> Understood | None:
        """
        The query that the words of a question stand for, without running it.

        None where a word stands for nothing in the database or more than one thing can be meant.

        Raises:
            UnavailableError: The values of the database cannot be read.
        """
        return understand(question, self._values, TODAY, self._dialect)

    def concerns(self, question: str) -> bool:
        """
        Whether a question is of what the database's columns hold, even if no query is read from it.

        It names a product, a category or a town and a figure of it, and what else it says are a few words.

        Raises:
            UnavailableError: The values of the database cannot be read.
        """
        return concerns(self._link(question))

    def find_names(self, question: str) -> Named:
        """
        The products and stores that a text names, each product once; raises as `understand`.

        Of products that share the words the main one is named: none "for" another, and what is said in full.
        """
        linked = link(question, self._values, TODAY)
        return Named(
            products=name_products(linked, self._values),
            stores=tuple(
                one.to.text for one in linked.links if isinstance(one.to, Value) and one.to.kind == "city"
            ),
        )

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

    def _write(self, question: str) -> Ran | str:
        if self._complete is None:
            return _NO_QUERY
        from reference_app.models.prompt import load_prompt

        schema = describe_schema(question, self._link(question), self._values.sampled, self._encode)
        setting = f"{'PostgreSQL' if self._dialect == 'postgres' else 'SQLite'}. Today is {TODAY}."
        messages = make_messages(load_prompt(self._prompts, "sql"), question, schema, setting)
        return write_query(messages, self._complete, self.run) or _NO_QUERY

    def _link(self, question: str) -> Linked:
        return link(question, self._values, TODAY)

    @cached_property
    def _values(self) -> Values:
        sampled = {}
        for kind, column in COLUMNS.items():
            table = column.partition(".")[0]
            rows = self.run(f"SELECT DISTINCT {column} FROM {table} ORDER BY 1").answer.rows  # noqa: S608 - our names
            sampled[kind] = [str(row[0]) for row in rows]
        return Values(
            sampled, {str(name): str(category) for name, category in self.run(_CATEGORIES).answer.rows}
        )


def query_tool(agent: SqlAgent) -> Tool:
    """The tool `query_shop`."""
    from reference_app.tools.registry import Tool
    from reference_app.tools.sql.owners import keep_own

    return Tool(
        name=NAME,
        description=DESCRIPTION,
        parameters=PARAMETERS,
        run=lambda arguments: agent.ask(arguments["question"]),
        run_as=lambda arguments, customer: keep_own(
            agent.ask(arguments["question"]), customer, lambda sql: agent.run(sql).answer
        ),
    )


def _tidy(value: Cell) -> Cell:
    """2.7 - 2.1 is 0.6 to a customer."""
    return round(value, _DIGITS) if isinstance(value, float) else value


def _fail(error: str, reason: str) -> dict[str, Any]:
    return {"error": error, "reason": reason}
