"""The exit codes of what was mistyped, and what a verb imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.command import main


@pytest.mark.parametrize(
    ("typed", "code", "shown"),
    [
        ("", 4, "llmops: error: the following arguments are required: VERB"),
        ("rnu", 4, "llmops: error: argument VERB: invalid choice: 'rnu'"),
        ("--fast", 4, "llmops: error: "),
        ("compare a.json", 4, "llmops compare: error: the following arguments are required: RUN.json"),
        ("compare a b --format html", 4, "llmops compare: error: argument --format: invalid choice"),
        ("run --repeats", 4, "llmops run: error: argument --repeats: expected one argument"),
        ("explain a b", 4, "llmops: error: unrecognized arguments: b"),
        ("explain a --fast", 4, "llmops: error: unrecognized arguments: --fast"),
        ("models fetch", 4, "llmops models: error: argument ACTION: invalid choice: 'fetch'"),
        ("prompts", 4, "llmops prompts: error: the following arguments are required: check|lock|diff"),
        ("calibrate regex a", 4, "llmops calibrate: error: the following arguments are required: --label"),
    ],
)  # fmt: skip
def test_a_mistyped_command_line_is_exit_4(typed, code, shown, capsys):
    with pytest.raises(SystemExit) as ended:
        main(typed.split())
    assert ended.value.code == code
    said = capsys.readouterr()
    assert said.out == ""
    usage, *_, last = said.err.splitlines()
    assert usage.startswith("usage: llmops")
    assert last.startswith(shown)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("run none.yaml", 4),
        ("run --undecided perhaps", 4),
        ("compare none.json none.json", 3),
        ("accept none.json", 4),
        ("accept none.json --all --merge", 4),
        ("score exact_match none.jsonl", 4),
        ("score exact_mach none.jsonl", 4),
        ("calibrate exact_match none.jsonl --label good", 4),
        ("selfcheck", 3),
        ("selfcheck --runs none", 4),
        ("drift none.json none.json", 3),
        ("drift none.json none.json --canary none", 4),
        ("attack --suite none.yaml --app shop:answer", 4),
        ("choose none.json none.jsonl", 3),
        ("choose none", 4),
        ("explain none", 4),
        ("models pull none", 4),
        ("cassettes check none", 4),
        ("prompts check none", 4),
        ("prompts diff none", 4),
        ("review none.json", 4),
    ],
)
def test_a_wrong_value_is_one_line_and_the_exit_code_of_its_verb(typed, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(typed.split()) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1


def test_an_interrupted_verb_is_exit_2(monkeypatch):
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_llmops.models.weights.status", interrupt)
    assert main(["models", "list"]) == 2
    monkeypatch.setattr("pytest_llmops.cli.import_module", lambda _: interrupt())
    assert main(["models", "list"]) == 2


@pytest.mark.parametrize(("verb", "modules"), [("", set()), ("explain", {"explain"}), ("no", set())])
def test_only_the_verb_that_is_typed_is_imported(verb, modules):
    code = (
        "import sys\nfrom pytest_llmops.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    print(*(name for name in sys.modules if name.startswith('pytest_llmops.')))"
    )
    command = [sys.executable, "-c", code, *verb.split(), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own code
    imported = set(shown.splitlines()[-1].split())
    assert {name for name in imported if name.startswith("pytest_llmops.cli.")} == {
        f"pytest_llmops.cli.{name}" for name in modules
    }
    features = {name for name in imported if name.startswith("pytest_llmops.features")}
    assert all(name.count(".") <= 2 for name in features)  # a feature's commands are named, not imported
    if not modules:
        engine = {f"pytest_llmops.{name}" for name in ("cli", "errors", "extensions", "hookspecs", "streams")}
        assert imported - features == engine
