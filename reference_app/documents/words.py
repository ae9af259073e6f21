"""Texts cut into sentences and words."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+-\d+|[^\W\d_]+|\d+(?:[.,:]\d+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+(?=[A-Z])")


def split_words(text: str) -> list[str]:
    """Stems of English words in lower case; numbers and codes such as `em-07` as they are."""
    import snowballstemmer

    stemmer = snowballstemmer.stemmer("english")  # one a call, because it keeps the word that it works on
    stems: list[str] = stemmer.stemWords(_WORD.findall(text.lower()))
    return stems


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, at least one, with single spaces."""
    return _SENTENCE_END.split(" ".join(text.split()))
