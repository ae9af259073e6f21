"""
Versioned prompt files, `prompts/NAME.yaml`, whose state `prompts.lock` holds.

    name: planner
    version: 3.0.0
    kind: planner
    template: The system message.
    turns: [{role: user, content: Where is FW-10427?}, {role: assistant, content: "…"}]
    replies: {pending: Please confirm first.}
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_app.errors import PromptError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
_TEXTS = ("name", "version", "kind", "template")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """
    One prompt file.

    Attributes:
        version: Semantic version; a change of meaning raises the first or second number.
        kind: Its use: planner, system …; nothing in the app depends on it.
        template: The system message.
        turns: Messages that show the model how to reply, each `{"role": …, "content": …}`.
        replies: Sentences that the app says without asking the model, by their occasion.
        sha256: Of the file, as in `prompts.lock`.
    """

    name: str
    version: str
    kind: str
    template: str
    turns: tuple[dict[str, str], ...]
    replies: Mapping[str, str]
    sha256: str

    def messages(self, *texts: str) -> list[dict[str, str]]:
        """The system message, the turns, and the texts as messages of the user and the model in turn."""
        roles = ("user", "assistant")
        asked = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]
        return [{"role": "system", "content": self.template}, *self.turns, *asked]


def load_prompt(folder: Path, name: str, *, replies: Sequence[str] = ()) -> Prompt:
    """
    Read `NAME.yaml`.

    Args:
        folder: Holds the prompt files.
        name: Of the file, without its ending.
        replies: The occasions that need a reply.

    Raises:
        PromptError: The file cannot be read, lacks a field or has an unknown one.
    """
    path = folder / f"{name}.yaml"
    raw, data = _read_mapping(path)
    turns, texts = data.get("turns") or [], data.get("replies") or {}
    if unknown := set(data) - {*_TEXTS, "turns", "replies"}:
        raise PromptError(f"The prompt {path} has the unknown field {min(map(str, unknown))!r}.")
    for field in _TEXTS:
        if not isinstance(data.get(field), str) or not data[field].strip():
            raise PromptError(f"The prompt {path} has no text in {field!r}.")
    if not _VERSION.fullmatch(data["version"]):
        raise PromptError(f"The prompt {path} has version {data['version']!r}; expected one like 1.0.0.")
    if not isinstance(turns, list) or not all(map(_is_message, turns)):
        raise PromptError(
            f"The prompt {path} needs `turns` as messages of role (user, assistant) and content."
        )
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise PromptError(f"The prompt {path} needs `replies` as `occasion: sentence`.")
    if missing := [occasion for occasion in replies if occasion not in texts]:
        raise PromptError(f"The prompt {path} has no reply for {', '.join(missing)}.")
    return Prompt(
        **{field: data[field].strip() for field in _TEXTS},
        turns=tuple(turns),
        replies=texts,
        sha256=hashlib.sha256(raw.replace(b"\r\n", b"\n")).hexdigest(),
    )


def _is_message(turn: object) -> bool:
    known = isinstance(turn, dict) and set(turn) == {"role", "content"} and isinstance(turn["content"], str)
    return known and turn["role"] in {"user", "assistant"}  # type: ignore[index]


def _read_mapping(path: Path) -> tuple[bytes, dict[str, Any]]:
    import yaml

    try:
        raw = path.read_bytes()
        data = yaml.safe_load(raw)
    except (OSError, yaml.YAMLError) as error:
        raise PromptError(f"The prompt {path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(data, dict):
        raise PromptError(f"The prompt {path} holds no mapping.")
    return raw, data
