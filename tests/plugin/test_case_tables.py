"""`cases: {csv: …}`: golden cases that are the rows of a table."""

from __future__ import annotations

import json

import pytest

from pytest_llmops import Golden, load_golden, run_golden
from pytest_llmops.errors import GoldenError
from tests.plugin.test_merge_base import repository  # noqa: F401 - the fixture

GOLDEN = """
    app: capitals:answer
    checks: {rouge_l: ">= 0.5"}
    cases: {csv: tables/questions.csv, columns: {input: question, reference: answer}}
"""
TABLE = "question,answer,tags,id\n{}"
ROWS = 'capital of France?,Paris,north;west,france\n"capital of Spain?","Madrid",,\n'


def tabulate(project, rows=ROWS, golden=GOLDEN, name="golden/tables/questions.csv", head=TABLE):
    project.golden(golden)
    return project.write(name, head.format(rows))


def test_rows_are_cases(project):
    tabulate(project)
    result = project.run_here("-v", "--llm-out", "run.json")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["golden/capitals.yaml::france PASSED*", "golden/capitals.yaml::???????????? PASSED*"]
    )
    golden = load_golden("golden/capitals.yaml", root=project.path)
    france, spain = golden.cases
    assert (france.id, france.tags, france.reference) == ("france", ("north", "west"), "Paris")
    assert (spain.source.path, spain.source.line) == ("golden/tables/questions.csv", 3)


def test_a_red_case_is_shown_at_its_row(project):
    tabulate(project, 'capital of France?,Paris,,a\n\n"capital of Italy?","not\nthis",,b\n')
    result = project.run_here("-rf", "--junitxml", "junit.xml", "-o", "junit_family=xunit1")
    result.stdout.fnmatch_lines(["golden/tables/questions.csv:4: b"])
    assert 'file="golden/tables/questions.csv" line="3"' in (project.path / "junit.xml").read_text()  # from 0


def test_an_id_by_the_input_does_not_move_with_its_row(project):
    tabulate(project, "capital of Spain?,Madrid,,\n")
    (before,) = load_golden("golden/capitals.yaml", root=project.path).cases
    tabulate(project, "capital of France?,Paris,,\ncapital of Spain?,Lisbon,,\n")
    assert load_golden("golden/capitals.yaml", root=project.path).cases[1].id == before.id


@pytest.mark.parametrize(
    ("rows", "messages"),
    [
        ("q,a,,x\nother,b,,x\n", ["questions.csv:3: x: the id 'x' is used twice; first on line 2"]),
        ("q,a,,x\nq,b,,y\n", ["questions.csv:3: y: the input is that of row 2; a question is one case"]),
        ("q,a,,\nq,b,,\n", ["questions.csv:3: row-3: the input is that of row 2; a question is one case"]),
        (",a,,x\n", ["questions.csv:2: x: input is missing; every case needs one"]),
        ("q,,,x\n", ["questions.csv:2: x: rouge_l, a check of every case, needs a reference, *"]),
        ("q,a,one two,x\n", ["questions.csv:2: x: item 1 of tags must be a word without space*"]),
        ("q,a,,a/b\n", ["questions.csv:2: case 1: the id 'a/b' holds /; *"]),
        ("q,a,x\n", ["questions.csv:2: the row has 3 cells, and the header 4"]),
        ('q,"a,,x\n', ["questions.csv:2: no CSV from here on: unexpected end of data"]),
        ("", ["capitals.yaml:4: csv: 'tables/questions.csv': has no row; every row is a case"]),
        ("\x00", ["questions.csv:2: the control character U+0000 is not allowed*"]),
    ],
)
def test_a_wrong_row_is_named(project, rows, messages):
    tabulate(project, rows)
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    shown = [line.removeprefix("ERROR: ") for line in result.errlines if line.strip()]
    assert len(shown) == len(messages)
    result.stderr.fnmatch_lines([f"*golden/*{message}" for message in messages])


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        (
            "csv: tables/question.csv",
            "csv: 'tables/question.csv': no such file*Did you mean 'questions.csv'?",
        ),
        ("csv: ../../x.csv", "csv: '../../x.csv' leads out of the project"),
        ("csv: /etc/passwd", "csv: '/etc/passwd' leads out of the project"),
        ("csv: a.csv, jsonl: b.jsonl", "csv: cases must name one table: csv, jsonl or parquet"),
        ("columns: {input: question}", "cases must name one table: csv, jsonl or parquet"),
        ("csv: tables/questions.csv", "csv: *: there is no column 'input'; name the one of the question*"),
        (
            "csv: tables/questions.csv, columns: {input: questoin}",
            "csv: *: there is no column 'questoin' for input. Did you mean 'question'? Columns: *",
        ),
        (
            "csv: tables/questions.csv, columns: {inptu: question}",
            "unknown key 'inptu'. Did you mean 'input'?*",
        ),
        ("cvs: tables/questions.csv", "unknown key 'cvs'. Did you mean 'csv'?*"),
        ("csv: 3", "cases: csv must be text, not the number 3*"),
    ],
)
def test_a_wrong_table_is_named_in_the_golden_file(project, cases, message):
    tabulate(project, golden=f"app: capitals:answer\nchecks: {{rouge_l: '>= 0.5'}}\ncases: {{{cases}}}\n")
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*golden/capitals.yaml:3: {message}"])


