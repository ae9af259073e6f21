"""One document, two writers: nothing of what a model, an app or a file wrote acts in either."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_llmops.printable import printable
from pytest_llmops.reports.document import Document, Fold, Notes, Table, write_markdown, write_terminal

TEXTS = st.text(max_size=40) | st.lists(
    st.sampled_from([
        "@ann", "a@b.co", " #1", "o/r#2", "https://x.example", "www.x.example", "<img src=x>", "</pre>",
        "</details>", "`", "|", "\n", "\n\n", "/close", "![i](http://y)", "[a](b)", "# h", "&lt;", "!12",
        "%3", "~~",
        "@@ann", "請問@ann", ":gift:", "$a$", "GH-1", "1. ", "     ", "<!--", "\\", "- ", "*b*", "_", " ",
    ]),
    max_size=8,
).map("".join)  # fmt: skip
DOCUMENTS = st.builds(
    lambda cells, items, title, outcome: Document(
        blocks=[
            Table(head=("case", "value"), rows=[cells], title=title),
            Notes(items=items, title=title, most=2),
            Fold(line=title, texts=[(title, item) for item in items]),
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
            Fold(line="a case", texts=[("now", "one\n/two & <three>"), ("before", "")]),
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
        "a case",
        "  now  one\\n/two & <three>",
        "  before  ",
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
        "",
        "<details><summary><code>a case</code></summary>",
        "",
        "<pre>",
        "  now        one\n             /two &amp; &lt;three&gt;",
        "  before     ",
        "</pre>",
        "",
        "</details>",
    ]


@given(DOCUMENTS)
def test_nothing_invisible_and_no_line_break_reaches_a_terminal(document: Document):
    assert all(line.isprintable() for line in write_terminal(document))


OWN = {
    "strong", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td",
    "details", "summary", "code", "pre", "wbr", "span",
}  # fmt: skip


class Page(HTMLParser):
    """The tags of a page, and its texts outside `code` and `pre`, where nothing is a mention or reference."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.texts, self.literal = set[str](), list[str](), 0
        self.feed(page)

    def handle_starttag(self, tag, _attributes):
        self.tags.add(tag)
        self.literal += tag in {"code", "pre"}

    def handle_endtag(self, tag):
        self.literal -= tag in {"code", "pre"}

    def handle_data(self, data):
        if not self.literal:
            self.texts.append(data)


@given(DOCUMENTS)
def test_no_text_is_markup_a_mention_a_reference_or_a_link(document: Document):
    page = Page(
        MarkdownIt("commonmark", {"html": True}).enable("table").render("\n".join(write_markdown(document)))
    )

    assert page.tags <= OWN
    assert page.literal == 0
    for text in page.texts:
        assert not re.search(r"@\w+\.|(?<!\w)@\w|[#!%]\d|GH-\d|:\w+:|://|www\.", text, re.ASCII)
        assert text.count("$") < 2 or text == "$"


@given(TEXTS)
def test_what_is_copied_is_what_was_written(text: str):
    (line,) = write_markdown(Document(blocks=[Notes(items=[text])]))
    page = Page(MarkdownIt("commonmark", {"html": True}).render(line))
    assert "".join(page.texts).split() == printable(text).split()
