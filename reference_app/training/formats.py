"""Reads files of OpenAI's fine-tuning formats; every complaint names the file and the line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROLES = ("system", "user", "assistant")
PREFERENCE_KEYS = ("input", "preferred_output", "non_preferred_output")
MAX_SHOWN = 20


class DataError(AppError):
    """A file of training data breaks its format."""


def read_chat(path: Path) -> list[dict[str, Any]]:
    """
    The conversations in a file of the chat format.

    Raises:
        DataError: A line breaks the format; the message lists the first 20 complaints.
    """
    return _read(path, _complain_of_chat)


def read_preferences(path: Path) -> list[dict[str, Any]]:
    """
    The pairs in a file of the preference format.

    Raises:
        DataError: As `read_chat`.
    """
    return _read(path, _complain_of_preference)


def check_files(folder: Path) -> None:
    """
    Check the files of the data in a folder.

    Raises:
        DataError: One of them is missing or breaks its format.
    """
    for name in ("sft-train", "sft-validation", "sft-test", "general-test"):
        read_chat(folder / f"{name}.jsonl")
    for name in ("dpo-train", "dpo-test"):
        read_preferences(folder / f"{name}.jsonl")


def _read(path: Path, complain: Callable[[Any], Iterator[str]]) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}.") from error
    examples: list[Any] = []
    complaints: list[str] = []
    seen: dict[str, int] = {}
    lines = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")
    for number, line in enumerate(lines, start=1):
        if line in seen:
            complaints.append(f"{path}:{number}: is the same as line {seen[line]}")
        seen.setdefault(line, number)
        try:
            examples.append(json.loads(line))
        except ValueError:
            complaints.append(f"{path}:{number}: is no JSON; expected one object a line")
            continue
        complaints += [f"{path}:{number}: {complaint}" for complaint in complain(examples[-1])]
    if not text.strip():
        complaints = [f"{path}:1: the file is empty"]
    if complaints:
        more = len(complaints) - MAX_SHOWN
        shown = [*complaints[:MAX_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        raise DataError("\n".join(shown) + ".")
    return examples


def _complain_of_chat(data: Any) -> Iterator[str]:
    if not isinstance(data, dict) or set(data) != {"messages"}:
        yield "expected an object with `messages` and nothing else"
        return
    yield from _complain_of_messages("messages", data["messages"], last="assistant")


def _complain_of_preference(data: Any) -> Iterator[str]:
    if not isinstance(data, dict) or set(data) != set(PREFERENCE_KEYS):
        yield f"expected an object with {', '.join(f'`{key}`' for key in PREFERENCE_KEYS)} and nothing else"
        return
    asked = data["input"]
    if not isinstance(asked, dict) or "messages" not in asked:
        yield "`input` needs `messages`"
    else:
        yield from _complain_of_messages("input.messages", asked["messages"], last="user")
    for key in PREFERENCE_KEYS[1:]:
        output = data[key]
        if not isinstance(output, list) or len(output) != 1:
            yield f"`{key}` needs exactly one message"
            continue
        yield from _complain_of_messages(key, output, last="assistant")
    if data["preferred_output"] == data["non_preferred_output"]:
        yield "both outputs are the same"


def _complain_of_messages(name: str, messages: Any, *, last: str) -> Iterator[str]:
    if not isinstance(messages, list) or not messages:
        yield f"`{name}` needs a list of messages"
        return
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            yield f"`{name}[{place}]` needs `role` and `content` and nothing else"
            return
        if message["role"] not in ROLES:
            role = str(message["role"])[:40]
            yield f"`{name}[{place}].role` is {role!r}; expected one of {', '.join(ROLES)}"
        if not isinstance(message["content"], str) or not message["content"].strip():
            yield f"`{name}[{place}].content` holds no text"
    if messages[-1].get("role") != last:
        yield f"the last of `{name}` is not the {last}'s"
