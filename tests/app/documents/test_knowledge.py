from __future__ import annotations

import pytest

from reference_app.documents.knowledge import load_knowledge
from reference_app.errors import KnowledgeError
from reference_app.settings import read_settings
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
        ("no front matter", "tents.md:1: the front matter"),
        (document().replace("status: current\n", ""), "no 'status'"),
        (document(status="old"), "status 'old' is none of current, superseded"),
        (document().replace(" {#weight}", ""), "tents.md:9: a section needs a heading, an id"),
        (document().replace("Weight {", "{"), "tents.md:9: a section needs a heading"),
        (document(text=""), "tents.md:9: a section needs"),
        (document() + "\n## Again {#weight}\n\nMore.\n", "id 'tents#weight' is used twice"),
        (document().partition("## ")[0], "no section"),
    ],
)
def test_a_broken_document_is_named_with_its_line(tmp_path, text, said):
    write(tmp_path, tents=text)

    with pytest.raises(KnowledgeError) as raised:
        load_knowledge(tmp_path)

    assert said in str(raised.value)


def test_two_documents_may_not_share_an_id(tmp_path):
    with pytest.raises(KnowledgeError, match=r"b\.md: the id 'tents#weight' is used twice"):
        load_knowledge(write(tmp_path, a=document(), b=document()))


@pytest.mark.parametrize("missing", ["", "nowhere"])
def test_a_folder_without_documents_is_an_error(tmp_path, missing):
    with pytest.raises(KnowledgeError, match="holds no document"):
        load_knowledge(tmp_path / missing)


def test_a_document_that_is_no_text_is_an_error(tmp_path):
    (tmp_path / "a.md").write_bytes(b"\xff")

    with pytest.raises(KnowledgeError, match=r"a\.md cannot be read"):
        load_knowledge(tmp_path)


def test_the_shop_s_own_documents_are_sound():
    sections = load_knowledge(read_settings({}).knowledge)

    assert len({section.id.partition("#")[0] for section in sections}) >= 40
    assert {section.status for section in sections} == {"current", "superseded"}
