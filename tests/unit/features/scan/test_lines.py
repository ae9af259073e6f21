"""Lines and columns of findings."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.detect.finding import Finding
from pytest_llmops.detect.texts import walk
from pytest_llmops.features.scan.lines import add_lines

MAIL = "mira.holt@example.org"
FILES = {
    "text": ("a.txt", f"one\ntwo\r\nto {MAIL}", "", 11, (3, 4)),
    "separators": ("a.txt", f"one\u2028\x0b\nto {MAIL}", "", 9, (2, 4)),
    "json": ("a.json", f'{{"a": [1, {{"é ~/": 2,\n "to": "{MAIL}"}}]}}', "/a/1/to", 0, (2, 8)),
    "escaped key": ("a.json", f'{{"x": {{}}, "a~b/c":\n\t"{MAIL}"}}', "/a~0b~1c", 0, (2, 2)),
    "json in a text": ("a.json", '{"log":\n "{\\"to\\": \\"x\\"}"}', "/log/to", 0, (2, 2)),
    "lines": ("a.jsonl", f'{{}}\n{{"n": [0, "{MAIL}"]}}\n', "/1/n/1", 0, (2, 11)),
    "lines in any file": ("a.log", f'{{"a": 1}}\n{{"to": "{MAIL}"}}\n', "/1/to", 0, (2, 8)),
    "yaml": ("a.yaml", f"a: 1\nb:\n- c: x\n- to: {MAIL}\n", "/b/1/to", 0, (4, 3)),
    "masked key": ("a.json", f'{{"x": "{MAIL}"}}', "/<EMAIL_ADDRESS>", 0, (None, None)),
    "cut": ("a.json", f'{{"a": [1, "{MAIL}', "/a/1", 0, (1, 11)),
}


@pytest.mark.parametrize("row", FILES.values(), ids=FILES)
def test_a_finding_has_a_line_and_a_column(tmp_path, row):
    name, text, pointer, start, expected = row
    path = tmp_path / name
    path.write_bytes(text.encode())
    finding = Finding(kind="EMAIL_ADDRESS", start=start, end=start + 1, score=1, pointer=pointer)

    (found,) = add_lines(path, [finding])
    assert (found.line, found.column) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_the_place_of_a_pointer_holds_its_value(tmp_path_factory, value, indent, ascii_only):
    text = json.dumps({"a": value}, indent=indent, ensure_ascii=ascii_only)
    path = tmp_path_factory.mktemp("files") / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    lines = text.split("\n")
    for place in walk({"a": value}):
        if not isinstance(found := resolve({"a": value}, place.pointer), str):
            continue
        finding = Finding(kind="X", start=0, end=1, score=1, pointer=place.pointer)
        (located,) = add_lines(path, [finding])
        rest = lines[located.line - 1][located.column - 1 :]
        assert json.JSONDecoder().raw_decode(rest)[0] == found


def resolve(value, pointer):
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901 - one after the other
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list):
            value = value[int(token)]
        else:
            return None
    return value
