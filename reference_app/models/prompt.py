"""Versioned prompt files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_app.errors import PromptError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_PLACE = re.compile(r"\{(passage|question)\}")
MAX_SENTENCES = 5
_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """
    One prompt file.

    Attributes:
        version: Semantic version; a change of meaning raises the first or second number.
        kind: What it is for: planner, system …; nothing in the app depends on it.
        template: The system message.
        examples: Pairs of a question and the reply the model should give, in the file's order.
        shown: How many of the examples go with one question.
        sentences: How many sentences of a section an answer has, at most.
        turn: The user's message, with `{passage}` and `{question}`.
        turns: Earlier turns that show the model what to do: passage, question and answer.
        replies: Sentences the app says without asking the model, by their occasion.
        sha256: Of the file, as `prompts.lock` has it.
    """

    name: str
    version: str
    kind: str
    template: str
    examples: tuple[tuple[str, str], ...]
    shown: int
    sentences: int
    turn: str
    turns: tuple[Mapping[str, str], ...]
    replies: Mapping[str, str]
    sha256: str

    def fill(self) -> str:
        """The system message."""
        return self.template.strip()

    def fill_turn(self, values: Mapping[str, str]) -> str:
        """The user's message with `{passage}` and `{question}` replaced, in one pass over the file's text."""
        return _PLACE.sub(lambda place: values[place[1]], self.turn).strip()


def load_prompt(
    folder: Path, name: str, *, examples: Sequence[str] = (), replies: Sequence[str] = ()
) -> Prompt:
    """
    Read `NAME.yaml`.

    Args:
        folder: Holds the prompt files.
        name: Of the file, without its ending.
        examples: The labels that need an example, and no others may have one; empty where any may.
        replies: The occasions that need a reply.

    Raises:
        PromptError: The file is missing, is no YAML, or lacks something.
    """
    path = folder / f"{name}.yaml"
    raw, data = _read_mapping(path)
    for field in ("name", "version", "kind", "template"):
        if not isinstance(data.get(field), str) or not data[field].strip():
            raise PromptError(f"The prompt {path} has no text in {field!r}.")
    if not _VERSION.fullmatch(data["version"]):
        raise PromptError(f"The prompt {path} has version {data['version']!r}; expected one like 1.0.0.")
    given, shown, said = data.get("examples") or {}, data.get("shown", 0), data.get("replies") or {}
    sentences = data.get("sentences", 1)
    if (
        not _is_examples(given)
        or not all(given.get(label) for label in examples)
        or (examples and set(given) - set(examples))
    ):
        raise PromptError(
            f"The prompt {path} needs `examples` as `label: [question, …]` for {_names(examples)}."
        )
    if not isinstance(shown, int) or shown < 0:
        raise PromptError(f"The prompt {path} needs `shown` as a number of examples.")
    if not isinstance(sentences, int) or not 1 <= sentences <= MAX_SENTENCES:
        raise PromptError(f"The prompt {path} needs `sentences` as a number from 1 to {MAX_SENTENCES}.")
    if not isinstance(said, dict) or not all(isinstance(said.get(occasion), str) for occasion in replies):
        raise PromptError(f"The prompt {path} needs `replies` as `occasion: sentence` for {_names(replies)}.")
    return Prompt(
        name=data["name"],
        version=data["version"],
        kind=data["kind"],
        template=data["template"],
        examples=tuple((question, label) for label, questions in given.items() for question in questions),
        shown=shown,
        sentences=sentences,
        turn=str(data.get("turn") or "{passage}\n{question}"),
        turns=_read_turns(path, data.get("turns") or []),
        replies=said,
        sha256=hashlib.sha256(raw.replace(b"\r\n", b"\n")).hexdigest(),
    )


def _read_mapping(path: Path) -> tuple[bytes, dict[str, Any]]:
    import yaml

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        raw = path.read_bytes()
        data = yaml.load(raw.decode(), Loader=loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"The prompt {path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise PromptError(f"The prompt {path} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(data, dict):
        raise PromptError(f"The prompt {path} holds no mapping.")
    return raw, data


def _names(wanted: Sequence[str]) -> str:
    return ", ".join(wanted) or "nothing"


def _read_turns(path: Path, turns: object) -> tuple[Mapping[str, str], ...]:
    if not isinstance(turns, list) or not all(_is_turn(turn) for turn in turns):
        raise PromptError(f"The prompt {path} needs `turns` as a list of passage, question and answer.")
    return tuple(turns)


def _is_turn(turn: object) -> bool:
    if not isinstance(turn, dict) or set(turn) != {"passage", "question", "answer"}:
        return False
    return all(isinstance(text, str) for text in turn.values())


def _is_examples(examples: object) -> bool:
    return isinstance(examples, dict) and all(
        isinstance(label, str) and isinstance(questions, list) and all(isinstance(q, str) for q in questions)
        for label, questions in examples.items()
    )
