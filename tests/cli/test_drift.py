"""`llmops drift`: exit codes, what is written, canaries to a real server."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pytest_llmops import load_run
from tests.command import main
from tests.openai_server import OpenAIServer, last_user_text
from tests.stored_files import add_review

GOLDEN = """
version: 1
app: drift_app:answer
prompts: [prompts]
data: [knowledge]
checks: {exact_match: true}
cases:
  - {id: a, input: hello, reference: "Echo: Be brief. 60 days. hello"}
  - {id: b, input: there, reference: "Echo: Be brief. 60 days. there"}
"""
APP = """
from pathlib import Path
import openai

def answer(question):
    prompt = Path("prompts/system.txt").read_text().split("---")[-1].strip()
    document = Path("knowledge/returns.md").read_text().strip()
    with openai.OpenAI(max_retries=0) as client:
        reply = client.chat.completions.create(model="small", temperature=0, messages=[
            {"role": "user", "content": f"{prompt} {document} {question}"}])
    text = reply.choices[0].message.content
    return {"text": text, "passages": [{"id": "returns", "text": document}]}
"""
FILES = {
    "golden/shop.yaml": GOLDEN,
    "drift_app.py": APP,
    "prompts/system.txt": "---\nname: system\nversion: 1.0.0\nkind: system\n---\nBe brief.",
    "knowledge/returns.md": "60 days.",
    "pyproject.toml": "",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield server
    sys.modules.pop("drift_app", None)


def _run(out: str, *options: str) -> None:
    sys.modules.pop("drift_app", None)
    main(["run", "--out", out, "--repeats", "2", *options])


def _drift(capsys, *arguments: str) -> tuple[int, dict]:
    capsys.readouterr()
    code = main(["drift", *arguments, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


def _shown(told: dict) -> list[str]:
    return [cause["kind"] for cause in told["causes"] if cause["shown"]]


@pytest.mark.parametrize(
    ("edits", "code", "shown"),
    [
        pytest.param({}, 0, [], id="nothing"),
        pytest.param(
            {"prompts/system.txt": FILES["prompts/system.txt"].replace("1.0.0", "1.0.1") + " Please."},
            1,
            ["prompt"],
            id="prompt",
        ),
        pytest.param({"knowledge/returns.md": "30 days."}, 1, ["data"], id="data"),
        pytest.param(
            {"knowledge/returns.md": "30 days.", "prompts/system.txt": "Be long."}, 2, [], id="both at once"
        ),
        pytest.param({"drift_app.py": APP.replace('"text": text', '"text": text + "!"')}, 2, [], id="app"),
        pytest.param(
            {"golden/shop.yaml": GOLDEN.replace("60 days. hello", "30 days. hello")},
            1,
            ["concept"],
            id="concept",
        ),
    ],
)
@pytest.mark.usefixtures("project")
def test_what_was_edited_is_the_cause(capsys, edits, code, shown):
    _run("base.json")
    for name, text in edits.items():
        Path(name).write_text(text)
    _run("new.json")

    told_code, told = _drift(capsys, "base.json", "new.json")

    assert (told_code, _shown(told)) == (code, shown)


@pytest.mark.usefixtures("project")
def test_a_baseline_is_a_base_too(capsys):
    _run("base.json")
    main(["accept", "base.json"])
    Path("knowledge/returns.md").write_text("30 days.")
    _run("new.json")

    assert _drift(capsys, "golden/baseline.json", "base.json")[0] == 0
    code, told = _drift(capsys, "golden/baseline.json", "new.json")
    assert (code, _shown(told)) == (1, ["data"])


def test_another_model_behind_the_name_is_model_drift(project, capsys):
    _run("base.json")
    project.answer = lambda request: last_user_text(request).upper()
    _run("new.json", "--record", "all")

    code, told = _drift(capsys, "base.json", "new.json")

    assert (code, _shown(told)) == (1, ["model"])
    assert told["causes"][0]["cases"] == ["golden/shop.yaml::a", "golden/shop.yaml::b"]


@pytest.mark.usefixtures("project")
def test_text_is_for_people(capsys):
    _run("base.json")
    Path("knowledge/returns.md").write_text("30 days.")
    _run("new.json")
    capsys.readouterr()

    assert main(["drift", "base.json", "new.json"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["data, shown", "  passage returns has another text"]
    assert lines[-1] == "drift: data (cases: 0 same, 0 varying, 2 changed)"


def test_canaries_see_a_silent_update_that_replays_hide(project, capsys):
    _run("base.json")
    project.answer = lambda _: "updated"
    _run("new.json")
    assert _drift(capsys, "base.json", "new.json")[0] == 0
    project.requests.clear()

    code, told = _drift(capsys, "base.json", "new.json", "--canary")

    assert (code, _shown(told)) == (1, ["model"])
    assert len(project.requests) == 4
    cassettes = Path(".llmops/cassettes")
    assert "updated" not in "".join(path.read_text() for path in cassettes.rglob("*.yaml"))
    project.requests.clear()
    assert _drift(capsys, "base.json", "new.json", "--canary", "1")[0] == 1
    assert len(project.requests) == 2


@pytest.mark.usefixtures("project")
def test_an_endpoint_that_is_gone_leaves_the_question_open(capsys, monkeypatch):
    _run("base.json")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    code, told = _drift(capsys, "base.json", "base.json", "--canary")

    assert code == 2
    assert any("http://127.0.0.1:9 is not up" in note for note in told["notes"])


@pytest.mark.usefixtures("project")
def test_reviews_overrule_references(capsys):
    Path("golden/shop.yaml").write_text(GOLDEN.replace("60 days. hello", "30 days. hello"))
    _run("run.json")
    assert _drift(capsys, "run.json", "run.json")[0] == 0
    result = next(each for each in load_run("run.json").results if each.case.endswith("::a"))
    add_review(Path("my.jsonl"), result.case, result.input_hash, result.outputs[0].text, "good")

    code, told = _drift(capsys, "run.json", "run.json", "--reviews", "my.jsonl")

    assert (code, _shown(told)) == (1, ["concept"])
    Path("my.jsonl").rename("golden/reviews.jsonl")
    assert _drift(capsys, "run.json", "run.json")[0] == 1  # the usual log is read unasked


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.json", "run.json"], 3, "nowhere.json: there is no such"),
        (["run.json", "cut.json"], 3, "cut.json"),
        (["run.json", "other.json"], 3, "no case was answered in both runs"),
        (["run.json", "run.json", "--reviews", "nowhere.jsonl"], 3, "nowhere.jsonl: there is no such file"),
        (["run.json", "run.json", "--reviews", "cut.json"], 3, "cut.json:1"),
        (
            ["run.json", "run.json", "--canary", "many"],
            4,
            "--canary takes a whole number above 0, not 'many'",
        ),
        (["run.json", "run.json", "--canary", "0"], 4, "--canary takes a whole number above 0, not '0'"),
    ],
)
@pytest.mark.usefixtures("project")
def test_a_mistake_is_a_line(capsys, arguments, code, message):
    result = {"case": "golden/shop.yaml::a", "input_hash": "", "outputs": [{"text": "said"}]}
    Path("run.json").write_text(json.dumps({"version": 1, "results": [result]}))
    Path("other.json").write_text(
        json.dumps({"version": 1, "results": [{**result, "case": "golden/shop.yaml::z"}]})
    )
    Path("cut.json").write_text('{"version": 1, "resul')

    assert main(["drift", *arguments]) == code
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
