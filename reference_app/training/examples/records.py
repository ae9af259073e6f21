"""What the data consist of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Task = Literal["plan", "document", "unknown", "facts", "general"]
Split = Literal["train", "validation", "test"]
UNKNOWN = "I could not find that in our documents."


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """
    One conversation and what is expected of it.

    Attributes:
        phrasing: The text it was made from; examples of one phrasing stay in one split.
        kind: The intent of a plan, the section or the facts' form of an answer.
        ids: What an answer must copy letter by letter.
    """

    task: Task
    kind: str
    phrasing: str
    system: str
    user: str
    assistant: str
    ids: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def messages(self, *, answered: bool = True) -> list[dict[str, str]]:
        """As the chat API takes them, with or without the assistant's."""
        turns = [{"role": "system", "content": self.system}, {"role": "user", "content": self.user}]
        return [*turns, {"role": "assistant", "content": self.assistant}] if answered else turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One question with the answer the shop gives and one that it must not give."""

    phrasing: str
    system: str
    user: str
    preferred: str
    rejected: str

    def as_preference(self) -> Mapping[str, Any]:
        """A line of OpenAI's preference format."""
        turns = [{"role": "system", "content": self.system}, {"role": "user", "content": self.user}]
        return {
            "input": {"messages": turns},
            "preferred_output": [{"role": "assistant", "content": self.preferred}],
            "non_preferred_output": [{"role": "assistant", "content": self.rejected}],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Everything that is written to `data/`."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    general: tuple[Example, ...] = field(default=())
    pairs_train: tuple[Pair, ...] = ()
    pairs_test: tuple[Pair, ...] = ()
