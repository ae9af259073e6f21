"""Bad golden files, and every word that is said of them; most stand in `mistakes.txt`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops import load_golden
from pytest_llmops.errors import GoldenError, Problem
from pytest_llmops.registry import known_metrics

# What cannot stand in a text file.
CASE_KEYS = (
    "id, input, turns, user, history, reference, relevant, state, expected, tags, live, repeats, group, "
    "description, metadata, skip, xfail, checks"
)
BYTES = [
    pytest.param(
        ".yaml",
        b"cases:\n\t- id: a\n",
        ["2: a tab stands here; YAML is indented with spaces only"],
        id="yaml, a tab",
    ),
    pytest.param(
        ".yaml",
        b"cases:\n- id: a\n\tinput: x\n",
        ["3: a tab stands here; YAML is indented with spaces only"],
        id="yaml, a tab further in",
    ),
    pytest.param(
        ".yaml",
        b"cases:\n- id: a\n  input: \xff\n",
        ["3: not UTF-8 text, by the byte 0xff; save the file as UTF-8"],
        id="yaml, not UTF-8",
    ),
    pytest.param(
        ".yaml",
        b"\xff\xfec\x00a\x00s\x00e\x00s\x00:\x00 \x00[\x00]\x00",
        ["1: not UTF-8 text, by the byte 0xff; save the file as UTF-8"],
        id="yaml, UTF-16",
    ),
    pytest.param(
        ".yaml",
        b"cases:\r\n- id: a\r\n  input: \x00\r\n",
        ["3: the control character U+0000 is not allowed in a file; write an escape"],
        id="yaml, NUL",
    ),
    pytest.param(
        ".yaml",
        b'cases:\r- id: a\r\n  input: "\xe2\x80\xa8 \xc2\x85 \xf0\x9f\x98\x80"\n  x: 1\n',
        [f"4: a: unknown key 'x'. Known keys: {CASE_KEYS}."],
        id="yaml, lines as editors count them",
    ),
    pytest.param(
        ".json",
        b'{"cases": [{"id": "a", "input": "h',
        ["1: case 1: not valid JSON: unterminated string: '\"'"],
        id="json, string never closed",
    ),
    pytest.param(
        ".jsonl",
        b'{"id": "a", "input": "\xe2\x80\xa8\xc2\x85"}\r\n{"id": "b"}',
        ["2: b: input is missing; every case needs one"],
        id="jsonl, line separators within a text",
    ),
]


def written_mistakes() -> Iterator[Any]:
    text = Path(__file__).with_name("mistakes.txt").read_text(encoding="utf-8")
    for part in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        file, _, said = rest.partition("~~~\n")
        yield pytest.param(f".{name.partition(',')[0]}", file.encode(), said.splitlines(), id=name)


@pytest.mark.parametrize(("suffix", "raw", "expected"), [*written_mistakes(), *BYTES])
def test_mistakes_are_told(tmp_path: Path, suffix: str, raw: bytes, expected: list[str]) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "answer.md").touch()
    path = tmp_path / f"shop{suffix}"
    path.write_bytes(raw)

    with pytest.raises(GoldenError) as caught:
        load_golden(path, root=tmp_path)

    # Another test in this process may have made metrics known.
    known = ", ".join(sorted(name.replace("@k", "@5").replace("^k", "^5") for name in known_metrics()))
    said = str(caught.value).replace(known, "KNOWN").splitlines()
    assert said == [f"shop{suffix}:{line}" for line in expected if line]
    assert all(line.isprintable() for line in said)


def test_problems_are_records_in_the_order_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("checks: {nope: true}\ncases:\n- id: a\n- id: a\n  input: x\nzzz: 1\n", encoding="utf-8")

    with pytest.raises(GoldenError) as caught:
        load_golden(path, root=tmp_path)

    problems = caught.value.problems
    places = [(problem.line, problem.case) for problem in problems]
    assert places == [(1, None), (3, "a"), (4, "a"), (6, None)]
    assert problems[1] == Problem(
        path="shop.yaml", line=3, case="a", message="input is missing; every case needs one"
    )


def test_very_many_problems_are_kept_and_the_first_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_text('{"question": "x", "id": 1, "input": "y"}\n' * 1000, encoding="utf-8")

    with pytest.raises(GoldenError) as caught:
        load_golden(path, root=tmp_path)

    lines = str(caught.value).splitlines()
    assert len(caught.value.problems) == 2000
    assert len(lines) == 201
    assert lines[-1] == "and 1,800 more problems"
