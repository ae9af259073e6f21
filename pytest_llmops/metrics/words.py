"""Texts made alike before they are compared, and words quoted for people."""

from __future__ import annotations

import unicodedata
from itertools import islice
from reprlib import Repr
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Typesetting that models vary at will and that NFKC leaves alone: quotes, hyphens, the minus sign.
_TYPESETTING = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b\u02bc\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201f\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", None),
    }
)
_QUOTED_AT_MOST = 5

_shortened = Repr()
_shortened.maxstring = 80


def fold(text: str) -> str:
    """NFKC, case, quotes, dashes and white space made alike; invisible characters dropped."""
    folded = unicodedata.normalize("NFKC", text.translate(_TYPESETTING)).translate(_TYPESETTING)
    return " ".join(folded.casefold().split())


def quote(texts: Iterable[str]) -> str:
    """The first few texts, quoted, shortened and with control characters escaped, for a reason's one line."""
    head = list(islice(texts, _QUOTED_AT_MOST + 1))
    shown = ", ".join(_shortened.repr(text) for text in head[:_QUOTED_AT_MOST])
    return f"{shown}, …" if len(head) > _QUOTED_AT_MOST else shown
