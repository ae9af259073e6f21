"""One question or a chat at a terminal: steps and sources on stderr, the answer on stdout."""

from __future__ import annotations

import json
import sys
import uuid
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from reference_app.printable import printable
from reference_app.serving.replies import confirm, follow, load_sections, write_call


class Terminal:
    """One conversation; a person confirms a call only where somebody sits at the terminal."""

    def __init__(self, options: Namespace) -> None:
        from reference_app.graph import open_app
        from reference_app.shop.customers import read_customer

        number = options.customer
        self._customer = (
            None if number is None else read_customer(int(number) if number.isdecimal() else number)
        )
        self._json, self._file, self._thread = options.json, options.file, uuid.uuid4().hex
        self._app, self._sections = open_app(), load_sections()

    def ask(self, question: str) -> int:
        """Answer one question; raises as the app does."""
        steps = self._app.run(question, thread=self._thread, file=self._file, customer=self._customer)
        call = self._show(steps)["pending"]
        while call and sys.stdin.isatty():
            with suppress(ImportError):
                import termios

                termios.tcflush(
                    sys.stdin, termios.TCIFLUSH
                )  # what was typed before the question is no answer
            sys.stderr.write(printable(f"Confirm {write_call({**call, 'decision': ''})}? [y/N] "))
            sys.stderr.flush()
            approved = sys.stdin.readline().strip().lower() in ("y", "yes")
            confirmation = confirm(call["name"], call["arguments"])
            call = self._show(self._app.resume(self._thread, confirmation, approved=approved))["pending"]
        return 0

    def _show(self, steps: Any) -> dict[str, Any]:
        reply = follow(steps, self._sections, (lambda _: None) if self._json else note)
        text = printable(reply["text"], keep="\n")
        for source in reply["sources"]:
            text = text.replace(f"[{source['id']}]", f"[{printable(source['title'])}]")
        if sys.stdout.isatty() and not self._json:
            from rich.console import Console
            from rich.markdown import Markdown

            Console().print(Markdown(text, hyperlinks=False))
        else:
            print(json.dumps(reply, indent=2) if self._json else text, flush=True)  # noqa: T201 - the answer
        for source in () if self._json else reply["sources"]:
            note(f"source: {source['title']}")
        return reply


def read_questions() -> Iterator[str]:
    """Yield each line that is typed until the end of the input; at a terminal an empty line ends it, too."""
    seen = sys.stdin.isatty()
    with suppress(ImportError, EOFError):
        if seen:
            import readline  # noqa: F401 - gives input() its history and line editing

            note("Fellwind Outfitters. Ask about products, rules and orders; an empty line or Ctrl-D ends.")
        while (question := input("\n> " if seen else "")).strip() or not seen:
            if question.strip():
                yield question


def note(line: str) -> None:
    """Write a line beside the answer."""
    sys.stderr.write(printable(line) + "\n")
