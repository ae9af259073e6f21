"""What a person at the terminal sees and is asked; the app plays set steps."""

from __future__ import annotations

import io
import json
import os
import sys
from types import SimpleNamespace

import pytest

from reference_app.cli.command import main
from reference_app.cli.terminal import Terminal
from reference_app.documents.knowledge import Section
from reference_app.documents.search import Found
from reference_app.state import ToolCall
from reference_app.tools.registry import Confirmation

CALL = ToolCall(
    name="request_refund", arguments={"order_id": "FW-20001"}, decision="pending", reason="ask a person"
)


READ = [
    Found(
        section=Section(
            id="a#b", title="Tents\x1b[2J", heading="Weight", text="", status="current", updated="2026-01-01"
        ),
        score=0.5,
    )
]


class Steps:
    """Asks for a confirmation, or says the pieces; keeps what was decided."""

    def __init__(self, pieces=None, text="It is done.", sources=()):
        self.models = SimpleNamespace(chat_model="m")
        self.pieces, self.text, self.sources = pieces, text, list(sources)
        self.asked, self.decided = [], []

    def run(self, question, heard=None, *, thread, file=None, customer=None):
        self.asked.append((question, thread))
        self.file, self.customer = file, customer
        if self.pieces is None:
            yield "confirm", {"text": "May I?", "tool_calls": [CALL], "pending": CALL, "sources": []}
            return
        for piece in self.pieces:
            heard(piece)
        yield "answerer", {"text": self.text, "sources": self.sources, "passages": READ}

    def resume(self, thread, confirmation, *, approved, heard=None):
        assert (thread, confirmation) == (self.asked[-1][1], Confirmation.of(CALL.name, CALL.arguments))
        self.decided.append(approved)
        if heard:
            heard(self.text)
        yield "tools", {"tool_calls": []}
        yield "answerer", {"text": self.text, "sources": []}


@pytest.mark.parametrize(
    ("typed", "approved"),
    [("y\n", True), ("YES\n", True), ("\n", False), ("yes please\n", False), ("", False)],
)
def test_nothing_but_yes_is_a_yes(monkeypatch, capsys, typed, approved):
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    app = Steps()
    Terminal(app, as_json=False, asks=True).ask("Refund FW-20001")

    assert app.decided == [approved]
    assert "Confirm request_refund(order_id FW-20001)? [y/N] " in capsys.readouterr().err


def test_ctrl_c_at_the_prompt_decides_nothing(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(readline=interrupt, fileno=lambda: -1))
    app = Steps()
    with pytest.raises(KeyboardInterrupt):
        Terminal(app, as_json=False, asks=True).ask("Refund FW-20001")

    assert app.decided == []


def test_a_yes_that_was_typed_before_the_question_does_not_count(monkeypatch):
    pty = pytest.importorskip("pty")
    typing, reading = pty.openpty()

    class Prompt(io.StringIO):
        def write(self, text):
            if "[y/N]" in text:
                os.write(typing, b"no\n")
            return super().write(text)

    with open(reading) as terminal:  # noqa: PTH123 - a descriptor, no path
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys, "stderr", Prompt())
        os.write(typing, b"y\n")
        app = Steps()
        Terminal(app, as_json=False, asks=True).ask("Refund FW-20001")
    os.close(typing)

    assert app.decided == [False]


def test_the_prompt_stays_out_of_the_json(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    Terminal(Steps(), as_json=True, asks=True).ask("Refund FW-20001")

    assert json.loads(capsys.readouterr().out)["text"] == "It is done."


def test_where_nobody_sits_nothing_is_confirmed(capsys):
    app = Steps()
    Terminal(app, as_json=False, asks=False).ask("Refund FW-20001")

    assert (app.decided, capsys.readouterr().out) == ([], "May I?\n")


@pytest.mark.parametrize(
    ("pieces", "text", "sources", "shown"),
    [
        (
            ["It weighs\n", "3.4 kg."],
            "It weighs 3.4 kg. [a#b]",
            ["a#b"],
            "It weighs 3.4 kg. [Tents\\x1b[2J > Weight]\n",
        ),
        ([], "Said. [a#b] [c#d]", ["a#b", "c#d"], "Said. [Tents\\x1b[2J > Weight] [c#d]\n"),
        (["It is at evil.example."], "It is gone.", [], "It is at evil.example.\nIt is gone.\n"),
        (["\x1b[2J", "x"], "\x1b[2J x", [], "\\x1b[2Jx\n\\x1b[2J x\n"),
        ([], "Nothing was found.", [], "Nothing was found.\n"),
    ],
)
def test_what_is_streamed_is_completed_or_corrected(capsys, pieces, text, sources, shown):
    Terminal(Steps(pieces, text, sources), as_json=False, asks=False).ask("?")

    said = capsys.readouterr()
    assert said.out == shown
    titles = {"a#b": "Tents\\x1b[2J > Weight"}
    assert said.err == "".join(f"source: {titles.get(source, source)}\n" for source in sources)


def test_a_chat_is_one_conversation_and_no_other_one_is_it():
    chats = [Steps([], "Fine."), Steps([], "Fine.")]
    for chat in chats:
        terminal = Terminal(chat, as_json=False, asks=False)
        terminal.ask("?")
        terminal.ask("And?")

    threads = [[thread for _, thread in chat.asked] for chat in chats]
    assert [len(set(thread)) for thread in threads] == [1, 1]
    assert threads[0] != threads[1]


def test_a_file_goes_with_a_question(monkeypatch, capsys):
    app = Steps(["Fine."], "Fine.")
    monkeypatch.setattr("reference_app.graph.open_app", lambda: app)

    assert main(["How many?", "--file", "a.csv"]) == 0
    assert app.file == "a.csv"
    assert main(["--file", "a.csv"]) == 2
    assert "--file goes with a question" in capsys.readouterr().err


def test_a_customer_goes_with_each_question(monkeypatch, capsys):
    app = Steps(["Fine."], "Fine.")
    monkeypatch.setattr("reference_app.graph.open_app", lambda: app)

    assert (main(["How many?", "--customer", "7"]), app.customer) == (0, 7)
    assert (main(["How many?"]), app.customer) == (0, None)
    monkeypatch.setattr(sys, "stdin", io.StringIO("How many?\n"))
    assert (main(["--customer", "8"]), app.customer) == (0, 8)
    capsys.readouterr()
    for wrong in ("x", "", "0", "7.0", "-7", "\u0667", "9" * 5000):
        assert main(["How many?", f"--customer={wrong}"]) == 2
        errors = capsys.readouterr().err
        assert errors.startswith("reference_app: The customer must be a whole number")
        assert errors.count("\n") == 1


def test_a_byte_that_is_no_text_is_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr("reference_app.graph.open_app", lambda: Steps(["Fine."], "Fine."))
    typed = io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", typed)

    assert main([]) == 0
    assert capsys.readouterr().out == "Fine.\n"


def test_a_missing_library_is_one_line_with_the_remedy(monkeypatch, capsys):
    def miss(_):
        raise ModuleNotFoundError("No module named 'httpx2'", name="httpx2")

    monkeypatch.setattr("reference_app.cli.command._ask", miss)
    monkeypatch.setitem(sys.modules, "httpx2", None)
    assert main(["Where is my order?"]) != 0
    assert capsys.readouterr().err == (
        'reference_app: The module httpx2 is missing; the app needs: pip install -e ".[app,local,pii]"\n'
    )
