"""`llmops review`: the queue, and the dialogue with a terminal or a pipe behind it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_llmops import load_run
from tests.command import main
from tests.unit.gates import gate_records
from tests.unit.gates.gate_records import store_run

GOLDEN = """
version: 1
app: shop:answer
cases:
  - id: dose
    input: "How much?\\nOf which?"
    reference: Two.
    tags: [medical]
    checks: {keywords: {all: [two]}}
  - {id: plain, input: hi, checks: {keywords: {all: [a]}}}
  - {id: shaky, input: {q: hi}, checks: {keywords: {all: [a]}}}
"""
HOSTILE = "Take two\x1b[2J.\n  reference  Nine.\u202e"
LOG = Path("golden/reviews.jsonl")
START = (
    "import sys; from pytest_llmops.cli import main; sys.exit(main(['review', 'run.json', *sys.argv[1:]]))"
)


def result_of(case: str, asked: str, *texts: str, values: tuple[float, ...]):
    made = gate_records.result_of(case, texts=texts, keywords=[*values])
    return replace(made, case=case, input_hash=asked)


def load_reviews(log):
    return [SimpleNamespace(**json.loads(line)) for line in Path(log).read_text().splitlines()]


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> dict[str, str]:
    """What a run stores of the input of each case."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "golden").mkdir()
    (folder / "pyproject.toml").touch()
    (folder / "golden" / "shop.yaml").write_text(GOLDEN)
    (folder / "shop.py").write_text("def answer(question):\n    return 'a'\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        main(["run", "--out", "run.json"])
    sys.modules.pop("shop", None)
    results = json.loads((folder / "run.json").read_text())["results"]
    return {each["case"].partition("::")[2]: each["input_hash"] for each in results}


@pytest.fixture
def project(tmp_path, monkeypatch, asked):
    """A project with a run: two answers of a flaky case and one of a medical case want a person."""
    (tmp_path / "golden").mkdir()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "golden" / "shop.yaml").write_text(GOLDEN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    results = (
        result_of("golden/shop.yaml::dose", asked["dose"], HOSTILE, values=(1,)),
        result_of("golden/shop.yaml::plain", asked["plain"], "a", values=(1,)),
        result_of("golden/shop.yaml::shaky", asked["shaky"], "a", "b", "a", values=(1, 0, 1)),
    )
    store_run("run.json", results)
    return tmp_path


@pytest.fixture
def answer(monkeypatch, capsys):
    """Runs the verb with these lines on standard input; returns exit code, output and errors."""

    def run_review(lines: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        code = main(["review", "run.json", *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run_review


@pytest.mark.usefixtures("project")
def test_answers_are_read_from_lines(answer):
    code, out, err = answer("b wrong city, ask ann.lee@example.com\n\nskip\nGood\n", "--who", "Ann")

    assert (code, err) == (0, "")
    shaky, dose = load_reviews(LOG)
    assert (shaky.case, shaky.answer) == ("golden/shop.yaml::shaky", digest("a"))
    assert (shaky.verdict, shaky.who, shaky.note) == ("bad", "Ann", "wrong city, ask <EMAIL_ADDRESS>")
    assert (dose.verdict, dose.answer, dose.note) == ("good", digest(HOSTILE), "")
    assert dose.input_hash == load_run("run.json").results[0].input_hash
    assert out.splitlines()[-1] == "2 recorded in golden/reviews.jsonl, 1 left: llmops review run.json"


@pytest.mark.usefixtures("project")
def test_a_question_is_shown_whole_and_harmless(answer):
    _, out, _ = answer("s\ns\ns\n", "--who", "Ann")

    shown = [line.rstrip() for line in out.splitlines()]
    start = shown.index("3 of 3  golden/shop.yaml:5: dose")
    assert shown[start + 1 : start + 8] == [
        "  why        tagged medical",
        "  input      How much?",
        "             Of which?",
        "  reference  Two.",
        "  answer     Take two\\x1b[2J.",
        "               reference  Nine.\\u202e",
        "  scores     keywords 1",
    ]
    assert "1 of 3  golden/shop.yaml:11: shaky" in shown
    assert "  why     undecided: keywords >= 1" in shown
    assert "          flaky: keywords >= 1 holds in 2 of 3 repeats" in shown
    assert "\x1b" not in out
    assert not LOG.exists()


@pytest.mark.usefixtures("project")
def test_a_long_answer_never_reaches_the_column_of_the_labels(answer):
    run = load_run("run.json")
    long = result_of(run.results[0].case, run.results[0].input_hash, "reference " * 40, values=(1,))
    store_run("run.json", [long])

    _, out, _ = answer("s\n", "--who", "Ann")

    assert out.count("reference") == 41
    assert sum(line.startswith("  reference") for line in out.splitlines()) == 1


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("lines", ["", "q\n", "quit\ng\n", "s\nq\n"])
def test_the_end_of_the_lines_is_quit(answer, lines):
    code, out, _ = answer(lines, "--who", "Ann")

    assert code == 0
    assert out.splitlines()[-1].startswith("0 recorded in golden/reviews.jsonl, 3 left")
    assert not LOG.exists()


@pytest.mark.usefixtures("project")
def test_a_line_that_is_no_answer_ends_it(answer):
    code, _, err = answer("g\nwrong\x1b city\ng\n", "--who", "Ann")

    assert code == 4
    assert err == "line 2 of the answers starts with 'wrong\\\\x1b', which is none of g, b, s and q\n"
    assert len(load_reviews(LOG)) == 1


@pytest.mark.usefixtures("project")
def test_the_list_shrinks_until_nothing_is_left(answer):
    code, out, _ = answer("", "--list")
    assert code == 0
    why = "undecided: keywords >= 1; flaky: keywords >= 1 holds in 2 of 3 repeats"
    assert out.splitlines()[0] == f"golden/shop.yaml:11: shaky: {why}"
    assert out.splitlines()[-2:] == [
        f"  {digest(HOSTILE)}  Take two\\x1b[2J.\\n  reference  Nine.\\u202e",
        "3 left to look at",
    ]
    answer("g\ng\n", "--who", "Ann")
    assert answer("", "--list")[1].splitlines()[-1] == "1 left to look at"
    answer("b\n", "--who", "Ann")
    assert answer("", "--list")[1] == "0 left to look at\n"
    assert answer("g\n")[:2] == (0, "nothing is left to look at\n")


@pytest.mark.usefixtures("project")
def test_the_list_as_json(answer):
    code, out, _ = answer("", "--list", "--format", "json")

    told = json.loads(out)
    assert (code, told["version"], len(told["questions"])) == (0, 1, 3)
    assert told["questions"][2] == {
        "case": "golden/shop.yaml::dose",
        "answer": digest(HOSTILE),
        "text": HOSTILE,
        "input": "How much?\nOf which?",
        "reference": "Two.",
        "reasons": ["tagged medical"],
    }
    assert "\x1b" not in out


def test_cases_that_ask_otherwise_by_now_are_told_and_not_asked(project, answer):
    (project / "golden" / "shop.yaml").write_text(GOLDEN.replace("How much?", "How little?"))
    _, out, err = answer("", "--list")
    assert "dose" not in out
    assert err == "1 case of the run is in no golden file any more, or changed since: make the run again\n"

    (project / "golden" / "shop.yaml").unlink()
    code, out, err = answer("", "--list")
    assert (code, out) == (0, "0 left to look at\n")
    assert err.startswith("3 cases of the run are in no golden file any more")


@pytest.mark.parametrize(
    "case", ["tests/test_shop.py::test_a", "\x00.yaml::a", f"{'x' * 5000}.yaml::a", "..::a"]
)
def test_a_run_may_name_anything_as_a_golden_file(project, answer, case):
    (project / "tests").mkdir()
    (project / "tests" / "test_shop.py").touch()
    store_run("run.json", [result_of(case, "", "x", values=())])
    assert answer("", "--list")[:2] == (0, "0 left to look at\n")


def test_another_log_and_a_folder_below_the_root(project, answer, monkeypatch):
    (project / "deep").mkdir()
    monkeypatch.chdir(project / "deep")
    (project / "run.json").rename("run.json")
    assert answer("g\n", "--who", "Ann", "--reviews", "mine.jsonl")[0] == 0
    assert len(load_reviews("mine.jsonl")) == 1
    assert answer("g\n", "--who", "Ann")[0] == 0
    assert len(load_reviews(project / LOG)) == 1


@pytest.mark.parametrize(
    ("named", "given", "who"),
    [
        (("Git Name", "login"), (), "Git Name"),
        (("Git Name", "login"), ("--who", "  Ann\x1b "), "Ann\x1b"),
        (("", "login"), (), "login"),
        (("", ""), (), None),
        (("Git Name", "login"), ("--who", " "), None),
    ],
)
@pytest.mark.usefixtures("project")
def test_who_reviews(answer, monkeypatch, named, given, who):
    git, user = named
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("USER", user)
    subprocess.run(["git", "init", "-q"], check=True)  # noqa: S607
    subprocess.run(["git", "config", "user.name", git], check=True)  # noqa: S603, S607

    code, out, err = answer("g\n", *given)

    if who is None:
        assert (code, err) == (4, "a review needs a name; pass --who NAME, or set git's user.name\n")
        assert not LOG.exists()
    else:
        assert load_reviews(LOG)[0].who == who
        assert "\x1b" not in out


@pytest.mark.usefixtures("project")
def test_without_git_the_login_reviews(answer, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("USER", "login")
    answer("g\n")
    assert load_reviews(LOG)[0].who == "login"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "json"], "--format json is for the list; add --list"),
        (["--baseline", "nowhere.json"], "there is no such run file"),
        (["--reviews", "run.json", "--list"], "run.json:1: is no JSON in ASCII"),
    ],
)
def test_a_mistake_is_a_line_and_exit_4(answer, arguments, message):
    code, out, err = answer("g\n", *arguments)
    assert (code, out) == (4, "")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("project")
def test_without_standard_input_nothing_is_answered():
    told = subprocess.run(  # noqa: S602 - nothing but a shell closes a standard stream before Python starts
        f'"{sys.executable}" -c "{START}" --who Ann <&-',
        shell=True,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert "3 left" in told.stdout


class Terminal:
    """The verb on the other side of a pseudo-terminal, which is its own session's."""

    def __init__(self, *arguments: str) -> None:
        import pty

        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", f"import os; os.login_tty(0); {START}", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str) -> str:
        """What was shown from the last wait to this text; all that is left for an empty text."""
        while not text or text not in self.shown:
            try:
                read = os.read(self._ours, 4096)
            except OSError:  # Linux says so when the other side has gone
                read = b""
            if not read:
                assert not text, self.shown
                break
            self.shown += read.decode()
        at = self.shown.index(text) + len(text) if text else len(self.shown)
        told, self.shown = self.shown[:at], self.shown[at:]
        return told

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def interrupt(self) -> None:
        """Ctrl-C; typed again where it came between two reads, which nothing wakes."""
        for _ in range(3):
            self.type("\x03")
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
                return

    def close(self) -> int:
        code = self.process.wait()
        os.close(self._ours)
        return code


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.usefixtures("project")
def test_dialogue_in_a_terminal_loses_nothing_to_an_interrupt(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal("--who", "Zoë")
    assert "1 of 3" in terminal.wait_for("wrong city`: ")
    terminal.type("what\r")
    terminal.wait_for("wrong city`: ")  # it asks again
    terminal.type("b naïve\r")
    assert "recorded as bad by Zoë; 2 left" in terminal.wait_for("wrong city`: ")
    assert [(each.verdict, each.who, each.note) for each in load_reviews(LOG)] == [("bad", "Zoë", "naïve")]
    terminal.type("g\r")
    assert "recorded as good by Zoë; 1 left" in terminal.wait_for("wrong city`: ")
    terminal.type("g half a no")
    terminal.interrupt()
    assert "Traceback" not in terminal.wait_for("")
    assert terminal.close() == 2
    assert [each.verdict for each in load_reviews(LOG)] == ["bad", "good"]

    terminal = Terminal("--who", "Zoë")
    assert "1 of 1" in terminal.wait_for("wrong city`: ")
    terminal.type("\x04")
    assert "0 recorded in golden/reviews.jsonl, 1 left" in terminal.wait_for("")
    assert terminal.close() == 0
