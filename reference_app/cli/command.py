"""The app's command line: one question, a chat, or an HTTP endpoint."""

from __future__ import annotations

import argparse
import io
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from reference_app.errors import AppError, QuestionError
from reference_app.printable import printable
from reference_app.shop.customers import read_customer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference_app.cli.terminal import Terminal

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """0 answered, 1 the app or its endpoint failed, 2 the question is unusable, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _tolerate_any_text()
    try:
        if given and given[0] in COMMANDS:
            return COMMANDS[given[0]](given[1:])
        return _run(_parser().parse_args(given))
    except KeyboardInterrupt:
        return _fail("Interrupted.", INTERRUPTED)
    except BrokenPipeError:
        return FAILED
    except Exception as error:
        message = _explain(error)
        if message is None:
            raise
        return _fail(message, MISUSED if isinstance(error, QuestionError) else FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reference_app",
        description="Ask the customer support of Fellwind Outfitters.",
        epilog="Without a question a chat begins. `serve` starts an HTTP endpoint with a page; `vault` and "
        "`audit` open, delete and account for personal data; `guard` judges texts and tool calls.",
    )
    parser.add_argument("question", nargs="?")
    parser.add_argument("--file", metavar="NAME", help="an uploaded file that the question is about")
    parser.add_argument(
        "--customer",
        metavar="NUMBER",
        type=_read_customer,
        help="the customer who is signed in, who may see no other's orders",
    )
    parser.add_argument("--json", action="store_true", help="print each answer as a JSON object")
    parser.add_argument(
        "--trace",
        action="store_true",
        help="print the steps of each answer: a waterfall, then their attributes",
    )
    return parser


def _read_customer(text: str) -> int:
    return read_customer(int(text) if re.fullmatch(r"[0-9]{1,10}", text) else text)


def _run(options: argparse.Namespace) -> int:
    if options.file is not None and options.question is None:
        raise QuestionError("--file goes with a question.")
    if not options.trace:
        return _ask(options)
    from reference_app.cli.spans import draw
    from reference_app.tracing import record_steps

    with record_steps() as steps:
        try:
            return _ask(options)
        finally:
            sys.stderr.write(printable(draw(steps), keep="\n") + "\n")


def _ask(options: argparse.Namespace) -> int:
    from reference_app.cli.terminal import Terminal
    from reference_app.graph import open_app

    terminal = Terminal(open_app(), as_json=options.json, asks=sys.stdin.isatty(), customer=options.customer)
    if options.question is not None:
        terminal.ask(options.question, options.file)
        return 0
    return _chat(terminal)


def _chat(terminal: Terminal) -> int:
    """Question by question until the end of the input; what goes wrong with one ends only that one."""
    seen = sys.stdin.isatty()
    if seen:
        with suppress(ImportError):
            import readline  # noqa: F401 - gives input() its history and line editing
        _say("Fellwind Outfitters. Ask about products, rules and orders; an empty line or Ctrl-D ends.")
    failed = 0
    while True:
        try:
            question = _read_question(shown=seen)
        except EOFError:
            return failed
        if not question.strip():
            if seen:
                return 0
            continue
        try:
            terminal.ask(question)
        except KeyboardInterrupt:
            if not seen:
                raise
            _say("Interrupted.")
        except Exception as error:
            message = _explain(error)
            if message is None:
                raise
            failed = FAILED
            _say(message)


def _read_question(*, shown: bool) -> str:
    """The prompt goes to stderr where answers go into a file."""
    if shown and not sys.stdout.isatty():
        sys.stderr.write("\n> ")
        sys.stderr.flush()
        return input()
    return input("\n> " if shown else "")


def _tolerate_any_text() -> None:
    """Neither a byte that is no text nor a letter that the output cannot hold ends the app."""
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _serve(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reference_app serve", description="Answer over HTTP, with a small page at /."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8321)
    options = parser.parse_args(arguments)
    from reference_app.graph import open_app
    from reference_app.serving import serve

    serve(open_app(), options.host, options.port)
    return 0


def _vault(arguments: Sequence[str]) -> int:
    from reference_app.cli.vault import run_vault

    return run_vault(arguments)


def _audit(arguments: Sequence[str]) -> int:
    from reference_app.cli.audit import run_audit

    return run_audit(arguments)


def _guard(arguments: Sequence[str]) -> int:
    from reference_app.cli.guard import run_guard

    return run_guard(arguments)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "serve": _serve,
    "vault": _vault,
    "audit": _audit,
    "guard": _guard,
}


def _say(line: str) -> None:
    sys.stderr.write(f"reference_app: {printable(' '.join(line.split()))}\n")


def _fail(message: str, code: int) -> int:
    _say(message)
    return code


def _explain(error: Exception) -> str | None:
    """What went wrong, for the person at the terminal; None where it is a fault of the program."""
    if isinstance(error, AppError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("reference_app"):
        return f'The module {error.name} is missing; the app needs: pip install -e ".[app,local,pii]"'
    import httpx2
    import openai

    return _explain_endpoint(error) if isinstance(error, openai.OpenAIError | httpx2.HTTPError) else None


def _explain_endpoint(error: Exception) -> str:
    import openai

    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return f"The endpoint refused the key (HTTP {error.status_code}); check OPENAI_API_KEY."
    if isinstance(error, openai.RateLimitError):
        return "The endpoint is limiting its rate or your quota is spent (HTTP 429); try again later."
    if isinstance(error, openai.NotFoundError):
        return (
            "The endpoint does not know the model (HTTP 404); check REFERENCE_APP_MODEL and OPENAI_BASE_URL."
        )
    if isinstance(error, openai.APIStatusError):
        return f"The endpoint answered HTTP {error.status_code}: {error.message[:300]}"
    if isinstance(error, openai.APITimeoutError):
        return "The endpoint did not answer in time."
    cause = error.__cause__ or error
    return (
        f"The line to the endpoint failed: {type(cause).__name__}: {str(cause)[:300]}; check OPENAI_BASE_URL."
    )
