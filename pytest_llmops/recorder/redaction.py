"""Replaces what must not be stored, in every string of a call, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytest_llmops.recorder.reply import event_lines, streamed_pieces

Redact = Callable[[str], str]

_VECTOR = "embedding"
_MOST_REMEMBERED = 10_000


class Redaction:
    """
    Applies one `redact` to whole values.

    Equal strings are done once, for a scan is slow and most come again: names, prompts, a history.
    """

    def __init__(self, redact: Redact) -> None:
        self._redact = redact
        self.text: Callable[[str], str] = lru_cache(_MOST_REMEMBERED)(self._text)
        """A string with its secrets replaced; one that holds JSON keeps its form."""

    def shown(self, text: str) -> str:
        """As `text`, of what is to be shown now: it is withheld where it cannot be redacted."""
        try:
            return self.text(text)
        except Exception as failure:  # noqa: BLE001 - a redaction is anybody's code
            return f"something that cannot be shown: redacting it raised {type(failure).__name__}"

    def value(self, value: Any) -> Any:
        """A JSON value with every string in it redacted, names included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (dict, Mapping)):  # the check of an abstract class is slow
            return {self.text(key): self.value(part) for key, part in value.items()}
        return [self.value(part) for part in value] if isinstance(value, list) else value

    def body(self, kind: str, body: Any) -> Any:
        """An answer redacted; vectors are left, for they are no text and one changed letter ruins them."""
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
        """A stream of events; each text that comes in pieces is redacted as a whole."""
        lines = list(event_lines(text))
        for pieces in streamed_pieces(event for _, event in lines).values():
            joined = "".join(holder[name] for holder, name in pieces)
            whole = self.text(joined)
            for number, (holder, name) in enumerate(pieces):
                # Where it changed, the first piece carries it all; the others stay, empty.
                piece = holder[name] if whole == joined else "" if number else whole
                holder[name] = _Piece(piece)
        return "\n".join(
            self.text(line) if event is None else self._event(line, event) for line, event in lines
        )

    def _event(self, line: str, event: Any) -> str:
        data = json.dumps(self.value(event), ensure_ascii=False, default=lambda piece: piece.text)
        if json.loads(data) == json.loads(line[5:]):
            return line
        return f"data: {data}" + ("\r" if line.endswith("\r") else "")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A string that is redacted already: alone it could look like something it is not."""

    text: str
