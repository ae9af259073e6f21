"""What a person at the terminal sees and is asked; the app plays set steps."""

from __future__ import annotations

import io
import json
import os
import sys
from types import SimpleNamespace

import openai
import pytest

from reference_app.cli.command import attempt, main
from reference_app.printable import printable
from reference_app.serving.replies import confirm

CALL = {"name": "request_refund", "arguments": {"order_id": "FW-20001"}, "decision": "pending"}
SECTIONS = {"a#b": SimpleNamespace(name="Tents\x1b[2J > Weight", text="It weighs 3.4 kg.")}


class Steps:
    """Asks for a confirmation, or says the text; keeps what was decided."""

    def __init__(self, text=None, sources=(), error=None):
        self.text, self.sources, self.error = text, list(sources), error
        self.asked, self.decided = [], []

    def run(self, question, heard=None, *, thread, file=None, customer=None):
        assert heard is None
        self.asked.append((question, thread, file, customer))
        if self.error:
            raise self.error
        if self.text is None:
            yield "approve", {"text": "May I?", "tool_calls": [CALL], "pending": CALL, "sources": []}
            return
        yield "guard_output", {"text": self.text, "sources": self.sources}

    def resume(self, thread, confirmation, *, approved):
        assert (thread, confirmation) == (self.asked[-1][1], confirm(CALL["name"], CALL["arguments"]))
        self.decided.append(approved)
        yield "tools", {"tool_calls": [CALL | {"decision": "confirmed"}]}
        yield "answerer", {"text": "It is done.", "sources": []}


@pytest.fixture
def ask(monkeypatch, capsys):
    def run(app, *arguments, typed=""):
        monkeypatch.setattr("reference_app.app.open_app", lambda: app)
        monkeypatch.setattr("reference_app.cli.command.load_sections", lambda: SECTIONS)
        if isinstance(typed, str):
            typed = io.StringIO(typed)
        monkeypatch.setattr(sys, "stdin", typed)
        return main(arguments), *capsys.readouterr()

    return run


class Typed:
    """A terminal: what is typed comes after the prompt, and what was typed before it is lost."""

    def __init__(self, answer, before=b""):
        pty = pytest.importorskip("pty")
        self.typing, reading = pty.openpty()
        self.stream = open(reading)  # noqa: PTH123, SIM115 - a descriptor, closed by `close`
        self.answer = answer
        os.write(self.typing, before)

    def write(self, text):
        if "[y/N]" in text:
            os.write(self.typing, self.answer)
        return len(text)

    def flush(self):
        pass

    def close(self):
        self.stream.close()
        os.close(self.typing)


@pytest.mark.parametrize(
    ("typed", "approved"), [(b"y\n", True), (b"YES\n", True), (b"\n", False), (b"yes please\n", False)]
)
@pytest.mark.parametrize("before", [b"", b"y\n"])
def test_nothing_but_a_yes_after_the_question_is_a_yes(ask, monkeypatch, typed, approved, before):
    app, terminal = Steps(), Typed(typed, before)
    monkeypatch.setattr(sys, "stderr", terminal)
    code, output, _ = ask(app, "Refund FW-20001", typed=terminal.stream)
    terminal.close()

    assert (code, app.decided) == (0, [approved])
    assert output == "May I?\nIt is done.\n"


def test_where_nobody_sits_nothing_is_confirmed(ask):
    app = Steps()

    assert ask(app, "Refund FW-20001", typed="y\n")[:2] == (0, "May I?\n")
    assert app.decided == []


def test_sources_are_cited_by_title_and_nothing_commands_the_terminal(ask):
    app = Steps("It weighs 3.4 kg. [a#b]\nSee [c#d].\x1b[2J", ["a#b", "c#d"])
    _, output, errors = ask(app, "How heavy is it?")

    assert output == "It weighs 3.4 kg. [Tents\\x1b[2J > Weight]\nSee [c#d].\\x1b[2J\n"
    assert errors == "guard output\nsource: Tents\\x1b[2J > Weight\nsource: c#d\n"


def test_a_reply_as_json_is_all_that_is_printed(ask):
    _, output, errors = ask(Steps("It is 3.4 kg.", ["a#b"]), "--json", "How heavy is it?")

    reply = json.loads(output)
    assert (reply["text"], errors) == ("It is 3.4 kg.", "")
    assert reply["sources"] == [{"id": "a#b", "title": "Tents\x1b[2J > Weight", "text": "It weighs 3.4 kg."}]


def test_a_chat_is_one_conversation(ask):
    app = Steps("Fine.")
    code, output, _ = ask(app, "--customer", "7", typed="One?\n\n  \nTwo?\n")

    assert (code, output) == (0, "Fine.\nFine.\n")
    assert [asked[::2] for asked in app.asked] == [("One?", None), ("Two?", None)]
    assert len({asked[1] for asked in app.asked}) == 1
    assert {asked[3] for asked in app.asked} == {7}


def test_an_error_ends_one_question_of_a_chat_and_its_status_stays(ask):
    app = Steps(error=openai.OpenAIError("no key"))
    code, output, errors = ask(app, typed="One?\nTwo?\n")

    assert (code, output, len(app.asked)) == (1, "", 2)
    assert errors.splitlines()[0] == (
        "reference_app: The endpoint failed: OpenAIError: no key; "
        "check OPENAI_BASE_URL, OPENAI_API_KEY and REFERENCE_APP_MODEL."
    )


def test_a_file_goes_with_a_question(ask):
    app = Steps("Fine.")

    assert ask(app, "How many?", "--file", "a.csv")[0] == 0
    assert app.asked[0][2] == "a.csv"
    assert ask(app, "--file", "a.csv")[::2] == (2, "reference_app: --file goes with a question.\n")


def test_a_byte_that_is_no_text_is_no_traceback(ask):
    typed = io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n"), encoding="utf-8")

    assert ask(Steps("Fine."), typed=typed)[:2] == (0, "Fine.\n")


def test_a_missing_library_is_one_line_with_the_remedy(capsys):
    def miss():
        raise ModuleNotFoundError("No module named 'xllamacpp'", name="xllamacpp")

    assert attempt(miss) == 1
    assert capsys.readouterr().err == (
        'reference_app: The module xllamacpp is missing; the app needs: pip install -e ".[app,local,pii]"\n'
    )


def test_a_fault_of_the_program_is_a_traceback_and_ctrl_c_is_none(capsys):
    def fail(error):
        raise error

    with pytest.raises(KeyError):
        attempt(lambda: fail(KeyError("x")))
    assert attempt(lambda: fail(KeyboardInterrupt())) == 130
    assert attempt(lambda: fail(BrokenPipeError())) == 1
    assert capsys.readouterr().err == "reference_app: Interrupted.\n"


def test_what_cannot_be_printed_is_written_out():
    assert printable("tent \x1b[2J\r\n\u202e£") == "tent \\x1b[2J\\r\\n\\u202e£"
    assert printable("a\nb", keep="\n") == "a\nb"
