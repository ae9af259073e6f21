"""`llmops review RUN.json`: a person judges answers, question by question. Exit 0."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, TextIO

from pytest_llmops.calibration.record import load_needed
from pytest_llmops.documents.document import SUFFIXES
from pytest_llmops.errors import ReviewError
from pytest_llmops.evaluation.baseline import find_baseline
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.people import People
from pytest_llmops.gates.reviewing import Question, list_questions
from pytest_llmops.gates.suite_channel.paired_scores import results_of
from pytest_llmops.golden.files import shown_path
from pytest_llmops.golden.identity import cases_by_id, input_hash
from pytest_llmops.golden.loader import load_goldens_of
from pytest_llmops.golden.reviews import Review, append_reviews, load_reviews
from pytest_llmops.printable import printable
from pytest_llmops.records import Case, Golden, Run
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.settings import Settings, find_root, load_settings, typed_path

_PROMPT = "[g]ood  [b]ad  [s]kip  [q]uit, and a note if you like, as in `b wrong city`: "
_WORDS = {key: word for word in ("good", "bad", "skip", "quit") for key in (word, word[0])}
_LONGEST = 20_000  # characters of a text that are shown
_SHOWN_IN_LIST = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN.json")
    parser.add_argument("--baseline", metavar="FILE|git:REF", help="what RUN.json was compared with")
    parser.add_argument("--reviews", metavar="FILE", help="the log; default: golden/reviews.jsonl")
    parser.add_argument("--who", metavar="NAME", help="your name; default: git's user.name, else $USER")
    parser.add_argument("--list", action="store_true", help="only show what is left to look at")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the list")
    parser.set_defaults(do=_review)


def _review(given: argparse.Namespace) -> int:
    if given.format == "json" and not given.list:
        raise ReviewError("--format json is for the list; add --list")
    baseline = typed_path("baseline", given.baseline, Path.cwd())
    settings = load_settings(find_root(Path.cwd()), ("command line, flags --…", {"baseline": baseline}))
    log = Path.cwd() / given.reviews if given.reviews else settings.path(settings.reviews)
    run = load_run(given.run)
    goldens = _load_goldens(run, settings.root)
    base = find_baseline(settings, goldens).base
    questions = _questions(run, base, goldens, load_reviews(log), settings)
    if given.list:
        _show_list(questions, given.format)
        return 0
    if not questions:
        _print("nothing is left to look at")
        return 0
    who = _name(given.who, settings.root)
    _hold_dialogue(questions, who, log, settings, shown=given.run)
    return 0


def _questions(
    run: Run, base: Run | None, goldens: Sequence[Golden], reviews: Sequence[Review], settings: Settings
) -> tuple[Question, ...]:
    """List the queue; a case whose input changed is left out and reported, since the old input is gone."""
    written = cases_by_id(*goldens)
    calibrations = load_needed(goldens, settings.path(settings.calibration))
    judge = Judge(goldens, base, People(calibrations=calibrations))
    for golden in goldens:
        judge.note_movement(golden, results_of(golden.path, run.results))
    cases: dict[str, Case] = {}
    verdicts = {}
    for result in run.results:
        case = written.get(result.case)
        if case is not None and input_hash(case) == result.input_hash:
            cases[result.case] = case
            verdicts[result.case] = judge.judge_case(case, result)
    if lost := len(run.results) - len(cases):
        subject = "1 case of the run is" if lost == 1 else f"{lost} cases of the run are"
        _print(f"{subject} in no golden file any more, or changed since: make the run again", file=sys.stderr)
    return list_questions(run, verdicts, cases, reviews)


def _load_goldens(run: Run, root: Path) -> list[Golden]:
    """Load the existing golden files of the run's cases."""
    goldens, errors = load_goldens_of(run, root)
    for error in errors:
        path = error.problems[0].path
        # os.path returns False, where Path raises, for a name that no system takes
        if path.lower().endswith(SUFFIXES) and os.path.isfile(root / path):  # noqa: PTH113
            raise error
    return goldens


def _name(typed: str | None, root: Path) -> str:
    if typed is not None:
        name = typed.strip()
    else:
        try:
            command = ["git", "-C", str(root), "config", "user.name"]
            output = subprocess.run(command, capture_output=True, check=False).stdout.decode(errors="replace")  # noqa: S603
        except OSError:  # there is no git
            output = ""
        name = output.strip() or os.environ.get("USER", "").strip()
    if not name:
        raise ReviewError("a review needs a name; pass --who NAME, or set git's user.name")
    return name


