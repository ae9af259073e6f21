"""What a person at a terminal sees: steps and notes on stderr, the answer on stdout as it is written."""

from __future__ import annotations

import json
import sys
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from reference_app.graph import CONFIRM
from reference_app.nodes.telling import write_call
from reference_app.printable import printable
from reference_app.state import cite_by_name, name_sources
from reference_app.tools.registry import Confirmation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_app.graph import SupportApp
    from reference_app.state import State

    Steps = Iterator[tuple[str, State]]


class Terminal:
    """Asks the app and shows what it does; a person confirms only where there is one."""

    def __init__(self, app: SupportApp, *, as_json: bool, asks: bool, customer: int | None = None) -> None:
        """
        Args:
            app: Answers.
            as_json: Whether an answer is printed as a JSON object.
            asks: Whether somebody sits at the terminal and can be asked to confirm a call.
            customer: Who is signed in.
        """
        self._app = app
        self._customer = customer
        self._as_json = as_json
        self._asks = asks
        self._thread = uuid.uuid4().hex
        self._written = ""

    def ask(self, question: str, file: str | None = None) -> None:
        """Answer one question, asked with the name of an uploaded file or without; raises as the app does."""
        state: State = {}
        self._written = ""
        heard = None if self._as_json else self._hear
        steps: Steps | None = self._app.run(
            question, heard, thread=self._thread, file=file, customer=self._customer
        )
        while steps is not None:
            waits = self._follow(steps, state)
            steps = self._decide(state) if waits else None
        if self._as_json:
            from reference_app.graph import as_record

            record = as_record(state, self._app.models.chat_model)
            sys.stdout.write(json.dumps(record, indent=2) + "\n")
        else:
            self._finish(state)

    def _follow(self, steps: Steps, state: State) -> bool:
        waits = False
        for node, added in steps:
            state.update(added)
            waits = node == CONFIRM
            if not self._as_json:
                for line in describe_step(node, added):
                    note(line)
        return waits

    def _decide(self, state: State) -> Steps | None:
        if not self._asks:
            return None
        call = state["pending"]
        _forget_what_was_typed()
        # On stderr, since stdout may go into a file; the end of the input is no yes.
        sys.stderr.write(printable(f"Confirm {write_call(call)}? [y/N] "))
        sys.stderr.flush()
        approved = sys.stdin.readline().strip().lower() in ("y", "yes")
        confirmation = Confirmation.of(call.name, call.arguments)
        heard = None if self._as_json else self._hear
        return self._app.resume(self._thread, confirmation, approved=approved, heard=heard)

    def _hear(self, piece: str) -> None:
        self._written += piece
        # The final text has its white space made single.
        sys.stdout.write(printable("".join(" " if sign.isspace() else sign for sign in piece)))
        sys.stdout.flush()

    def _finish(self, state: State) -> None:
        """The rest of the answer: its sources, or all of it where a guard changed what was streamed."""
        titles = name_sources(state)
        text, bare = cite_by_name(state["text"], titles), state["text"]
        for source in titles:
            bare = bare.replace(f" [{source}]", "")
        if not self._written:
            sys.stdout.write(printable(text) + "\n")
        elif " ".join(self._written.split()) == bare:
            sys.stdout.write(printable("".join(f" [{title}]" for title in titles.values())) + "\n")
        else:
            sys.stdout.write("\n" + printable(text) + "\n")
        sys.stdout.flush()
        for title in titles.values():
            note(f"source: {title}")


def describe_step(node: str, added: State) -> Iterator[str]:
    """What a node did, a line each."""
    if node == "input_guard" and "suspicion" in added:
        yield f"guard: {added['suspicion']}"
    elif node == "planner":
        calls = ", ".join(call.name for call in added["plan"].calls)
        yield f"planner: {added['plan'].route}" + (f" {calls}" if calls else "")
    elif node == "retriever":
        for one in added["passages"]:
            old = " (superseded)" if one.section.status == "superseded" else ""
            yield f"retriever: {one.score:.2f} {one.section.id}{old}"
    elif node in ("tools", "reader"):
        for call in added["tool_calls"]:
            reason = f": {call.reason}" if call.reason else ""
            yield f"tool: {write_call(call)} {call.decision}{reason}"
    elif node == "output_guard":
        for problem in added.get("problems", []):
            yield f"guard: {problem}"


def _forget_what_was_typed() -> None:
    """A line that came before its question, as the second of a pasted text does, is no answer to it."""
    try:
        import termios
    except ImportError:  # no terminal of that kind
        return
    with suppress(OSError, ValueError, termios.error):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def note(line: str) -> None:
    """Say something beside the answer."""
    sys.stderr.write(printable(line) + "\n")