def test_json_lines_have_any_input(project):
    rows = [
        {"q": {"text": "hi", "user": "ann"}, "a": "hi", "passages": ["p1"], "nr": 7},
        {"q": "capital of Spain?", "a": None, "passages": None, "nr": 8},
    ]
    project.write("golden/rows.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    project.golden(
        "app: capitals:answer\nchecks: {keywords: {all: [hi]}}\n"
        "cases: {jsonl: rows.jsonl, columns: {input: q, reference: a, relevant: passages, id: nr}}\n"
    )
    first, second = load_golden("golden/capitals.yaml", root=project.path).cases
    assert (first.id, first.input, first.relevant) == ("7", {"text": "hi", "user": "ann"}, ("p1",))
    assert (second.reference, second.relevant) == (None, ())


def test_a_broken_line_of_json_is_named(project):
    project.write("golden/rows.jsonl", '{"input": "a"}\n[1]\n{"input": \n')
    project.golden("app: capitals:answer\nchecks: {keywords: {all: [hi]}}\ncases: {jsonl: rows.jsonl}\n")
    result = project.run_here()
    result.stderr.fnmatch_lines(
        [
            "*rows.jsonl:2: a row must be a mapping of column to value",
            "*rows.jsonl:3: not valid JSON: expecting value*",
        ]
    )


def test_semicolons_and_a_byte_order_mark_are_read(project):
    tabulate(
        project,
        name="golden/tables/questions.csv",
        head="{}",
        rows="\ufeffquestion;answer\ncapital of Spain?;Madrid\n",
    )
    project.run_here().assert_outcomes(passed=1)


def test_parquet_is_read(project):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    table = pa.table({"question": ["capital of Spain?"], "answer": ["Madrid"], "tags": [["a", "b"]]})
    parquet.write_table(table, project.path / "golden" / "rows.parquet")
    project.golden(GOLDEN.replace("csv: tables/questions.csv", "parquet: rows.parquet"))
    project.run_here().assert_outcomes(passed=1)
    assert load_golden("golden/capitals.yaml", root=project.path).cases[0].tags == ("a", "b")


