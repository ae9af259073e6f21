"""
Prompts of judges: versioned files, and texts under test fenced as data.

The mark of a fence is a digest of the fenced texts, so that no text can contain its own mark and close the
fence, and the same texts always make the same prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_llmops.judges.verdict import Message
from pytest_llmops.prompts.files import read_prompt

_FOLDER = Path(__file__).parent / "prompts"
_PLACE = re.compile(r"\{\{ ([a-z_]+) \}\}")
_DIGITS = 12
# Words by which chat templates separate the turns; an engine may obey them anywhere in a prompt.
_TURN = re.compile(
    r"<(?=\|[a-z_0-9]{1,40}\|>|(?:start|end)_of_turn>|/?s>|\uff5c)|\[(?=/?(?:INST|SYSTEM_PROMPT)\])",
    re.IGNORECASE,
)
_GAP = "\u200b"


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """
    One prompt file.

    Attributes:
        identity: Name, version and digest, for signatures.
        turns: Role and text of each message; a text has places such as `{{ data }}`.
    """

    identity: str
    turns: tuple[tuple[str, str], ...]

    def render(self, **values: str) -> list[Message]:
        """The messages with every place filled; values are not searched for places."""
        return [
            {"role": role, "content": _PLACE.sub(lambda match: values[match[1]], text).strip()}
            for role, text in self.turns
        ]


@lru_cache(maxsize=32)
def load_prompt(name: str) -> JudgePrompt:
    """The prompt in `prompts/NAME.yaml` of this package."""
    import yaml

    path = _FOLDER / f"{name}.yaml"
    raw = path.read_bytes()
    prompt = read_prompt(path.name, raw)
    turns = tuple((message["role"], message["content"]) for message in yaml.safe_load(raw)["messages"])
    return JudgePrompt(f"{prompt.name}-{prompt.version}-{prompt.sha256[:_DIGITS]}", turns)


def fence(texts: Mapping[str, Any]) -> dict[str, str]:
    """
    Put texts between lines that no text can contain, as the values `data` and `mark` of a prompt.

    Args:
        texts: By their role, `answer`; None is left out, and any other value is written as JSON.
    """
    fenced = {name: _text(value) for name, value in texts.items() if value is not None}
    mark = _mark(fenced)
    blocks = [f"[{name} {mark}]\n{text}\n[end of {name} {mark}]" for name, text in fenced.items()]
    return {"data": "\n\n".join(blocks), "mark": mark}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    sendable = text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent
    return _TURN.sub(lambda match: match[0] + _GAP, sendable)


def _mark(texts: Mapping[str, str]) -> str:
    written = json.dumps(texts)
    mark = sha256(written.encode()).hexdigest()[:_DIGITS]
    while any(mark in text for text in texts.values()):  # by chance
        mark = sha256(f"{mark}{written}".encode()).hexdigest()[:_DIGITS]
    return mark
