"""Pieces of a text that must not be shown: what a reason quotes may be cut through the middle of a secret."""

from __future__ import annotations

from collections.abc import Iterable

_LEAST = 4  # characters that are taken for a piece; what shorter pieces betray is little
_HIDDEN = "<…>"


def hide_fragments(text: str, values: Iterable[str]) -> str:
    """
    The text with `<…>` in place of whatever it shares with one of the values, whatever its case.

    A word of four letters that is in a value by chance is hidden too.
    """
    folded = text.casefold()
    if len(folded) != len(text):  # a letter that grows; places would not fit
        folded = text.lower() if len(text.lower()) == len(text) else text
    pieces = {
        value.casefold()[at : at + _LEAST]
        for value in values
        for at in range(len(value.casefold()) - _LEAST + 1)
    }
    hidden = [False] * len(text)
    for at in range(len(text) - _LEAST + 1):
        if folded[at : at + _LEAST] in pieces:
            hidden[at : at + _LEAST] = [True] * _LEAST
    shown: list[str] = []
    for at, char in enumerate(text):
        if not hidden[at]:
            shown.append(char)
        elif at == 0 or not hidden[at - 1]:
            shown.append(_HIDDEN)
    return "".join(shown)
