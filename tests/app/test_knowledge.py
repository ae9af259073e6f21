from __future__ import annotations

from pathlib import Path

import pytest

from reference_app.documents.knowledge import load_knowledge
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
    sections = load_knowledge(Path(__file__).parents[2] / "reference_app" / "knowledge")

    assert len({section.id.partition("#")[0] for section in sections}) >= 40
    assert len({section.id for section in sections}) == len(sections)
    assert {section.status for section in sections} == {"current", "superseded"}
