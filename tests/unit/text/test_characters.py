"""Characters are folded as they look."""

from __future__ import annotations

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.text.characters import fold, fold_script, fold_typography
from pytest_llmops.text.scripts import find_script


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("\uff52\uff45\uff46\uff55\uff4e\uff44 \u0666\u0660 \u096c\u0966", "refund 60 60"),
        ("re\u00adfund\u200b\ufe0f\u200f", "refund"),
        ("\u2018a\u2019 \u201cb\u201d c\u2011d \u2212 \u00bd", "'a' \"b\" c-d - 1/2"),
        ("Stra\u00dfe  CAFE\u0301", "strasse caf\u00e9"),
        ("\u0661\u066c\u0660\u0660\u0660\u066b\u0665 \u066a", "1,000.5 %"),
        ("\u0e17\u0e35\u0e48 \u0926\u0941", "\u0e17\u0e35\u0e48 \u0926\u0941"),
    ],
)  # fmt: skip
def test_a_text_is_folded(text, folded):
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u0643\u064e\u062a\u064e\u0628\u064e", "\u0643\u062a\u0628"),
        ("\u0627\u0633\u062a\u0640\u0640\u0631", "\u0627\u0633\u062a\u0631"),
        ("\u0435\u0449\u0451", "\u0435\u0449\u0435"),
        ("\u0130ADE", "iade"),
        (
            "\u03a7\u03a1\u0397\u039c\u0391\u03a4\u03a9\u039d",
            "\u03c7\u03c1\u03b7\u03bc\u03ac\u03c4\u03c9\u03bd",
        ),
    ],
)
def test_signs_that_writers_leave_out_do_not_count(one, other):
    assert fold_script(one) == fold_script(other)


_READ_OTHERWISE = "\u02bc\u0149" + "".join(
    filter(regex.compile(r"\p{Default_Ignorable_Code_Point}").match, map(chr, range(0x10000)))
)


@given(
    st.text(st.characters(max_codepoint=0xFFFF, categories=["L", "M"], exclude_characters=_READ_OTHERWISE))
)
def test_letters_are_folded_by_nfkc(text):
    assert fold_typography(text) == unicodedata.normalize("NFKC", text)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("How long? 60", "Latin"),
        ("\u9000\u6b3e\u671f\u9650\u662f iPhone", "Han"),
        ("\u8fd4\u91d1\u306f\u3067\u304d\u307e\u3059\u304b", "Japanese"),
        ("\ud658\ubd88 OK", "Hangul"),
        ("\u0441\u0440\u043e\u043a", "Cyrillic"),
        ("60 %", ""),
    ],
)
def test_the_script_of_most_letters_is_found(text, script):
    assert find_script(text) == script
