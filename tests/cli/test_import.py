"""`llmops import`: questions of traces, data sets and tables become candidates in a valid golden file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_llmops import load_golden
from tests.command import main


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


RUN = "018f2f5e-0000-7000-8000-00000000000"


def run(number: int, question: Any, answer: Any, **more: Any) -> dict[str, Any]:
    named = {"id": f"{RUN}{number}", "name": "answer", "run_type": "chain"}
    return {**named, "inputs": question, "outputs": answer, "start_time": "2024-01-01T00:00:00", **more}


def span(name: str, parent: str = "", **attributes: str) -> dict[str, Any]:
    pairs = [
        {"key": key.replace("__", "."), "value": {"stringValue": each}} for key, each in attributes.items()
    ]
    return {
        "name": name,
        "spanId": name * 16,
        "parentSpanId": parent * 16,
        "traceId": "ab" * 16,
        "attributes": pairs,
    }


ASKED = {"role": "user", "parts": [{"type": "text", "content": "Why?"}]}
MESSAGES = json.dumps([{"role": "system", "parts": []}, ASKED])
ANSWERS = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "Because."}]}])
CHAT = {"messages": [[{"type": "human", "content": "Why?"}]]}


@pytest.mark.parametrize(
    ("name", "text", "cases"),
    [
        (
            "runs.json",
            json.dumps([run(1, {"question": "Why?"}, {"output": "Because."}, tags=["Policy"]),
                        run(2, {"q": "tool"}, {}, parent_run_id=f"{RUN}1", trace_id=f"{RUN}1"),
                        run(3, {"question": "How long?", "lang": "en"}, None)]),
            [{"id": "why", "input": "Why?", "reference": "Because.", "tags": ["policy"]},
             {"id": "question-how-long-lang-en", "input": {"question": "How long?", "lang": "en"}}],
        ),
        ("chat.jsonl", json.dumps(run(1, CHAT, {"output": "Because."})),
         [{"id": "answer", "input": "Why?", "reference": "Because."}]),
        (
            "examples.json",
            json.dumps({"examples": [{"inputs": {"question": "Why?"}, "outputs": {"answer": "Because."}}]}),
            [{"id": "why", "input": "Why?", "reference": "Because."}],
        ),
        ("rows.jsonl", '{"id": "R 1", "input": "Why?", "expected": "Because."}\n{"input": "How?"}',
         [{"id": "r-1", "input": "Why?", "reference": "Because."}, {"id": "how", "input": "How?"}]),
        ("table.csv", 'Question,Expected,Tags\n"Why, then?",Because.,"a; b"\n,no question,\n',
         [{"id": "why-then", "input": "Why, then?", "reference": "Because.", "tags": ["a", "b"]}]),
        (
            "otlp.json",
            json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [
                span("b", "a", gen_ai__input__messages=MESSAGES, gen_ai__output__messages=ANSWERS),
                span("a")]}]}]}),
            [{"id": "b", "input": "Why?", "reference": "Because."}],
        ),
        (
            "phoenix.json",
            json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [
                span("a", input__value="Why?", output__value="Because.")]}]}]}),
            [{"id": "a", "input": "Why?", "reference": "Because."}],
        ),
    ],
)  # fmt: skip
def test_sources_of_each_format(in_folder, capsys, name, text, cases):
    Path(name).write_text(text)
    assert main(["import", name, "--out", "golden/new.yaml"]) == 0
    assert yaml.safe_load(Path("golden/new.yaml").read_text())["cases"] == cases
    assert len(load_golden(in_folder / "golden/new.yaml", root=in_folder).cases) == len(cases)
    assert f"golden/new.yaml: {len(cases)} candidate case" in capsys.readouterr().out
    assert [path.name for path in Path("golden").iterdir()] == ["new.yaml"]


PERSONAL = "input,expected,id\nCall ann@example.com?,Yes.,ann@example.com\nHow long is it?,60 days,\n"


@pytest.mark.parametrize(("flags", "asked"), [([], ["Call <EMAIL_ADDRESS>?"]), (["--refuse-personal"], [])])
@pytest.mark.usefixtures("in_folder")
def test_personal_data_is_masked_or_left_out(capsys, flags, asked):
    Path("table.csv").write_text(PERSONAL)
    assert main(["import", "table.csv", "--out", "new.yaml", *flags]) == 0
    text = Path("new.yaml").read_text()
    assert [case["input"] for case in yaml.safe_load(text)["cases"]] == [*asked, "How long is it?"]
    assert "ann" not in text + capsys.readouterr().out


@pytest.mark.usefixtures("in_folder")
def test_near_duplicates_are_dropped(capsys):
    Path("rows.jsonl").write_text(
        "\n".join(
            json.dumps({"input": each}) for each in ("How long is it?", "how long is it", "How far is it?")
        )
    )
    assert main(["import", "rows.jsonl", "--out", "new.yaml"]) == 0
    assert capsys.readouterr().out == "new.yaml: 2 candidate cases, 1 dropped as near-duplicates\n"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("none.json", None, "none.json: cannot be read (No such file or directory)"),
        ("odd.json", "{}", "odd.json: cannot be imported: it holds something that is no OTLP request"),
        ("odd.json", "{", "odd.json: cannot be imported: it is no JSON"),
        (
            "odd.csv",
            "a,b\n1,2\n",
            "odd.csv: cannot be imported: its header has none of the columns input",
        ),
        ("empty.json", "[]", "empty.json: contains no question that could become a case"),
        ("latin.csv", b"input\n\xff", "latin.csv: is not UTF-8 text"),
    ],
)
@pytest.mark.usefixtures("in_folder")
def test_what_cannot_be_imported_is_one_line(capsys, name, text, line):
    if text is not None:
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["import", name, "--out", "new.yaml"]) == 3
    said = capsys.readouterr()
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1
    assert not Path("new.yaml").exists()


@pytest.mark.usefixtures("in_folder")
def test_a_file_is_replaced_only_by_force(capsys):
    Path("table.csv").write_text("input\nWhy?\n")
    Path("new.yaml").write_text("mine")
    assert main(["import", "table.csv", "--out", "new.yaml"]) == 3
    assert capsys.readouterr().err == "new.yaml: is there already; pass --force to replace it\n"
    assert Path("new.yaml").read_text() == "mine"
    assert main(["import", "table.csv", "--out", "new.yaml", "--force"]) == 0
    assert "Why?" in Path("new.yaml").read_text()
