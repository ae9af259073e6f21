"""How many questions the agent answers with the same rows as the SQL that a person wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reference_app.evaluation.rows import same_rows
from reference_app.evaluation.shares import lower_bound
from reference_app.tools.sql.execution import Answer

if TYPE_CHECKING:
    from reference_app.tools.sql.agent import SqlAgent

QUESTIONS = Path(__file__).with_name("questions.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    Counts of one split.

    Attributes:
        n: Questions with SQL.
        right: Those with equal rows.
        lower: One-sided 95 % bound of the share of right ones (Clopper and Pearson 1934).
        failures: The others, each with what was given instead.
        unanswerable: Questions the database cannot answer.
        refused: Those that got no rows.
        answered: The others.
    """

    n: int
    right: int
    lower: float
    failures: tuple[tuple[str, str], ...]
    unanswerable: int
    refused: int
    answered: tuple[tuple[str, str], ...]


def evaluate(agent: SqlAgent, split: str, questions: Path = QUESTIONS) -> Report:
    """
    Ask every question of a split.

    Args:
        agent: On the database that the SQL was written for.
        split: `building` or `held`.
        questions: In the format of `questions.yaml`.
    """
    import yaml

    data = yaml.safe_load(questions.read_text(encoding="utf-8"))
    failures = []
    for item in data[split]:
        gold, given = agent.run(item["sql"]), agent.ask(item["question"])
        if "error" not in given:
            answer = Answer(
                columns=tuple(given["columns"]),
                rows=tuple(map(tuple, given["rows"])),
                truncated=given["truncated"],
            )
            if same_rows(gold.answer, answer, ordered=gold.ordered):
                continue
        failures.append((item["question"], given.get("sql") or given["reason"]))
    unanswerable = data["no_query"][split]
    answers = [(question, agent.ask(question)) for question in unanswerable]
    answered = tuple((question, given["sql"]) for question, given in answers if "error" not in given)
    n = len(data[split])
    return Report(
        n=n,
        right=n - len(failures),
        lower=lower_bound(n - len(failures), n),
        failures=tuple(failures),
        unanswerable=len(unanswerable),
        refused=len(unanswerable) - len(answered),
        answered=answered,
    )
