"""
How many questions of customers the reference app answers right, wrong, or with an honest refusal.

The 144 independent questions were written from the shop's documents and database alone, by people who knew
neither the app's prompts nor its training data. What counts as right is defined in `questions/scoring.py`.
Intervals are Wilson's at 95 %; kinds of 5 to 15 questions are hints. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.falsehoods.finding import list_facts_shares
from benchmarks.questions.asking import ask_all
from benchmarks.questions.figures import (
    Share,
    describe_spending,
    list_kinds,
    list_recalls,
    list_shares,
)
from benchmarks.questions.scoring import INDEPENDENT, Record, Scored, load_answers, load_questions, score

ANSWERS = Path(".llmops/app/answers.jsonl")


def main() -> None:
    options = _read_options()
    questions = _choose(load_questions(options.file), options.kind, options.ids)
    if options.answers:
        answers = load_answers(options.answers)
    else:
        answers = _ask(questions, options.out, options.workers)
    scored = [score(question, answers.get(question["id"])) for question in questions]
    console = Console(highlight=False, width=110)
    if options.misses:
        _show_misses(scored)
    console.print(_make_kinds(scored))
    whole = not (options.kind or options.ids)
    shares = [*list_shares(scored), *(list_facts_shares() if whole else ())]
    console.print(_make_shares(shares))
    _show_rest(scored)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "file", nargs="?", type=Path, default=INDEPENDENT, help="questions; default: the independent ones"
    )
    parser.add_argument("--answers", type=Path, help="score these answers instead of calling the app")
    parser.add_argument(
        "--out", type=Path, default=ANSWERS, help=f"where answers are written; default: {ANSWERS}"
    )
    parser.add_argument("--kind", nargs="+", default=(), help="questions of these kinds alone")
    parser.add_argument("--ids", nargs="+", default=(), help="these questions alone, such as `ord-*`")
    parser.add_argument("--misses", action="store_true", help="print what is not right")
    parser.add_argument("--workers", type=int, default=2, help="questions at once; default: 2")
    return parser.parse_args()


def _choose(questions: list[Record], kinds: Sequence[str], ids: Sequence[str]) -> list[Record]:
    from fnmatch import fnmatchcase

    chosen = [
        question
        for question in questions
        if (not kinds or question["kind"] in kinds)
        and (not ids or any(fnmatchcase(question["id"], one) for one in ids))
    ]
    if not chosen:
        known = ", ".join(sorted({question["kind"] for question in questions}))
        sys.exit(f"No question is of that kind or has that id. Kinds: {known}.")
    return chosen


def _ask(questions: Sequence[Record], out: Path, workers: int) -> dict[str, Record]:
    with Progress(transient=True) as progress:
        task = progress.add_task("questions", total=len(questions))
        answers = ask_all(questions, out, workers=workers, heard=lambda _: progress.advance(task))
    print(f"{len(answers)} answers in {out}")
    return answers


def _show_misses(scored: Sequence[Scored]) -> None:
    for one in scored:
        if one.outcome != "right":
            answer = one.answer or {}
            called = [each["name"] for each in answer.get("tool_calls") or []]
            print(f"[{one.outcome}] {one.question['id']} {one.question['input']}")
            print(f"  expected: {one.question['expected']['reference']}")
            print(f"  got:      {answer.get('text')}")
            print(f"  tools {called}, recall@5 {one.recall(5)}\n")


def _make_kinds(scored: Sequence[Scored]) -> Table:
    table = Table("kind", "n", "right", "wrong", "refused", "missing", "tools", "recall@5")
    for kind, members in list_kinds(scored):
        tools = [one.tools for one in members if one.tools is not None]
        recalls = [f"{recall:.2f}" for _, recall, _ in list_recalls(members, ks=(5,))]
        table.add_row(
            kind,
            str(len(members)),
            *(
                str(sum(one.outcome == outcome for one in members))
                for outcome in ("right", "wrong", "refused", "missing")
            ),
            f"{sum(tools)}/{len(tools)}" if tools else "",
            "".join(recalls),
        )
    return table


def _make_shares(shares: Sequence[Share]) -> Table:
    table = Table("right, unless it says otherwise", "of", "share", "95 %", "floor", "goal", "reached")
    for one in shares:
        low, high = one.interval
        sign = "<=" if one.fewer_is_better else ">="
        limits = ["" if limit is None else f"{sign} {limit:.2f}" for limit in (one.floor, one.goal)]
        table.add_row(
            one.name,
            f"{one.count}/{one.of}",
            f"{one.value:.3f}",
            f"{low:.2f} to {high:.2f}",
            *limits,
            one.standing,
        )
    return table


def _show_rest(scored: Sequence[Scored]) -> None:
    for k, recall, n in list_recalls(scored):
        print(f"recall@{k} of relevant sections: {recall:.3f} ({n} questions)")
    if spending := describe_spending(scored):
        print(spending)
    alone = sum(bool(one.answer and one.answer.get("last_turn_alone")) for one in scored)
    if alone:
        print(f"the app takes no list of turns: {alone} follow-ups were asked by their last turn alone")
    for one in scored:
        if one.answer and "error" in one.answer:
            print(f"{one.question['id']}: {one.answer['error']}")


if __name__ == "__main__":
    main()
