"""Phrases are found as whole words or characters, whatever is around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.text.phrases import PlainText

SPACED = "abcdefghijklmnop\u0430\u0431\u0432\u0433\u03b1\u03b2\u03b3\u0627\u0628\u062a\u0915\u0916\u0917"
HAN = "\u9000\u6b3e\u4e0d\u63d0\u4f9b\u670d\u52a1\u6211\u4eec"
FORMS = ("**{}** {}", "<b>{}</b> {}", "{} *{}*", "`{}` {}", "{}\u00a0{}", "{}\u2011{}", "[{}](x) {}")
PARTICLES = ("", "은", "을", "이", "에서는", "까지도", "입니다", "으로부터", "이라고")
words = st.text(SPACED, min_size=2, max_size=8)


@given(words, words)
def test_no_phrase_is_found_inside_a_word(word, other):
    assert not PlainText(f"{other}{word}").contains(word) or word in {other, f"{other}{word}"}
    assert not PlainText(f"{word}{other}").contains(word)


@given(words, words, st.sampled_from(FORMS))
def test_markup_in_a_phrase_does_not_hide_it(one, other, form):
    assert PlainText(f"\u00bb {form.format(one, other)}.").contains(f"{one} {other}")


@given(st.text(HAN, max_size=5), st.text(HAN, min_size=1, max_size=5), st.text(HAN, max_size=5))
def test_a_phrase_is_found_anywhere_in_a_script_without_spaces(before, phrase, after):
    assert PlainText(before + phrase + after).contains(phrase)


@pytest.mark.parametrize("particle", PARTICLES)
def test_a_korean_phrase_has_its_particles(particle):
    assert PlainText(f"모든 환불{particle} 그렇다").contains("환불")


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("the cell | other", "cell other"),
        ("no - refund", "no refund"),
        ("4-6", "4 6"),
        ("5 m", "5 ms"),
        ("$x^2$", "x^3"),
    ],
)
def test_what_only_looks_alike_is_not_found(text, phrase):
    assert not PlainText(text).contains(phrase)


def test_a_phrase_with_marks_is_found_as_written():
    assert PlainText("use **kwargs and [1], see a|b").contains("**kwargs")
    assert PlainText("x[1] is first").contains("x[1]")
    assert not PlainText("no marks here").contains("**here")