def _hold_dialogue(
    questions: Sequence[Question], who: str, log: Path, settings: Settings, *, shown: str
) -> None:
    answers = _Answers(sys.stdin or io.StringIO())
    taken = 0
    for number, question in enumerate(questions, 1):
        _show(question, f"{number} of {len(questions)}")
        verdict, note = answers.ask()
        if verdict == "quit":
            break
        if verdict == "skip":
            continue
        review = Review(
            case=question.case,
            input_hash=question.input_hash,
            answer=question.answer,
            verdict=verdict,
            who=who,
            when=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            note=note,
        )
        append_reviews(log, [review], lock=settings.path(settings.home) / "reviews.lock")
        taken += 1
        _print(f"recorded as {verdict} by {printable(who, 60)}; {len(questions) - taken} left")
    left = len(questions) - taken
    again = f": llmops review {shown}" if left else ""
    _print(f"{taken} recorded in {shown_path(log, Path.cwd())}, {left} left{again}")


class _Answers:
    """Reads a person's answers, a line each, from a terminal or a pipe; their end is `quit`."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines
        self._number = 0

    def ask(self) -> tuple[Literal["good", "bad", "skip", "quit"], str]:
        """Read the answer to the question on the screen, and its note."""
        terminal = self._lines.isatty()
        while True:
            _print(_PROMPT, end="" if terminal else "\n")
            try:
                line = self._lines.readline()
            except UnicodeDecodeError:
                raise ReviewError("the answers are no UTF-8 text") from None
            self._number += 1
            if not line:
                _print("")
                return "quit", ""
            word, _, note = line.strip().partition(" ")
            match _WORDS.get(word.lower()):
                case "good" | "bad" | "skip" | "quit" as verdict:
                    return verdict, note.strip()
            if word and not terminal:  # or the next answer might go to another question
                raise ReviewError(
                    f"line {self._number} of the answers starts with {printable(word, 40)!r}, which is none "
                    "of g, b, s and q"
                )


def _show(question: Question, position: str) -> None:
    """Show a question; every text is escaped, so that none can imitate ours."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    rows = [("why", "\n".join(map(_lines, question.reasons))), ("input", _lines(question.input))]
    if question.reference is not None:
        rows.append(("reference", _lines(question.reference)))
    rows.append(("answer", _lines(question.text)))
    if question.scores:
        rows.append(("scores", _scores(question)))
    for label, text in rows:
        grid.add_row(Text(label, style="bold"), Text(text))
    console = Console(highlight=False)
    console.print()
    console.print(Text(f"{position}  {_place(question)}"))
    console.print(Padding(grid, (0, 0, 0, 2)))


def _show_list(questions: Sequence[Question], form: str) -> None:
    if form == "json":
        names = ("case", "answer", "text", "input", "reference", "reasons")
        queue = [{name: getattr(question, name) for name in names} for question in questions]
        _print(json.dumps({"version": 1, "questions": queue}, indent=2))
        return
    for question in questions:
        _print(f"{_place(question)}: {'; '.join(printable(reason) for reason in question.reasons)}")
        _print(f"  {question.answer}  {printable(question.text, _SHOWN_IN_LIST)}")
    _print(f"{len(questions)} left to look at")


def _place(question: Question) -> str:
    if question.source is None:
        return printable(question.case)
    where = f"{question.source.path}:{question.source.line}"
    return f"{printable(where)}: {printable(question.case.partition('::')[2])}"


def _lines(value: Any) -> str:
    """Escape a value, except its line ends."""
    if not isinstance(value, str):
        return printable(value, _LONGEST)
    left = f"\n… ({len(value) - _LONGEST:,} more characters)" if len(value) > _LONGEST else ""
    # An escape has up to ten characters, so that no line is cut a second time.
    return "\n".join(printable(line, 10 * _LONGEST) for line in value[:_LONGEST].split("\n")) + left


def _scores(question: Question) -> str:
    """Return each metric's mean over the repeats with this answer."""
    values: dict[str, list[float]] = {}
    for score in question.scores:
        values.setdefault(score.metric, []).append(score.value)
    return ", ".join(f"{printable(metric, 60)} {fmean(scores):.4g}" for metric, scores in values.items())


def _print(text: str, *, end: str = "\n", file: TextIO | None = None) -> None:
    print(text, end=end, file=file, flush=True)
