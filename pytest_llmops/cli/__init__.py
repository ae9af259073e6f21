"""`llmops VERB …`: what is done outside pytest. A user's mistake is one message and exit code 4."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from pytest_llmops.cli import (
    accept,
    calibrate,
    compare,
    drift,
    explain,
    models,
    prompts,
    review,
    run,
    score,
    selfcheck,
)
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.streams import outlive_readers

USAGE_ERROR = 4
INTERRUPTED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    parser = _Parser(prog="llmops", description="Golden sets for LLM apps, outside pytest.")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for module in (
        run,
        compare,
        accept,
        score,
        calibrate,
        selfcheck,
        drift,
        explain,
        models,
        prompts,
        review,
    ):
        module.add_verb(verbs)
    with outlive_readers() as lost:
        given = parser.parse_args(arguments)
        code = carry_out(given)
    # A verdict stands, whatever became of its report; data that were lost are no success.
    return USAGE_ERROR if lost.error and not code and getattr(given, "prints_data", False) else code


class _Parser(argparse.ArgumentParser):
    """A mistaken command line has the exit code of every mistake of a user: 2 is `undecided` elsewhere."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"{self.prog}: error: {message}\n")


def carry_out(given: argparse.Namespace) -> int:
    """Do what the verb does; whatever a user can mend is one message."""
    try:
        code: int = given.do(given)
    except LLMOpsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command talks to its user
        return USAGE_ERROR
    except OSError as error:
        print(f"{error.filename or 'a file'}: {error.strerror}", file=sys.stderr)  # noqa: T201 - as above
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    return code
