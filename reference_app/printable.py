"""Text that a terminal may be given, whoever wrote it."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 token`, `2 tokens`; `plural` where it is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def printable(text: str, keep: str = "") -> str:
    """The text with control characters written out, so that a model cannot command the terminal."""
    return "".join(
        character if character.isprintable() or character in keep else ascii(character)[1:-1]
        for character in text
    )
