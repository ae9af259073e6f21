"""Tables of cases: whatever a writer of CSV or JSON lines puts down is read back, with its line."""

from __future__ import annotations

import csv
import json
import tempfile
from contextlib import suppress
from io import StringIO
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import CaseTableError
from pytest_llmops.golden.tables import KINDS, digest_of_input, read_table

CELLS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"], include_characters="\n\t"), max_size=8
)
QUESTIONS = st.lists(CELLS.filter(lambda text: text.strip()), min_size=1, max_size=5, unique=True)


def read(kind: str, content: bytes, **columns: str):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        path.write_bytes(content)
        return read_table(kind, path, columns)


@given(QUESTIONS, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]))
def test_rows_of_csv_are_read_as_they_were_written(questions, delimiter, end):
    """A question may have line breaks, quotes and delimiters in it."""
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerow(["question", "answer"])
    lines = []
    for question in questions:
        lines.append(text.getvalue().count("\n") + 1)
        writer.writerow([question, "yes"])
    table = read("csv", text.getvalue().encode(), input="question", reference="answer")
    assert table.mistakes == []
    assert [row["input"] for row in table.rows] == questions
    assert [row["id"] for row in table.rows] == [digest_of_input(question) for question in questions]
    assert table.rows.lines == lines


@given(QUESTIONS)
def test_rows_of_json_lines_are_read_as_they_were_written(questions):
    rows = [{"input": question, "tags": ["a"]} for question in questions]
    table = read("jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    assert table.mistakes == []
    assert [row["input"] for row in table.rows] == questions
    assert table.rows.lines == list(range(1, len(questions) + 1))


@given(st.sampled_from(KINDS[:2]), st.binary(max_size=60))
def test_no_content_breaks_the_reader(kind, content):
    """Whatever is no table is a mistake, or an error that names the reason."""
    with suppress(CaseTableError):
        table = read(kind, content, input="input")
        assert table.rows or table.mistakes
