"""
What the reference app reaches: its adapter on the test split, its planner, its questions to SQL.

Each share stands with its exact one-sided 95 % lower bound (Clopper-Pearson) and the goal. Greedy decoding in
llama.cpp; about five minutes on two quiet cores. Usage: python benchmarks/adapter.py [every Nth case]

`--fresh` asks a draw of the test split with other values, `--doses` damages the adapter and runs the gate: an
hour on two cores, kept in build/doses, so that a run that was stopped goes on. `--table` writes what is there
to docs/adapter.md and to the adapter's card.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.doses import measuring
from benchmarks.doses.pages import write_fresh_card, write_page
from benchmarks.doses.power import measure_power
from reference_app.evaluation.queries import evaluate as evaluate_sql
from reference_app.evaluation.shares import lower_bound
from reference_app.models.encoder import Encoder
from reference_app.models.weights import find_weights
from reference_app.settings import read_settings
from reference_app.shop.database import open_shop
from reference_app.tools.sql.agent import SqlAgent
from reference_app.training.evaluation.cases import load_cases
from reference_app.training.evaluation.comparison import Outcome, evaluate

SQL_GOAL, ROUTE_GOAL = 0.80, 0.90


def main() -> None:
    options = read_options()
    if options.fresh:
        measuring.measure_fresh(print)
    if options.doses:
        measuring.measure_doses(print)
    if options.table:
        splits = list(measuring.list_splits())
        write_page(splits, list(measuring.list_responses()), measure_power())
        write_fresh_card(splits)
    if not (options.fresh or options.doses or options.table):
        measure_split(options.every)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("every", nargs="?", type=int, default=1, help="take each Nth case of the test split")
    parser.add_argument("--fresh", action="store_true", help="ask the split drawn anew, and the base")
    parser.add_argument("--doses", action="store_true", help="damage the adapter and run the gate on it")
    parser.add_argument("--table", action="store_true", help="write docs/adapter.md and the card")
    return parser.parse_args()


def measure_split(every: int) -> None:
    settings = read_settings({})
    weights = find_weights(settings.weights, settings.adapter)
    table = Table("", "adapter", "n", "at least", "goal", "base", title="the reference app")
    with Progress(transient=True) as progress:
        task = progress.add_task("test split", total=2 * len(load_cases()[::every]))
        report = evaluate(weights.adapter, weights.chat, every=every, progress=lambda: progress.advance(task))
    for name, measure in report.adapter.items():
        base = report.base.get(name)
        goal = "" if measure.goal is None else f"{measure.goal:.2f}"
        row(table, name, measure.value, measure.n, measure.lower, goal, base and base.value)
    routes = {
        name: [right_route(each) for each in rows if each.case.task == "plan"]
        for name, rows in report.outcomes.items()
    }
    share(table, "route", routes["adapter"], ROUTE_GOAL, routes["base"])
    tone = report.tone
    row(table, "check of tone, held-out pairs", tone.value, tone.n, tone.lower, "", None)
    encoder = Encoder(weights)
    with tempfile.TemporaryDirectory() as folder:
        agent = SqlAgent(open_shop(settings.orders, Path(folder)), encoder.encode)
        for split in ("building", "held"):
            sql = evaluate_sql(agent, split)
            row(
                table,
                f"SQL results equal, {split}",
                sql.right / sql.n,
                sql.n,
                sql.lower,
                f"{SQL_GOAL:.2f}",
                None,
            )
    Console().print(table)


def row(
    table: Table, name: str, value: float, n: int, lower: float | None, goal: str, base: float | None
) -> None:
    told = "" if lower is None else f"{lower:.3f}"
    table.add_row(name, f"{value:.3f}", str(n), told, goal, "" if base is None else f"{base:.3f}")


def share(table: Table, name: str, right: list[bool], goal: float, base: list[bool]) -> None:
    n = len(right)
    row(table, name, sum(right) / n, n, lower_bound(sum(right), n), f"{goal:.2f}", sum(base) / n)


def right_route(outcome: Outcome) -> bool:
    try:
        made = json.loads(outcome.text)
    except ValueError:
        return False
    return isinstance(made, dict) and made.get("route") == json.loads(outcome.case.expected)["route"]


if __name__ == "__main__":
    main()
