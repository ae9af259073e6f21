"""Ask the customer support of Fellwind Outfitters; serve it; open and delete personal data."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial

from reference_app.cli import vault
from reference_app.errors import AppError, GuardLinesError, OpeningRefusedError, QuestionError
from reference_app.printable import printable

FAILED, MISUSED, REFUSED, INTERRUPTED = 1, 2, 3, 130
COMMANDS = ("ask", "serve", "guard", "vault", "-h", "--help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 done, 1 failed, 2 the question is unusable, 3 refused or not judged, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):  # no byte and no letter ends the app
            stream.reconfigure(errors=errors)
    options = _parser().parse_args(given if given and given[0] in COMMANDS else ["ask", *given])
    return attempt(partial(options.run, options))


def attempt(run: Callable[[], int]) -> int:
    """Return what `run` returns, or the exit status of what goes wrong, which is printed on one line."""
    try:
        return run()
    except BrokenPipeError:
        return FAILED
    except (Exception, KeyboardInterrupt) as error:
        sys.stderr.write(f"reference_app: {printable(' '.join(_explain(error).split()))}\n")
        kinds = {QuestionError: MISUSED, OpeningRefusedError: REFUSED, KeyboardInterrupt: INTERRUPTED}
        return kinds.get(type(error), FAILED)


def _explain(error: BaseException) -> str:
    """Return what went wrong, for the person at the terminal; raise what is a fault of the program."""
    if isinstance(error, AppError | KeyboardInterrupt):
        return str(error) or "Interrupted."
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("reference_app"):
        return f'The module {error.name} is missing; the app needs: pip install -e ".[app,local,pii]"'
    import httpx2
    import openai

    if not isinstance(error, openai.OpenAIError | httpx2.HTTPError):
        raise error
    cause = error.__cause__ or error
    names = "OPENAI_BASE_URL, OPENAI_API_KEY and REFERENCE_APP_MODEL"
    return f"The endpoint failed: {type(cause).__name__}: {str(cause)[:300]}; check {names}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reference_app", description=__doc__)
    commands = parser.add_subparsers(required=True)
    asking = commands.add_parser("ask", help="answer a question, or chat without one; the default")
    asking.set_defaults(run=_ask)
    asking.add_argument("question", nargs="?")
    asking.add_argument("--file", metavar="NAME", help="an uploaded file that the question is about")
    asking.add_argument("--customer", metavar="NUMBER", help="the customer who is signed in")
    asking.add_argument("--json", action="store_true", help="print each reply as a JSON object")
    asking.add_argument(
        "--trace", action="store_true", help="print the steps of each answer with their times"
    )
    serving = commands.add_parser("serve", help="answer over HTTP, with a page at /")
    serving.set_defaults(run=_serve)
    serving.add_argument("--host", default="127.0.0.1")
    serving.add_argument("--port", type=int, default=8321)
    guarding = commands.add_parser("guard", help="read JSON lines and write one decision for each")
    guarding.set_defaults(run=_guard)
    guarding.add_argument("--file", default="-", help="read this file instead of stdin")
    keeping = commands.add_parser("vault", help="open and delete personal data; show who did")
    vault.add_commands(keeping.add_subparsers(required=True))
    return parser


def _ask(options: argparse.Namespace) -> int:
    from reference_app.cli.terminal import Terminal, note, read_questions
    from reference_app.tracing import record_steps

    if options.file is not None and options.question is None:
        raise QuestionError("--file goes with a question.")
    terminal, status = Terminal(options), 0
    for question in read_questions() if options.question is None else [options.question]:
        with record_steps() as steps:
            status = attempt(partial(terminal.ask, question)) or status
        for step in steps if options.trace else ():
            note(f"{'  ' * step.depth}{step.name} {(step.end_s - step.start_s) * 1000:.0f} ms")
    return status


def _serve(options: argparse.Namespace) -> int:
    from reference_app.graph import open_app
    from reference_app.serving.server import serve

    serve(open_app(), options.host, options.port)
    return 0


def _guard(options: argparse.Namespace) -> int:
    """Judge each line of a file, in order; a line that cannot be judged lets nothing pass."""
    from reference_app.guardrails.lines import LineError, judge_line
    from reference_app.settings import SHOP_HOST, read_guards

    guards, status = read_guards(), 0
    try:
        lines = sys.stdin.buffer if options.file == "-" else open(options.file, "rb")  # noqa: PTH123, SIM115
    except OSError as error:
        raise GuardLinesError(f"{options.file} cannot be read: {error.strerror}.") from error
    for number, line in enumerate(lines, 1):
        try:
            decision = judge_line(line.rstrip(b"\r\n"), guards, hosts=(SHOP_HOST,))
        except LineError as error:
            status = REFUSED
            decision = {"allowed": False, "guard": "line", "line": number, "error": f"The line {error}."}
        print(json.dumps(decision), flush=True)  # noqa: T201 - what the command is for
    return status
