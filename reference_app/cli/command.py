"""Ask the customer support of Fellwind Outfitters; serve it; open and delete personal data."""

from __future__ import annotations

import argparse
import fileinput
import io
import json
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from reference_app.errors import AppError, OpeningRefusedError, QuestionError, VaultError
from reference_app.printable import counted, printable
from reference_app.serving.replies import confirm, follow, load_sections, write_call

FAILED, MISUSED, REFUSED, INTERRUPTED = 1, 2, 3, 130
COMMANDS = ("ask", "lines", "serve", "guard", "vault", "-h", "--help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 done, 1 failed, 2 the question is unusable, 3 refused or not judged, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):  # no byte and no letter ends the app
            stream.reconfigure(errors=errors)
    options = _parser().parse_args(given if given and given[0] in COMMANDS else ["ask", *given])
    return attempt(partial(options.run, options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reference_app", description=__doc__)
    commands = parser.add_subparsers(required=True)
    asking = commands.add_parser("ask", help="answer a question, or chat without one; the default")
    asking.set_defaults(run=_ask)
    asking.add_argument("question", nargs="?")
    asking.add_argument("--file", metavar="NAME", help="an uploaded file that the question is about")
    asking.add_argument("--customer", metavar="NUMBER", type=int, help="the customer who is signed in")
    asking.add_argument("--json", action="store_true", help="print each reply as a JSON object")
    asking.add_argument(
        "--trace", action="store_true", help="print the steps of each answer with their times"
    )
    piping = commands.add_parser("lines", help="answer JSON lines, as a golden set asks a command")
    piping.set_defaults(run=_lines)
    serving = commands.add_parser("serve", help="answer over HTTP, with a page at /")
    serving.set_defaults(run=_serve)
    serving.add_argument("--host", default="127.0.0.1")
    serving.add_argument("--port", type=int, default=8321)
    guarding = commands.add_parser("guard", help="read JSON lines and write one decision for each")
    guarding.set_defaults(run=_guard)
    guarding.add_argument("--file", default="-", help="read this file instead of stdin")
    keeping = commands.add_parser("vault", help="open and delete personal data; show who did")
    keeping.set_defaults(run=_vault)
    keeping.add_argument("command", choices=("key", "open", "erase", "purge", "log"))
    keeping.add_argument("text", nargs="?", help="to open, or - for stdin; the subject to erase")
    keeping.add_argument("--reason", help="why, for the audit log")
    keeping.add_argument("--older-than", metavar="DAYS", help="like 30d; default: REFERENCE_APP_VAULT_KEEP")
    keeping.add_argument("--head", metavar="N:HASH", help="noted earlier, which the log must still contain")
    return parser


def attempt(run: Callable[[], int]) -> int:
    """Return what `run` returns, or the exit status of what goes wrong, which is printed on one line."""
    try:
        return run()
    except BrokenPipeError:
        return FAILED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a fault of the program is raised again
        note(f"reference_app: {' '.join(_explain(error).split())}")
        kinds = {QuestionError: MISUSED, OpeningRefusedError: REFUSED, KeyboardInterrupt: INTERRUPTED}
        return kinds.get(type(error), FAILED)


def _explain(error: BaseException) -> str:
    if isinstance(error, AppError | OSError | KeyboardInterrupt):
        return str(error) or "Interrupted."
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("reference_app"):
        return f'The module {error.name} is missing; the app needs: pip install -e ".[app,local,pii]"'
    import httpx2
    import openai

    if not isinstance(error, openai.OpenAIError | httpx2.HTTPError):
        raise error
    cause = f"{type(error.__cause__ or error).__name__}: {str(error.__cause__ or error)[:300]}"
    return f"The endpoint failed: {cause}; check OPENAI_BASE_URL, OPENAI_API_KEY and REFERENCE_APP_MODEL."


def _ask(options: argparse.Namespace) -> int:
    from reference_app.tracing import record_steps

    if options.file is not None and options.question is None:
        raise QuestionError("--file goes with a question.")
    terminal, status = Terminal(options), 0
    for question in _read_questions() if options.question is None else [options.question]:
        with record_steps() as steps:
            status = attempt(partial(terminal.ask, question)) or status
        for step in steps if options.trace else ():
            used = step.attributes.get("gen_ai.usage.output_tokens", 0)
            note(f"{'  ' * step.depth}{step.name} {1000 * (step.end_s - step.start_s):.0f} ms, {used} tokens")
    return status


def _read_questions() -> Iterator[str]:
    with suppress(ImportError):
        import readline  # noqa: F401 - gives input() its history and line editing
    with suppress(EOFError):
        while True:
            if question := input("\n> " if sys.stdin.isatty() else "").strip():
                yield question


class Terminal:
    """One conversation: steps and sources on stderr, the answer on stdout."""

    def __init__(self, options: argparse.Namespace) -> None:
        from reference_app.app import open_app

        self._app, self._options = open_app(), options
        self._sections, self._thread = load_sections(), uuid.uuid4().hex

    def ask(self, question: str) -> int:
        """Answer one question; a person confirms a call only where somebody sits at the terminal."""
        asked = {"file": self._options.file, "customer": self._options.customer}
        call = self._show(self._app.run(question, thread=self._thread, **asked))
        while call and sys.stdin.isatty():
            with suppress(ImportError):
                import termios

                termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before is no answer
            note(f"Confirm {write_call({**call, 'decision': ''})}? [y/N] ", end="")
            approved = sys.stdin.readline().strip().lower() in {"y", "yes"}
            known = confirm(call["name"], call["arguments"])
            call = self._show(self._app.resume(self._thread, known, approved=approved))
        return 0

    def _show(self, steps: Any) -> Any:
        as_json = self._options.json
        reply = follow(steps, self._sections, (lambda _: None) if as_json else note)
        text = reply["text"]
        for source in reply["sources"]:
            text = text.replace(f"[{source['id']}]", f"[{source['title']}]")
        say(json.dumps(reply, indent=2) if as_json else text)
        for source in () if as_json else reply["sources"]:
            note(f"source: {source['title']}")
        return reply["pending"]


def _lines(_: argparse.Namespace) -> int:
    """Answer each line, an object with `messages` and `session`, by one line; what fails is its `error`."""
    import reference_app

    status = 0
    for line in sys.stdin:
        reply: dict[str, Any] = {}
        try:
            asked = json.loads(line)
            *history, last = asked["messages"]
            reply["session"] = asked["session"]
            reply |= reference_app.answer({"question": last["content"], "history": history})
        except (ValueError, TypeError, KeyError):
            status, reply["error"] = MISUSED, "The line is no object with messages and a session."
        except Exception as error:  # noqa: BLE001 - a fault of the program is raised again
            status, reply["error"] = FAILED, _explain(error)
        say(json.dumps(reply))
    return status


def _serve(options: argparse.Namespace) -> int:
    from reference_app.app import open_app
    from reference_app.serving.server import serve

    serve(open_app(), options.host, options.port)
    return 0


def _guard(options: argparse.Namespace) -> int:
    """Judge each line of a file, in order; a line that cannot be judged lets nothing pass."""
    from reference_app.guardrails.lines import LineError, judge_line
    from reference_app.settings import SHOP_HOST, read_guards

    guards, status = read_guards(), 0
    with fileinput.input(options.file, mode="rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                decision = judge_line(line.rstrip(b"\r\n"), guards, hosts=(SHOP_HOST,))
            except LineError as error:
                status = REFUSED
                decision = {"allowed": False, "guard": "line", "line": number, "error": f"The line {error}."}
            say(json.dumps(decision))
    return status


def _vault(options: argparse.Namespace) -> int:
    """Open a text with tokens, delete values, or show the log and verify it: 1 where it was changed."""
    from cryptography.fernet import Fernet

    from reference_app.vault import audit
    from reference_app.vault.access import read_days, read_vault_settings
    from reference_app.vault.vault import Vault

    settings, command, text, reason = read_vault_settings(), options.command, options.text, options.reason
    vault = Vault(settings)
    if command in {"open", "erase"} and not (text and reason):
        raise VaultError(f"vault {command} needs a text or subject, and a --reason for the log.")
    if command == "key":
        return say(Fernet.generate_key().decode())
    if command == "open":
        return say(vault.open(sys.stdin.read() if text == "-" else text, reason=reason))
    if command == "erase":
        return say(f"Destroyed {counted(vault.erase(text, reason=reason), 'token')}.")
    if command == "purge":
        days = read_days(options.older_than or f"{settings.keep_days}", "--older-than")
        return say(f"Destroyed {counted(vault.purge(days, reason=reason or 'retention'), 'token')}.")
    if not settings.folder.is_dir():
        raise VaultError(f"There is no vault in {settings.folder}.")
    with vault.database() as db:
        rows = db.execute("SELECT * FROM keys.log ORDER BY n")
        entries = [
            {name[0]: value for name, value in zip(rows.description, row, strict=True)} for row in rows
        ]
        faults = audit.find_faults(db, options.head)
    say("\n".join(map(json.dumps, entries)))
    head = f"{entries[-1]['n']}:{entries[-1]['hash']}" if entries else None
    note("; ".join(f"Entry {n} {fault}" for n, fault in faults) or f"Intact. Head {head}")
    return FAILED if faults else 0


def say(text: str) -> int:
    """Write what was asked for; return 0, for a command that has done all."""
    print(printable(text, keep="\n"), flush=True)  # noqa: T201 - what a command is for
    return 0


def note(line: str, end: str = "\n") -> None:
    """Write a line beside the answer."""
    print(printable(line), end=end, file=sys.stderr, flush=True)  # noqa: T201 - for a person