def test_parquet_without_its_library_is_one_line(project, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    project.write("golden/rows.parquet", "PAR1")
    project.golden(GOLDEN.replace("csv: tables/questions.csv", "parquet: rows.parquet"))
    result = project.run_here()
    result.stderr.fnmatch_lines(['*capitals.yaml:4: parquet: *pip install "pytest-llmops[[]parquet[]]"'])


def test_the_table_stamps_the_golden_set(project):
    path = tabulate(project)
    before = load_golden("golden/capitals.yaml", root=project.path)
    path.write_text(path.read_text() + "capital of Italy?,Rome,,\n")
    assert load_golden("golden/capitals.yaml", root=project.path).sha256 != before.sha256


def test_rows_are_compared_with_the_merge_base(repository):  # noqa: F811
    """A row that left the table, or whose reference changed, is a loosening as in a golden file."""
    rows = "question,answer\n" + "".join(f"question {number},good\n" for number in range(4))
    repository.git("switch", "--quiet", "main")
    (repository.path / "golden" / "rows.csv").write_text(rows)
    (repository.path / "golden" / "table.yaml").write_text(
        "app: capitals:answer\nchecks: {rouge_l: '>= 0.5'}\n"
        "cases: {csv: rows.csv, columns: {input: question, reference: answer}}\n"
    )
    repository.commit("a table")
    repository.varying.ask("--llm-accept", "--llm-repeats", "2")
    repository.commit("its baseline")
    repository.git("switch", "--quiet", "--create", "rows")
    repository.change("question 3,good\n", "", "golden/rows.csv")
    result = repository.ask()
    assert [item.rpartition(": ")[2] for item in repository.listed(result)] == ["the case was removed"]
    repository.change("question 2,good\n", "question 2,good\nquestion 3,bad\n", "golden/rows.csv")
    (item,) = repository.listed(repository.ask())
    assert item.startswith("golden/rows.csv:5: ")
    assert item.endswith("reference changed")


def test_records_of_a_program_are_a_golden_set(project, monkeypatch):
    monkeypatch.chdir(project.path)
    records = ({"question": f"question {number}", "answer": "good", "row": number} for number in range(3))
    golden = Golden.from_records(
        records,
        columns={"input": "question", "reference": "answer", "id": "row"},
        checks={"rouge_l": ">= 0.5"},
        suite={"rouge_l": {"mean": ">= 0.9"}},
        app="capitals:answer",
    )
    assert [case.id for case in golden.cases] == ["0", "1", "2"]
    run = run_golden(golden, lambda question: "good" if question != "question 1" else "bad")
    assert [score.value for result in run.results for score in result.scores] == [1.0, 0.0, 1.0]
    assert [result.case for result in run.results] == ["records::0", "records::1", "records::2"]


class Frame:
    """A data frame as pandas has it, with what it puts into empty cells."""

    columns = ("input", "reference")

    def to_dict(self, orient):
        assert orient == "records"
        return [{"input": "a", "reference": float("nan")}, {"input": "b", "reference": "c"}]


def test_data_frames_are_read(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    golden = Golden.from_records(Frame(), checks={"keywords": {"all": ["a"]}})
    assert [(case.input, case.reference) for case in golden.cases] == [("a", None), ("b", "c")]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"input": ["a", "b"], "id": [1, 2], "tags": [["x"], None]})
    golden = Golden.from_records(frame, checks={"keywords": {"all": ("a",)}})
    assert [(case.id, case.tags) for case in golden.cases] == [("1", ("x",)), ("2", ())]


@pytest.mark.parametrize(
    ("records", "words", "message"),
    [
        (
            [{"input": "a"}, {"input": "a"}],
            {},
            "records:2: row-2: the input is that of row 1; a question is one case",
        ),
        ([{"input": "a"}], {"checks": {"keyword": True}}, "records: no metric is named 'keyword'*"),
        (
            [{"input": "a"}],
            {"checks": {"rouge_l": ">= 0.5"}},
            "records:1: *: rouge_l, a check of every case, needs*",
        ),
        ([{"input": 3}], {}, "records:1: *: input must be text, a mapping or a list*"),
        ([{"input": {"at": object()}}], {}, "records:1: *: input is no JSON value: *"),
        ([{"question": "a"}], {}, "records: there is no column 'input'*"),
        ([{"question": "a"}], {"columns": {"input": "q"}}, "records: there is no column 'q' for input.*"),
        ([], {}, "records: there is no record*"),
        (["a"], {}, "records: record 1 must be a mapping, not a str"),
        ({"train": []}, {}, "records: records must be rows, not a mapping of 'train': choose one"),
        ("a", {}, "records: records must be an iterable of mappings, not str"),
        (7, {}, "records: records must be an iterable of mappings, not int"),
        ([{"input": "a"}], {"app": print}, "records: app: a callable is passed to run_golden*"),
        ([{"input": "a"}], {"app": "x"}, "records: app must be module:attribute*"),
    ],
)
def test_wrong_records_are_named(monkeypatch, tmp_path, records, words, message):
    monkeypatch.chdir(tmp_path)
    words = {"checks": {"keywords": {"all": ["a"]}}, **words}
    with pytest.raises(GoldenError) as raised:
        Golden.from_records(records, **words)
    pytest.LineMatcher(str(raised.value).splitlines()).fnmatch_lines([message])
