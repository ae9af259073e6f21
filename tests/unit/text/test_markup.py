"""Markup is taken off, and nothing else: what parts words stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.text.markup import read_plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a plain text, 2 * 3 = 6", "a plain text, 2 * 3 = 6"),
        ("**bold** *it* __b__ _i_ ~~s~~ `c` ***x***", "bold it b i s c x"),
        ("2*3*4 and 2**3 and a*b", "2*3*4 and 2**3 and a*b"),
        ("snake_case and __init__", "snake_case and init"),
        ("* item\n* other", "* item\n* other"),
        ("[text](https://x.example/a_(b) 'title') ![alt](i.png)", "text alt"),
        ("[text][1]\n\n[1]: https://x.example", "text\n\n"),
        ("array[1] and note[^a]", "array and note"),
        ("> quoted\n> text", "quoted\ntext"),
        ("```json\n{}\n```", "\n{}\n"),
        ("<b>no</b> re<wbr>fund", "no refund"),
        ("a < b and c > d, List<int>", "a < b and c > d, List<int>"),
        ("<p class='x'>a</p><p>b</p>", "\na\n\nb\n"),
        ("<td>no</td><td>refund</td>", " | no\n | refund\n"),
        ("x<!-- hidden --><style>b{}</style>y", "xy"),
        ("R&amp;D &lt;3 &#x9000; &nosuchthing;", "R&D <3 \u9000 &nosuchthing;"),
        (r"\textbf{\emph{60}}~days, \SI{500}{mg}, \frac{1}{2}", "60 days, 500 mg, 1/2"),
        (r"$60\ \text{days}$ for $5 and $6", "60 days for $5 and $6"),
        (r"\*\*no\*\* refund\.", "no refund."),
        (r"Sorry.\nNo refund, \theta stays", "Sorry.\nNo refund, \\theta stays"),
        (r"\u9000\u6b3e \ud83d\ude00", "\u9000\u6b3e \U0001f600"),
        (r"C:\data", r"C:\data"),
    ],
)
def test_the_text_that_a_reader_sees_is_left(text, plain):
    assert read_plain(text) == plain


@given(st.text(st.characters(exclude_characters="*_`~<&\\[$>"), max_size=60))
def test_a_text_without_marks_is_left_alone(text):
    assert read_plain(text) == text


@given(st.text("*_`~<>&\\[]()$#|{}ab1 \n;/!-", max_size=80))
def test_any_marks_can_be_read(text):
    assert len(read_plain(text)) <= 4 * len(text) + 4


@pytest.mark.parametrize(
    "piece",
    [
        "*", "_", "[", "<", "\\", "$", "&", "`", "~", "![", "<b ", "<!--", "[a](", "\\x{", "> ", "[^", "$a",
        "{\\bf ", "<b a=", "[[a", "\\frac{", "a_",
    ],
)  # fmt: skip
def test_hostile_texts_take_time_in_proportion_to_their_length(piece):
    started = time.process_time()
    read_plain(piece * 20_000)

    assert time.process_time() - started < 10
