"""One document, two writers: nothing of what a model, an app or a file wrote acts in either."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.reports.document import Document, Notes, Table, write_markdown, write_terminal

TEXTS = st.text(max_size=40)
DOCUMENTS = st.builds(
    lambda cells, items, title, outcome: Document(
        blocks=[
            Table(head=("case", "value"), rows=[cells], title=title),
            Notes(items=items, title=title, most=2),
        ],
        outcome=outcome,
    ),
    st.tuples(TEXTS, TEXTS),
    st.lists(TEXTS, max_size=4),
    TEXTS,
    TEXTS,
)


def test_a_document_in_both_writings():
    document = Document(
        blocks=[
            Table(head=("case", "value"), rows=[("golden/a.yaml::x", "1"), ("b", "")]),
            Notes(title="missing", items=["one", "two", "three"], most=2),
            Notes(items=["worse"], details=["  of recall@5"]),
        ],
        outcome="regressed: 1",
    )

    assert write_terminal(document) == [
        "case              value",
        "golden/a.yaml::x  1",
        "b",
        "",
        "missing: 3",
        "  one",
        "  two",
        "  and 1 more",
        "",
        "worse",
        "  of recall@5",
        "",
        "regressed: 1",
    ]
    assert write_markdown(document) == [
        "**regressed: 1**",
        "",
        "| case | value |",
        "| --- | --- |",
        "| golden/a.yaml::x | 1 |",
        "| b |   |",
        "",
        "- missing: one",
        "- missing: two",
        "- missing: and 1 more",
        "",
        "- worse",
    ]


@given(DOCUMENTS)
def test_nothing_invisible_and_no_line_break_reaches_a_terminal(document: Document):
    assert all(line.isprintable() for line in write_terminal(document))


@given(TEXTS)
def test_no_text_is_markup(text: str):
    (line,) = write_markdown(Document(blocks=[Notes(items=[text])]))
    assert line.isprintable()
    assert "<" not in line
    assert all(line[at - 1] == "\\" for at, char in enumerate(line) if char in "`*_[]|~@" and at > 0)
