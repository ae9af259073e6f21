"""A declaration for a tool that has none, such as one of a foreign MCP server, from its name and schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from reference_app.guardrails.calls.request import AllowedTool, Declaration, Target
from reference_app.guardrails.calls.values import list_lines, list_words, split_name

STRICT = Target(sources=("customer", "tool"), otherwise="confirm")
RECKONED = Target(sources=("customer", "tool", "model"), otherwise="confirm")
LOOSE = Target(sources=("customer", "text"), otherwise="confirm")

_SENTENCE = re.compile(r"(?<=[.!?\n;:'\"])\s+|(?<=,)\s+(?=then\b)")
_BEFORE = r"\W*(?:(?:then|and|also|now|next|first|finally|please|todo|instead|\w+, you must)[\s,:]+){0,4}"


def derive(tool: AllowedTool) -> Declaration:
    """
    The declaration of a tool of which only name and schema are known.

    A tool reads if its policy says `read_only` or its name begins with a word of reading. Texts that are
    neither free nor one of a list, and amounts, are targets; of a tool that reads only addresses are. A
    recipient has to be said or a field of a result, while any text may name what else is a target.
    """
    reads = tool.policy.get("read_only") is True or bool(
        set(split_name(tool.name)[:1]) & list_words("reading")
    )
    properties = tool.parameters.get("properties")
    targets: dict[str, Target] = {}
    for name, schema in (properties if isinstance(properties, Mapping) else {}).items():
        target = _read_target(
            set(split_name(name)), schema if isinstance(schema, Mapping) else {}, reads=reads
        )
        if target and not _is_listed(set(split_name(name)), tool):
            targets[name] = target
    return Declaration(effects=not reads, targets=targets)


def _is_listed(words: set[str], tool: AllowedTool) -> bool:
    """Whether the operator said where this may go, which another guard checks."""
    return bool(
        (words & list_words("urls") and "hosts" in tool.policy)
        or (words & list_words("paths") and {"root", "folder"} & set(tool.policy))
    )


def _read_target(words: set[str], schema: Mapping[str, Any], *, reads: bool) -> Target | None:
    kinds, form = _list_types(schema), schema.get("format")
    if words & list_words("addresses") or form in ("uri", "url", "hostname"):
        return LOOSE if reads else STRICT
    if kinds & {"number", "integer"} and words & list_words("amounts") and not reads:
        return RECKONED
    number = kinds and kinds <= {"number", "integer", "boolean", "null"}
    moment = form in ("date", "time", "date-time", "duration") or words & list_words("times")
    if reads or number or moment or {"enum", "const"} & set(schema) or words & list_words("free"):
        return None
    return STRICT if words & list_words("recipients") else LOOSE


def _list_types(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types of a value, of its alternatives and of its items."""
    kinds = schema.get("type")
    found = set(kinds) if isinstance(kinds, list) else {kinds} if isinstance(kinds, str) else set()
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), schema.get("items")):
        if isinstance(part, Mapping):
            found |= _list_types(part)
    return found


@lru_cache(maxsize=256)
def find_orders(text: str) -> tuple[str, ...]:
    """Sentences of a text that tell somebody to do something."""
    sentences = (sentence for line in list_lines(text) for sentence in _SENTENCE.split(line))
    return tuple(sentence for sentence in sentences if _order().match(sentence))


@cache
def _order() -> re.Pattern[str]:
    return re.compile(rf"{_BEFORE}(?:{'|'.join(list_words('ordering'))})\b", re.IGNORECASE)
