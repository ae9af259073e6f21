"""JSON values for property tests, hostile strings among them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

HOSTILE = [
    "", " ", "\n", "\n\n", " a\nb ", "a\n", "a\n\n\n", "\ta\nb", "a\r\nb", "a\n \n  b\n ", "# no comment\nx",
    "yes", "Null", "~", "1", "1.5", "1e5", "0x1F", "1_000", "12:30:45", "2024-01-01", "<<", "=", "!json 'x'",
    "- a", "a: b", "a #b", "{a}", "[a]", "*a", "&a", "%a", "@a", "`a", "---", "...\n---\n", "| x\n", "'", '"',
    "\\", "\x00\x07\x1b[31m", "\x7f\x85\u2028\u2029\ufeff", "\ud800", "a\nb\udfffc", "\u202eevil\u202c",
    "😀\n🏔️ ok\n",
    "\ufffe\uffff", "é" * 40, "x" * 5000, "x" * 3000 + "\n" + "y" * 3000, "key: |\n  text\n",
]  # fmt: skip


def texts() -> st.SearchStrategy[str]:
    anything = st.text(st.characters(exclude_categories=()), max_size=40)
    of_lines = st.text(st.sampled_from("ab \n\t:-#'\"|é😀\u2028\ud800"), max_size=30)
    return st.sampled_from(HOSTILE) | anything | of_lines


def json_values() -> st.SearchStrategy[Any]:
    numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False)
    leaves = st.none() | st.booleans() | numbers | texts()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(), inner, max_size=4),
        max_leaves=12,
    )


def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(texts(), json_values(), max_size=5)
