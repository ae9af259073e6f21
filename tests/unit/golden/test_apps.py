"""Texts of apps by HTTP: templates are filled by their values alone, and URLs are shown without secrets."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import AnswerError
from pytest_llmops.golden.apps import (
    CommandApp,
    HttpApp,
    fill,
    fill_url,
    find_app_mistakes,
    name_app,
    read_app,
    read_statuses,
    show_url,
)

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@given(JSON)
def test_a_template_alone_is_the_value(value: Any) -> None:
    assert fill({"a": ["{{ input }}", "{{input}}"]}, {"input": value}, {}) == {"a": [value, value]}


@given(TEXT, TEXT)
def test_a_value_is_not_filled_again(value: str, variable: str) -> None:
    filled = fill("<{{ input }}|${V}|{{ session }}>", {"input": value, "session": "s"}, {"V": variable})
    assert filled == f"<{value}|{variable}|s>"


@given(TEXT)
def test_a_value_stays_in_its_part_of_a_url(value: str) -> None:
    url = fill_url("http://h/a/{{ input }}/b?q={{ input }}&r=1", {"input": value}, {})
    parts = urlsplit(url)
    assert parts.netloc == "h"
    assert [unquote(step) for step in parts.path.split("/")] == ["", "a", value, "b"]
    assert unquote(parts.query) == f"q={value}&r=1"


@given(JSON)
def test_mistakes_are_found_in_any_value(value: Any) -> None:
    for app in (
        value,
        {"http": value},
        {"http": {"url": value, "body": value, "headers": value, "ok": value}},
    ):
        assert all(mistake for _, mistake in find_app_mistakes(app, {}))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("200-299", ((200, 299),)),
        (204, ((204, 204),)),
        ([200, "202 - 204"], ((200, 200), (202, 204))),
    ],
)
def test_statuses(written: Any, expected: Any) -> None:
    assert read_statuses(written) == expected


@pytest.mark.parametrize("written", ["", "2xx", 99, 600, "300-200", [], True, None, "200,201"])
def test_what_is_no_status(written: Any) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_statuses(written)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:pw@h:80/x?a=1&key=abc#f", "http://h:80/x?a=***&key=***"),
        ("https://h/chat", "https://h/chat"),
        ("http://h/x?a", "http://h/x?a=***"),
        ("http://[h/x", "***"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    assert show_url(url) == shown


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "http://shop.example/a-secret")
    assert name_app("shop:answer") == "shop:answer"
    assert name_app({"http": {"url": "${SHOP_URL}/chat?k=1"}}) == "${SHOP_URL}/chat?k=***"
    assert name_app({"http": {"url": "https://h:${PORT}/bot${KEY}"}}) == "https://h:${PORT}/bot${KEY}"
    assert name_app({"command": ["node", "a b.js"]}) == "command: node 'a b.js' (jsonl)"


def test_a_url_alone_is_an_app() -> None:
    assert read_app("http://h/x") == HttpApp(url="http://h/x")
    assert read_app({"command": ["a"], "protocol": "argv"}) == CommandApp(command=("a",), protocol="argv")


@pytest.mark.parametrize("template", ["{{ input.a }}", "{{ input.b.c }}"])
def test_a_part_that_the_input_lacks(template: str) -> None:
    with pytest.raises(AnswerError, match=r"the case's input (has no|is no mapping)"):
        fill(template, {"input": {"b": 1}}, {})


def test_a_variable_that_is_gone() -> None:
    with pytest.raises(AnswerError, match="GONE is not set any more"):
        fill("${GONE}", {}, {})
