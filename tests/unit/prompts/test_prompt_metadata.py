"""What a file says of itself is read as it was written; what cannot be read is told with its line."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.documents.values import MAX_DEPTH
from pytest_llmops.prompts.files import MetadataError, read_metadata

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NEAR_FRONT_MATTER = st.text(alphabet="-: \n\r\t{}[]&*<!|>'\"#%?a0\\\ufeff\u2028\x00", max_size=60)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
)


@given(values=st.dictionaries(st.text(max_size=8), VALUES, min_size=1), body=st.text(), crlf=st.booleans())
def test_front_matter_comes_back_whatever_the_text_below(values, body, crlf):
    front = yaml.safe_dump(values, allow_unicode=False)
    text = f"---\n{front}---\n{body}"
    text = text.replace("\n", "\r\n") if crlf else text

    assert read_metadata(text, is_yaml=False) == values
    assert read_metadata(text, is_yaml=True) == values


@given(text=st.text())
def test_a_text_without_a_first_fence_says_nothing(text):
    text = f"x{text}"
    assert read_metadata(text, is_yaml=False) == {}


@given(text=NEAR_FRONT_MATTER, before=st.sampled_from(["", "---\n"]), is_yaml=st.booleans())
def test_any_text_is_read_or_refused_in_our_words(text, before, is_yaml):
    text = before + text
    wrong = None
    try:
        read_metadata(text, is_yaml=is_yaml)
    except MetadataError as error:
        wrong = error
    assert wrong is None or str(wrong).isprintable()
    assert wrong is None or 0 <= wrong.line <= len(text) + 2


@pytest.mark.parametrize(
    ("text", "is_yaml", "values", "lines"),
    [
        ("name: a\n\nkind: tool\n", True, {"name": "a", "kind": "tool"}, {"name": 1, "kind": 3}),
        ("---\nname: a\n# x\nkind: b\n---\nHi", False, {"name": "a", "kind": "b"}, {"name": 2, "kind": 4}),
        ("---\nname: a\n---\ntemplate: {{ no yaml }}", True, {"name": "a"}, {"name": 2}),
        ("---\nname: a\n", True, {"name": "a"}, {"name": 2}),
        ("---\n\n---\nHi", False, {}, {}),
        ("Hi\n---\nname: a\n---\n", False, {}, {}),
        ("a: [1, 1.5, no, ~]", True, {"a": [1, 1.5, False, None]}, {"a": 1}),
        ("a: [2024-99-99, 0x1F, 1:30]", True, {"a": ["2024-99-99", "0x1F", "1:30"]}, {"a": 1}),
        ("a: &x [1]\nb: *x", True, {"a": [1], "b": [1]}, {"a": 1, "b": 2}),
    ],
)  # fmt: skip
def test_values_and_lines(text, is_yaml, values, lines):
    metadata = read_metadata(text, is_yaml=is_yaml)
    assert metadata == values
    assert metadata.lines == lines


@pytest.mark.parametrize(
    ("text", "is_yaml", "line", "said"),
    [
        ("---\nname: a\nHello", False, 1, "is never closed"),
        ("---\nname: a\nx: [\n---\n", False, 3, "not valid YAML"),
        ("---\nonly text\n---\n", False, 2, "holds no mapping"),
        ("", True, 1, "holds no mapping"),
        ("- role: system", True, 1, "holds no mapping"),
        ("name: a\nname: b", True, 2, "'name' is written twice; first on line 1"),
        ("a: &a {name: b}\n<<: *a", True, 2, "merge keys"),
        ("a: b\ntext: {{ question }}", True, 2, "goes in quotes"),
        ("a: *b", True, 1, "no anchor above names"),
        ("a: b\né: \x00", True, 2, "not valid YAML"),
        ("a: {b: 1, b: 2}", True, 1, "the key 'b' is written twice"),
        ("name: a\n---\nname: b\n---\n", True, 2, "a second document"),
        ("a: &a [*a]", True, 1, "stands inside the value that it repeats"),
        ("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH, True, 1, "nested more than 50 levels deep"),
        ("a:\n  " + "[" * 500, True, 2, "nested more than 50 levels deep"),
        ("a: " + "[" * 100_000, True, 1, "nest"),
        (BOMB, True, 5, "unfold to more than 100,000 values"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text, is_yaml, line, said):
    with pytest.raises(MetadataError, match=said) as caught:
        read_metadata(text, is_yaml=is_yaml)
    assert caught.value.line == line
