"""The questions that adapter and base are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.training.examples.corpus import DATA, read_lines

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One line of the test split.

    Attributes:
        task: `plan document unknown facts general`.
        kind: Intent, section or form of facts.
        ids: What the answer must copy.
        keys: Words of which a general answer must hold one.
    """

    messages: tuple[dict[str, str], ...]
    expected: str
    task: str
    kind: str
    ids: tuple[str, ...]
    keys: tuple[str, ...]


def load_cases(data: Path = DATA) -> list[Case]:
    """The test split and the general questions."""
    lines = [*read_lines(data / "sft-test.jsonl"), *read_lines(data / "general-test.jsonl")]
    return [
        Case(
            messages=tuple(line["messages"][:-1]),
            expected=line["messages"][-1]["content"],
            task=wanted["task"],
            kind=wanted["kind"],
            ids=tuple(wanted["ids"]),
            keys=tuple(wanted["keys"]),
        )
        for line, wanted in zip(lines, read_lines(data / "expected-test.jsonl"), strict=True)
    ]
