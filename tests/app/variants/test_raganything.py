"""What of the RAG-Anything variant needs no RAG-Anything: its content, its golden file, bad questions."""

from __future__ import annotations

import io
import json
import os

import pytest
import yaml

from reference_app.documents.knowledge import load_asked, load_knowledge
from reference_app.errors import KnowledgeError, QuestionError, SettingsError
from reference_app.settings import read_settings
from reference_app.tracing import as_messages
from reference_app.variants.lightrag import index
from reference_app.variants.lightrag.index import LightRAGError
from reference_app.variants.raganything import app
from reference_app.variants.raganything.__main__ import main
from reference_app.variants.raganything.content import CONTENT, load_items
from reference_app.variants.raganything.index import as_message, check_packages
from reference_app.variants.raganything.pictures import MAX_CHARACTERS, load_file, read_table
from tests.app.shop import ROOT
from tests.app.variants.test_lightrag import installed

GOLDEN = ROOT / "golden" / "multimodal.yaml"
TABLE = {"id": "a#table", "title": "A", "caption": "B", "header": ["Size", "hand"], "rows": [["S", "18 cm"]]}
EQUATION = {"id": "a#equation", "title": "A", "latex": "a = b", "text": "A is b."}


def write(folder, **lists):
    folder.joinpath("items.yaml").write_text(yaml.safe_dump(lists), encoding="utf-8")
    return folder


def test_the_content_has_each_kind_and_ids_of_its_own():
    sections = [one.id for one in load_knowledge(read_settings({}).knowledge)]
    items = load_items(taken=sections)

    kinds = [one.kind for one in items]
    assert all(kinds.count(kind) >= 5 for kind in ("table", "image", "equation"))
    assert load_asked(CONTENT).answered.keys() == {one.id for one in items}


def test_a_table_is_read_as_a_whole_and_by_row(tmp_path):
    table = {**TABLE, "rows": [["S", "18 cm"], ["M", "20 cm"]]}
    (item,) = load_items(write(tmp_path, tables=[table]))

    assert [part.text for part in item.parts] == [
        "S (hand 18 cm). M (hand 20 cm).",
        "S (hand 18 cm).",
        "M (hand 20 cm).",
    ]
    assert item.parts[2].entry["table_body"] == [["Size", "hand"], ["M", "20 cm"]]
    prompt = "| Size | hand |\n| M | 20 cm |"
    assert [part.is_asked_for(prompt) for part in item.parts] == [False, False, True]


def test_an_equation_is_described_by_its_text_and_formula(tmp_path):
    (item,) = load_items(write(tmp_path, equations=[EQUATION]))

    assert [part.text for part in item.parts] == ["A is b. Formula: a = b."]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({}, "has no table, picture or equation"),
        ({"videos": []}, "must contain lists under tables, images, equations"),
        ({"tables": ["x"]}, "'x' is no id like size-boots#table"),
        ({"tables": [{**TABLE, "id": "a/b#table"}]}, "'a/b#table' is no id"),
        ({"tables": [{**TABLE, "id": "a#image"}]}, "'a#image' is no id"),
        ({"tables": [TABLE, TABLE]}, "the id 'a#table' is used twice"),
        ({"tables": [{**TABLE, "id": "taken#table"}]}, "the id 'taken#table' is used twice"),
        ({"tables": [{**TABLE, "rows": []}]}, "a#table: 'rows' is missing or empty"),
        ({"tables": [{**TABLE, "rows": "S"}]}, "a#table: 'rows' is missing or empty"),
        ({"tables": [{**TABLE, "caption": " "}]}, "a#table: 'caption' is missing or empty"),
        ({"tables": [{**TABLE, "rows": [["S"]]}]}, "each row must have 2 cells of text"),
        ({"tables": [{**TABLE, "rows": [["S", 18]]}]}, "each row must have 2 cells of text"),
        ({"equations": [{**EQUATION, "latex": ""}]}, "a#equation: 'latex' is missing or empty"),
        (
            {"images": [{"id": "a#image", "title": "A", "caption": "B", "picture": "no.png"}]},
            r"a#image: there is no picture .*no\.png",
        ),
    ],
)
def test_content_that_cannot_be_indexed_is_refused(tmp_path, lists, message):
    with pytest.raises(KnowledgeError, match=rf"items\.yaml.*{message}"):
        load_items(write(tmp_path, **lists), taken=["taken#table"])


@pytest.mark.parametrize("text", [None, "tables: [", "\x00"])
def test_content_that_is_no_file_is_one_message(tmp_path, text):
    if text is not None:
        tmp_path.joinpath("items.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"items\.yaml cannot be read: .*\.$"):
        load_items(tmp_path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"thing,kg\nTent,2.1\n", "thing, kg. Tent, 2.1."),
        (b"\xef\xbb\xbfa, b \n\n", "a, b."),
        (b"1\n" * 5000, " ".join(["1."] * 20)),
        (b"x" * 5000, "x" * MAX_CHARACTERS),
    ],
    ids=["rows", "a byte order mark", "many rows", "one long cell"],
)
def test_of_a_table_the_first_rows_are_read(data, said):
    assert read_table(data, "a.csv") == said


@pytest.mark.parametrize(
    "data",
    [b"", b" \n , \n", b"\xff\xfe\x00", b"a\x00b", b'"' + b"x" * 200_000],
    ids=["empty", "blank", "UTF-16", "a null", "a huge cell"],
)
def test_what_is_no_table_is_named(data):
    with pytest.raises(QuestionError, match=r"a\.csv is no table that can be read \(CSV in UTF-8\)"):
        read_table(data, "a.csv")


