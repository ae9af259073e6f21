from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from reference_app.documents.knowledge import UNANSWERED, load_asked, load_knowledge
from reference_app.errors import KnowledgeError
from tests.app.shop import document


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text)
    return folder


def test_a_section_carries_what_its_document_says(tmp_path):
    (section,) = load_knowledge(write(tmp_path, tents=document(status="superseded")))

    assert section.id == "tents#weight"
    assert (section.title, section.heading, section.status) == ("Tents", "Weight", "superseded")
    assert section.text == "The Kestrel tent weighs 3.4 kg with its bag. It sleeps two people."
    assert section.updated == "2026-01-01"


def test_wrapped_lines_are_joined_and_deeper_headings_stay_in_the_section(tmp_path):
    text = document(text="One\ntwo.\n\n### Deeper\n\nThree. <!-- hidden\nnote -->")

    (section,) = load_knowledge(write(tmp_path, tents=text))

    assert section.text == "One two. ### Deeper Three."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no front matter", "tents.md:1: no front matter"),
        (document().replace("status: current\n", ""), "no 'status'"),
        (document(status="old"), "status 'old' is none of current, superseded"),
        (document(id="Tents!"), "id 'Tents!' may hold only"),
        (document().replace("2026-01-01", "soon"), "updated 'soon' is no day"),
        (document().replace("status", "bought_until: soon\nstatus"), "bought_until 'soon' is no day"),
        (document().replace("status", "bought_until: 2026-02-30\nstatus"), "bought_until '2026-02-30' is no"),
        (document().replace("status", "bought_until:\nstatus"), "bought_until '' is no day"),
        (document().replace("title: Tents", "title: Tents\ntitle: Again"), "tents.md:4: expected one"),
        (document().replace(" {#weight}", ""), "tents.md:9: the heading has no id"),
        (document(text=""), "section 'weight' is empty"),
        (
            document() + "\n## Weight again {#weight}\n\nMore.\n",
            "tents.md:13: section id 'weight' is used twice",
        ),
        (document().partition("## ")[0], "no section"),
    ],
)
def test_a_broken_document_is_named_with_its_line(tmp_path, text, said):
    write(tmp_path, tents=text)

    with pytest.raises(KnowledgeError) as raised:
        load_knowledge(tmp_path)

    assert said in str(raised.value)


def test_two_documents_may_not_share_an_id(tmp_path):
    write(tmp_path, a=document(), b=document())

    with pytest.raises(KnowledgeError, match=r"b\.md: id 'tents' is used by .*a\.md too"):
        load_knowledge(tmp_path)


@pytest.mark.parametrize("missing", ["", "nowhere"])
def test_a_folder_without_documents_is_an_error(tmp_path, missing):
    with pytest.raises(KnowledgeError, match="holds no document"):
        load_knowledge(tmp_path / missing)


def test_the_shop_s_own_documents_are_sound():
    sections = load_knowledge(Path(__file__).parents[3] / "reference_app" / "knowledge")

    assert len({section.id.partition("#")[0] for section in sections}) >= 40
    assert len({section.id for section in sections}) == len(sections)
    assert {section.status for section in sections} == {"current", "superseded"}


def test_until_when_a_rule_holds_stands_in_its_document(tmp_path):
    text = document(status="superseded").replace("updated", "bought_until: 2025-06-30\nupdated")

    (section,) = load_knowledge(write(tmp_path, tents=text))
    assert section.bought_until == dt.date(2025, 6, 30)


def test_questions_stand_under_the_section_that_answers_them(tmp_path):
    (tmp_path / "questions.yaml").write_text("tents#weight: [How heavy?]\nunanswered: [Who?]\n")

    asked = load_asked(tmp_path)
    assert (asked.answered, asked.unanswered) == ({"tents#weight": ["How heavy?"]}, ["Who?"])


def test_a_folder_needs_no_questions(tmp_path):
    asked = load_asked(tmp_path)
    assert (asked.answered, asked.unanswered) == ({}, ())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[", "cannot be read"),
        (b"a: \xff", "cannot be read"),
        (b"a: 2026-99-99", "cannot be read"),
        (b"", "holds no lists"),
        (b"[a]", "holds no lists"),
        (b"a: b", "holds no lists"),
        (b"a: [1]", "holds no lists"),
        (b"a: [' ']", "holds no lists"),
        (b"a: {b: c}", "holds no lists"),
    ],
)
def test_broken_questions_are_explained(tmp_path, content, said):
    (tmp_path / "questions.yaml").write_bytes(content)

    with pytest.raises(KnowledgeError, match=rf"questions\.yaml.* ?{said}"):
        load_asked(tmp_path)


def test_the_shop_s_own_questions_are_of_sections_that_there_are():
    folder = Path(__file__).parents[3] / "reference_app" / "knowledge"
    asked = load_asked(folder)

    ids = {section.id for section in load_knowledge(folder)}
    assert set(asked.answered) <= ids
    assert UNANSWERED not in asked.answered
    assert len(asked.unanswered) > 20
    texts = [text for texts in asked.answered.values() for text in texts] + list(asked.unanswered)
    assert len(texts) == len(set(texts))
