"""A declaration for a tool that has none, such as one of a foreign MCP server, from its name and schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from typing import Any

from reference_app.guardrails.calls.request import AllowedTool, Declaration, Target
from reference_app.guardrails.calls.values import list_lines, split_name

# A tool whose name begins so reads, unless it says otherwise.
READING = frozenset(
    "get search read list find check query lookup look fetch view show count calculate summarize browse".split()
)
# Arguments whose text may come from anywhere.
FREE = frozenset(
    "body content contents message text description subject title summary note notes comment markdown html "
    "reason caption memo query question request prompt instruction keyword keywords name location".split()
)
ADDRESSES = frozenset("url urls uri link webhook endpoint host website domain".split())
# Arguments that say who gets something; of all others a sentence that orders nothing may name the value.
RECIPIENTS = frozenset(
    "recipient recipients to cc bcc email emails mail account iban bic destination participant participants "
    "attendee attendees phone wallet beneficiary payee receiver password".split()
)
AMOUNTS = frozenset("amount price sum quantity total points".split())
TIMES = frozenset("date time day start end".split())
FREE_FORMATS = frozenset({"date", "time", "date-time", "duration"})
# A sentence that begins so orders something.
ORDERING = (
    "send forward transfer pay delete remove cancel create add invite post publish visit open click download "
    "upload make book reserve schedule share update change set reset buy order refund move append write reply "
    "tell say give grant run execute call use save list find search get disable enable export copy print "
    "reveal include approve wire donate install e-?mail please"
).split()
_SENTENCE = re.compile(r"(?<=[.!?\n;:'\"])\s+|(?<=,)\s+(?=then\b)")
_ORDER = re.compile(
    rf"\W*(?:(?:then|and|also|now|next|first|finally|please|todo|instead|\w+, you must)[\s,:]+){{0,4}}"
    rf"(?:{'|'.join(ORDERING)})\b",
    re.IGNORECASE,
)


def derive(tool: AllowedTool) -> Declaration:
    """
    The declaration of a tool of which only name and schema are known.

    A tool reads if its policy says `read_only` or its name begins with a word of reading. Texts that are
    neither free nor one of a list, and amounts, are targets; of a tool that reads only addresses are.
    """
    reads = tool.policy.get("read_only") is True or bool(set(split_name(tool.name)[:1]) & READING)
    properties = tool.parameters.get("properties")
    targets: dict[str, Target] = {}
    for name, schema in (properties if isinstance(properties, Mapping) else {}).items():
        target = _read_target(name, schema if isinstance(schema, Mapping) else {}, tool, reads=reads)
        if target:
            targets[name] = target
    return Declaration(effects=not reads, targets=targets)


def _read_target(name: str, schema: Mapping[str, Any], tool: AllowedTool, *, reads: bool) -> Target | None:
    words = set(split_name(name))
    if words & {"url", "uri", "link", "host"} and "hosts" in tool.policy:
        return None  # the operator said where this may go, which another guard checks
    if words & {"path", "file", "filename"} and {"root", "folder"} & set(tool.policy):
        return None
    kinds = _list_types(schema)
    strict = Target(sources=("customer", "tool"), otherwise="confirm")
    loose = Target(sources=("customer", "text"), otherwise="confirm")
    if words & ADDRESSES or schema.get("format") in ("uri", "url", "hostname"):
        return loose if reads else strict
    if reads or "enum" in schema or "const" in schema or words & FREE or words & TIMES:
        return None
    if kinds & {"number", "integer"} and words & AMOUNTS:
        return Target(sources=("customer", "tool", "model"), otherwise="confirm")
    if kinds and kinds <= {"number", "integer", "boolean", "null"} or schema.get("format") in FREE_FORMATS:
        return None
    return strict if words & (RECIPIENTS | ADDRESSES) else loose


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
    return tuple(sentence for sentence in sentences if _ORDER.match(sentence))
