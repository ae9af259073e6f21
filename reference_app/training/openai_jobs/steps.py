"""The adapter's data as files of fine-tuning jobs, and how much training on them is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from reference_app.errors import AppError
from reference_app.training.examples.formats import read_chat, read_preferences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Method = Literal["supervised", "dpo"]

CHARACTERS_A_TOKEN = 3  # English has about 4; plans in JSON and ids have fewer
MIN_EXAMPLES = 10  # the API refuses fewer


class FineTuningError(AppError):
    """The data cannot be used, the endpoint refused, or a job did not end well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One job to be.

    Attributes:
        content: The file as it is uploaded.
        tokens: Seen in training over all epochs; an estimate on the high side.
    """

    method: Method
    content: bytes
    examples: int
    tokens: int
    hyperparameters: Mapping[str, int | float]

    @property
    def file_name(self) -> str:
        """Says what is in the file, so that the same data are uploaded once."""
        return f"fellwind-{self.method}-{hashlib.sha256(self.content).hexdigest()[:32]}.jsonl"


def read_step(method: Method, path: Path, hyperparameters: Mapping[str, int | float]) -> Step:
    """
    Raises:
        DataError: The file is missing, or a line of it is no example of the method; names the line.
        FineTuningError: There are fewer examples than the API takes.
    """
    try:
        examples = read_chat(path) if method == "supervised" else read_preferences(path)
    except RecursionError:
        raise FineTuningError(f"{path} has a line that is nested too deep.") from None
    if len(examples) < MIN_EXAMPLES:
        raise FineTuningError(f"{path} has {len(examples)} examples; the API takes {MIN_EXAMPLES} or more.")
    characters = sum(_count_characters(method, example) for example in examples)
    return Step(
        method=method,
        content=path.read_bytes(),
        examples=len(examples),
        tokens=characters * int(hyperparameters["n_epochs"]) // CHARACTERS_A_TOKEN,
        hyperparameters=hyperparameters,
    )


def _count_characters(method: Method, example: Mapping[str, Any]) -> int:
    def count(messages: Iterable[Mapping[str, str]]) -> int:
        return sum(len(message["content"]) for message in messages)

    if method == "supervised":
        return count(example["messages"])
    answers = count(example["preferred_output"]) + count(example["non_preferred_output"])
    return 2 * count(example["input"]["messages"]) + answers  # the question is read with either answer
