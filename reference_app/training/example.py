"""One example of the data, and the messages that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

APP = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Example:
    """
    One conversation and what is expected of it.

    Attributes:
        task: `unknown` where the material has no answer.
        kind: The calls of a plan, the section or the form of the facts of an answer.
        phrasing: The text it was made from; examples of one phrasing stay in one split.
        ids: What the answer must copy letter by letter.
        keys: Words of which a general answer must hold one.
        rejected: What the answer must not be like, in a preference pair.
    """

    task: Literal["plan", "document", "unknown", "facts", "general"]
    kind: str
    phrasing: str
    system: str
    user: str
    assistant: str
    ids: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    rejected: str = ""

    def messages(self, *, answered: bool = True) -> list[dict[str, str]]:
        """As the chat API takes them, with or without the assistant's."""
        turns = [{"role": "system", "content": self.system}, {"role": "user", "content": self.user}]
        return [*turns, {"role": "assistant", "content": self.assistant}] if answered else turns


def read_prompt(name: str) -> str:
    """The system message of a prompt of the adapter, which was trained with it letter by letter."""
    data = yaml.safe_load((APP / "prompts" / f"{name}.yaml").read_text(encoding="utf-8"))
    return str(data["template"]).strip()


def as_user(material: str, question: str) -> str:
    """The user's message to the answerer."""
    return f"{material}\nQuestion: {question}"
