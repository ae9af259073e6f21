"""Replaces personal data and secrets in every string of a call before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytest_llmops.recorder.bodies import event_lines, rewrite_line
from pytest_llmops.recorder.reply import streamed_pieces

_VECTOR = "embedding"
_BYTES = frozenset({"b64_json", "base64"})  # pictures and sound, in which a scan finds nothing
_MOST_REMEMBERED = 10_000


class Redaction:
    """
    Applies a function from text to text to all strings of a value.

    Equal strings are redacted once: a scan is slow, and names, prompts and histories come again.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self.text: Callable[[str], str] = lru_cache(_MOST_REMEMBERED)(self._text)
        """A string with its secrets replaced; one that holds JSON keeps its form."""

    def shown(self, text: str) -> str:
        """Redact a text that is shown now; it is withheld where it cannot be redacted."""
        try:
            return self.text(text)
        except Exception as failure:  # noqa: BLE001 - a redaction is anybody's code
            return f"something that cannot be shown: redacting it raised {type(failure).__name__}"

    def value(self, value: Any) -> Any:
        """Redact every string in a JSON value, names included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (dict, Mapping)):  # the check of an abstract class is slow
            return {
                self.text(key): part if key in _BYTES else self.value(part) for key, part in value.items()
            }
        return [self.value(part) for part in value] if isinstance(value, list) else value

    def body(self, kind: str, body: Any) -> Any:
        """Redact an answer; vectors are left, for they are no text and one changed letter ruins them."""
        if isinstance(body, str):
            return self._events(body)
        if kind == "embeddings" and isinstance(body, Mapping) and isinstance(body.get("data"), list):
            rest = self.value({name: part for name, part in body.items() if name != "data"})
            return {**rest, "data": [self._vector(item) for item in body["data"]]}
        return self.value(body)

    def _vector(self, item: Any) -> Any:
        if not isinstance(item, Mapping) or _VECTOR not in item:
            return self.value(item)
        rest = self.value({name: part for name, part in item.items() if name != _VECTOR})
        return {**rest, _VECTOR: item[_VECTOR]}

    def _text(self, text: str) -> str:
        if text[:1] in {"{", "[", '"'}:
            try:
                parsed = json.loads(text)
            except (ValueError, RecursionError):
                return self._redact(text)
            redacted = self.value(parsed)
            return text if redacted == parsed else json.dumps(redacted, ensure_ascii=False)
        return self._redact(text) if text else text

    def _events(self, text: str) -> str:
        """Redact a stream of events; the pieces of each text are redacted together."""
        lines = list(event_lines(text))
        for pieces in streamed_pieces(event for _, event in lines).values():
            joined = "".join(holder[name] for holder, name in pieces)
            redacted = self.text(joined)
            for number, (holder, name) in enumerate(pieces):
                # The first piece carries the text if it changed; the others stay, empty.
                piece = holder[name] if redacted == joined else "" if number else redacted
                holder[name] = _RedactedPiece(piece)
        return "\n".join(
            self.text(line) if event is None else self._event(line, event) for line, event in lines
        )

    def _event(self, line: str, event: Any) -> str:
        data = json.dumps(self.value(event), ensure_ascii=False, default=lambda piece: piece.text)
        return (
            line if json.loads(data) == json.loads(line.removeprefix("data:")) else rewrite_line(line, data)
        )


@dataclass(frozen=True, slots=True)
class _RedactedPiece:
    """No string, so that it is not redacted again: by itself it could look like something it is not."""

    text: str