@pytest.mark.parametrize("path", ["none.png", "", ".", "a\0b", None, 7, ["a.png"]])
def test_a_file_that_is_not_there_is_named(path):
    with pytest.raises(QuestionError, match=r"There is no picture "):
        load_file(path, "picture")


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(QuestionError, match=r"There is no picture .*pipe\.png"):
        load_file(str(tmp_path / "pipe.png"), "picture")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(20_000_001)
    with pytest.raises(QuestionError, match=r"The picture .*large\.png has more than 20 MB"):
        load_file(str(tmp_path / "large.png"), "picture")


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("", "The question is empty"),
        ({}, "The question is empty"),
        ({"text": " "}, "The question is empty"),
        ({"text": None}, "The question is empty"),
        (["a"], "The question is empty"),
        ("x" * 2001, "at most 2000"),
        ({"question": "How?"}, "A question has no 'question'; it has `text`, `image` and `table`"),
        ({"text": "How?", 7: ""}, "A question has no '7'"),
        ({"text": "How?", "image": "none.png"}, r"There is no picture 'none\.png'"),
        ({"text": "How?", "table": "none.csv"}, r"There is no table 'none\.csv'"),
    ],
)
def test_what_is_no_question_is_one_message(question, message):
    with pytest.raises(QuestionError, match=message):
        app.RAGAnythingApp._read_question(object.__new__(app.RAGAnythingApp), question)


def test_the_rows_of_a_table_become_part_of_the_question():
    question = {"text": "Which gloves?", "table": str(ROOT / "golden/multimodal/hands.csv")}
    read = app.RAGAnythingApp._read_question(object.__new__(app.RAGAnythingApp), question)

    assert read.startswith("Which gloves? name, hand around the palm in cm. Judith, 18.5.")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "lightrag-hku is not installed; run `make variant NAME=raganything`"),
        ("1.5.7", r"lightrag-hku 1\.5\.7 is installed, and 1\.4\.x is needed"),
        ("1.40.0", r"lightrag-hku 1\.40\.0 is installed, and 1\.4\.x is needed"),
    ],
)
def test_another_package_is_named(monkeypatch, found, message):
    installed(monkeypatch, found)

    with pytest.raises(LightRAGError, match=message):
        check_packages()


def test_each_package_is_looked_at(monkeypatch):
    found = {"lightrag-hku": "1.4.16", "raganything": "1.4.3", "rapidocr-onnxruntime": "1.4.4"}
    monkeypatch.setattr(index, "version", found.__getitem__)
    assert check_packages() == "1.4.16 1.4.3 1.4.4"

    for name in found:
        monkeypatch.setattr(index, "version", {**found, name: "9.0.0"}.__getitem__)
        with pytest.raises(LightRAGError, match=rf"{name} 9\.0\.0 is installed"):
            check_packages()


@pytest.mark.parametrize("reader", ["eyes", "model"])
def test_an_unknown_reader_lists_those_that_are_known(reader):
    with pytest.raises(SettingsError, match="must be one of ocr, model, and model needs OPENAI_BASE_URL"):
        app.RAGAnythingApp(read_settings({}), "mix", "app", reader, extract=False, rebuild=False)


def test_the_command_says_what_is_missing_in_one_line(monkeypatch, capsys):
    installed(monkeypatch, None)

    assert main(["How long?"]) == 1
    assert capsys.readouterr().err == "lightrag-hku is not installed; run `make variant NAME=raganything`.\n"


@pytest.mark.parametrize(("start", "kind"), [("iVBORw0", "png"), ("/9j/4AA", "jpeg"), ("UklGRg", "webp")])
def test_a_picture_is_sent_as_a_data_url_and_not_traced(start, kind):
    message = as_message("What is this?", start)

    assert message["content"][1]["image_url"]["url"] == f"data:image/{kind};base64,{start}"
    (traced,) = as_messages([message])
    assert traced["parts"] == [{"type": "text", "content": "What is this?"}, {"type": "image_url"}]
    assert start not in json.dumps(traced)


def test_the_golden_file_has_enough_cases_of_each_kind():
    cases = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))["cases"]
    tags = [tag for case in cases for tag in case["tags"]]

    assert all(tags.count(kind) >= 12 for kind in ("text", "table", "image", "equation"))
    assert tags.count("photo") >= 4
    assert tags.count("sheet") >= 2
    files = [case["input"].get("image") or case["input"]["table"] for case in cases if _has_file(case)]
    assert len(files) >= 6
    assert all(ROOT.joinpath(file).is_file() for file in files)


def _has_file(case):
    return isinstance(case["input"], dict)


def test_no_case_was_copied_to_the_known_questions():
    """Else recall would be that of the question, and not of its answer."""
    cases = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))["cases"]
    asked = {text.lower() for texts in load_asked(CONTENT).answered.values() for text in texts}
    words = [case["input"]["text"] if isinstance(case["input"], dict) else case["input"] for case in cases]

    assert not {text.lower() for text in words} & asked


def test_the_pictures_are_small():
    for folder in (CONTENT, ROOT / "golden" / "multimodal"):
        for path in folder.glob("*.png"):
            data = path.read_bytes()
            assert len(data) < 60_000, path
            assert io.BytesIO(data).read(4) == b"\x89PNG"
