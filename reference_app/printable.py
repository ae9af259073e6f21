"""Text that a terminal may be given, whoever wrote it."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """The text with control characters written out, so that a model cannot command the terminal."""
    return "".join(
        character if character.isprintable() or character in keep else ascii(character)[1:-1]
        for character in text
    )
