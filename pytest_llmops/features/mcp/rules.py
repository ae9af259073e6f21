"""Findings in tool definitions: confusable names, hidden characters, instructions, and open schemas."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmops.detect.disguises import read_disguised
from pytest_llmops.detect.mask import mask
from pytest_llmops.detect.texts import escape, unescape, walk
from pytest_llmops.metrics.injection.scanner import LIKELY, find_in
from pytest_llmops.metrics.injection.views import read_views
from pytest_llmops.metrics.places import Piece
from pytest_llmops.printable import printable
from pytest_llmops.text.characters import fold_typography

CHANGED = "tool definition changed since the lock (tool poisoning / rug pull)"
IN_SESSION = "tool definition changed between two listings of one session (rug pull)"
BY_CLIENT = "tool definition differs on another connection or for another client (rug pull)"
OPEN = "input schema is not closed"
INSTRUCTIONS = "reads like an instruction to the model (tool poisoning)"
HIDDEN = "hidden characters"
MARKUP = "markup"
NAMES = "tool names can be mistaken for each other"

SERVER = "(server)"  # in place of a tool's name

FILLED = ("{…}", "[…]")  # in place of an object and a list that have parts

MAX_CHARACTERS = 100_000  # of one text

_SHOWN = 300
_LINE = 900
_ALLOWED = re.compile(r"[A-Za-z0-9_./-]{1,128}")  # by the specification
_ALIKE = str.maketrans("01|5", "olls")


@dataclass(frozen=True, slots=True, kw_only=True)
class McpFinding:
    """
    One problem of a tool.

    Attributes:
        tool: Its name; `(server)` for the server's own instructions or its list.
        field: JSON pointer in the definition, without the first slash; empty for the tool as a whole.
    """

    tool: str
    field: str
    what: str
    detail: str

    @property
    def is_change(self) -> bool:
        """Return whether a definition changed; other findings are wrong in any definition."""
        return self.what in {CHANGED, IN_SESSION, BY_CLIENT}

    def describe(self) -> dict[str, str]:
        """Return the finding for people: personal data and secrets masked, terminal codes escaped."""
        return {name: show(getattr(self, name)) for name in ("tool", "field", "what", "detail")}

    def __str__(self) -> str:
        return printable(": ".join(filter(None, self.describe().values())), _LINE)


def show(text: str) -> str:
    """Mask and escape a text of a server for a terminal."""
    return printable(mask(text), _SHOWN)


def fields_of(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield the JSON pointer, without the first slash, and JSON of each value; `FILLED` of one with parts."""
    if isinstance(value, Mapping) and value:
        yield pointer[1:], FILLED[0]
        for key, item in value.items():
            yield from fields_of(item, f"{pointer}/{escape(str(key))}")
    elif isinstance(value, list) and value:
        yield pointer[1:], FILLED[1]
        for at, item in enumerate(value):
            yield from fields_of(item, f"{pointer}/{at}")
    else:
        yield pointer[1:], json.dumps(value, ensure_ascii=False)


def check_names(names: Sequence[str]) -> Iterator[McpFinding]:
    """Find tools of one name, names that look alike, and names with characters that no tool's name needs."""
    for name, count in Counter(names).items():
        if count > 1:
            yield McpFinding(tool=name, field="name", what=NAMES, detail=f"{count} tools have this name")
        if not _ALLOWED.fullmatch(name):
            detail = "a tool's name has 1 to 128 of A-Z, a-z, 0-9, _, -, . and /"
            yield McpFinding(tool=name, field="name", what=NAMES, detail=detail)
    looks: dict[str, str] = {}
    for name in sorted(set(names)):
        other = looks.setdefault(_look_of(name), name)
        if other != name:
            detail = f"looks like {other!a}"
            yield McpFinding(tool=name, field="name", what=NAMES, detail=detail)


def _look_of(name: str) -> str:
    """Return one text for names that look alike: in case, separators, digits, letters of other alphabets."""
    latin = f"a{name}"  # in a word with a Latin letter, lookalikes of other alphabets become Latin
    for reading in read_disguised(latin):
        latin = reading.text
    folded = fold_typography(latin[1:]).casefold().translate(_ALIKE)
    plain = re.sub(r"[\W_]+", "", folded)
    return plain.replace("rn", "m").replace("vv", "w").replace("i", "l")


ORDERS: Mapping[str, re.Pattern[str]] = {
    "hides something from the user": re.compile(
        r"\b(?:do not|don['\u2019]t|never|without|must not)\b.{0,30}"
        r"\b(?:tell|mention|inform|notify|reveal|show|alert)(?:ing|ning)?\b.{0,40}\b(?:user|customer|human|person|anyone|anybody|them)\b",
        re.IGNORECASE | re.DOTALL,
    ),
    "names files that hold secrets": re.compile(
        r"~/\.|\.ssh\b|\bid_(?:rsa|ed25519|ecdsa)\b|\.aws/|(?<![\w.])\.env\b|\bmcp\.json\b|/etc/(?:passwd|shadow)\b"
        r"|\.(?:netrc|npmrc|pgpass)\b",
        re.IGNORECASE,
    ),
    "steers the use of other tools": re.compile(
        r"\b(?:before|prior to|instead of|whenever)\b.{0,60}"
        r"\b(?:any|every|all|other|another)\b.{0,20}\btools?\b",
        re.IGNORECASE | re.DOTALL,
    ),
    "overrides instructions": re.compile(
        r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
        r"\b(?:instructions?|rules?|prompts?|policy|policies|guidelines|safeguards?)\b",
        re.IGNORECASE | re.DOTALL,
    ),
    "asks for the conversation": re.compile(
        r"\bsystem prompt\b|\b(?:entire|full|whole|previous) (?:conversation|chat)\b"
        r"|\b(?:conversation|chat) history\b",
        re.IGNORECASE,
    ),
}
"""A reason for each pattern."""

_MARKUP = re.compile(
    r"<!--|</[A-Za-z][\w:-]{0,40}\s*>|<\|[^|\n]{0,40}\|>|\[/?INST\]|<</?SYS>>"
    r"|<(?:important|system|instructions?|secret|hidden|assistant|critical|override)\b[^<>]{0,200}>"
    r"|<(?:script|img|iframe|style|svg|link|meta|form|object|embed|a|base|video|audio)\b[^<>]{0,200}>"
    r"|!\[[^\]\n]{0,200}\]\(|\[[^\]\n]{1,200}\]\(\s*\w{2,20}:|\b(?:javascript|vbscript)\s*:\S|\bdata:\w+/",
    re.IGNORECASE,
)
_MIXED = re.compile(r"[A-Za-z][\u0370-\u03ff\u0400-\u052f]|[\u0370-\u03ff\u0400-\u052f][A-Za-z]")
# Drawn as nothing, though they are letters, marks or symbols.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800\u180b\u180c\u180d\u180f")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_EMOJI = re.compile(r"(?<=[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff])\ufe0f(?![\ufe00-\ufe0f])")
_EXCERPT = 160
_KINDS = 5


def find_orders(text: str) -> Iterator[tuple[str, str]]:
    """Find the reason and words of each order, in the text as written and decoded; each reason once."""
    seen: set[str] = set()
    for view in read_views(text):
        for reason, pattern in ORDERS.items():
            if reason not in seen and (match := pattern.search(view.reading.text)):
                seen.add(reason)
                yield reason, match[0][:_EXCERPT]


def find_markup(text: str) -> str | None:
    """Find the first tag, comment, link or mark of a chat template, in the text as written and decoded."""
    matches = (_MARKUP.search(view.reading.text) for view in read_views(text))
    return next((match[0][:_EXCERPT] for match in matches if match), None)


def find_hidden(text: str) -> str | None:
    """Describe characters that are invisible or act on a terminal, and words of two alphabets."""
    counts = Counter(filter(_is_hidden, _EMOJI.sub("", text)))
    shown = [f"{_name(character)} ({count:,})" for character, count in list(counts.items())[:_KINDS]]
    if match := _MIXED.search(text):
        shown.append(f"letters of two alphabets in one word, {_name(match[0][0])} and {_name(match[0][1])}")
    return ", ".join(shown) or None


def _is_hidden(character: str) -> bool:
    if character in "\r\n\t":
        return False
    point = ord(character)
    selects = 0xFE00 <= point <= 0xFE0F or 0xE0100 <= point <= 0xE01EF  # noqa: PLR2004 - variation selectors
    return selects or character in _BLANK or unicodedata.category(character) in _UNSEEN


def _name(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '') or 'control'}"


MAX_SIZE = 1_000_000
"""The largest `maxLength` and `maxItems` that bound anything."""

_NUMBER = (frozenset({"minimum", "maximum"}), frozenset({"exclusiveMinimum", "exclusiveMaximum"}))
_BOUNDS: Mapping[str, tuple[frozenset[str], ...]] = {
    "integer": _NUMBER,
    "number": _NUMBER,
    "array": (frozenset({"maxItems", "items"}),),
    "object": (frozenset({"properties"}),),
}
"""One of these sets of keywords must be there, where no `enum` or `const` is."""
_SHORT_FORMATS = frozenset(
    {"date", "date-time", "time", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uuid"}
)
"""Of those that JSON Schema knows; a URI, a pattern or a duration can be of any length."""
_SIZES = {"string": "maxLength", "array": "maxItems"}

# A character, an escape or a class, perhaps repeated; no group or alternative, so that the length adds up.
_ATOM = r"(?:\\.|\[(?:\\.|[^\]\\])+\]|[^\\\[\](){}|*+?^$])(?:\{\d{1,6}(?:,\d{1,6})?\}|\?)?"
_SHORT_PATTERN = re.compile(rf"\^(?:{_ATOM})*\$", re.DOTALL)
_REPEATED = re.compile(r"(\d{1,6})\}")

_Open = Iterator[tuple[str, str]]
"""The place and reason of each part that accepts anything, or anything of its type."""


def check_schema(tool: str, schema: Any, *, bounded: bool = True) -> Iterator[McpFinding]:
    """Find parts of a tool's input schema that are open; without `bounded`, only check its type."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    problems: list[tuple[str, str]] = []
    try:
        Draft202012Validator.check_schema(schema)
        if not isinstance(schema, dict) or schema.get("type") != "object":
            problems = [("inputSchema", "must be of type object")]
        elif bounded:
            problems = [*_Walk(schema).check(schema, "inputSchema")]
    except (SchemaError, RecursionError) as error:
        message = getattr(error, "message", "is nested too deeply")
        yield McpFinding(tool=tool, field="inputSchema", what="is no JSON Schema", detail=message)
    for field, detail in problems:
        yield McpFinding(tool=tool, field=field, what=OPEN, detail=detail)


class _Walk:
    """Checks each part of one schema once, however many references lead to it."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._around: set[int] = set()  # ids of the parts that the current one is in or is referred to from
        self._seen: set[int] = set()

    def check(self, schema: Any, field: str) -> _Open:
        if schema is False:
            return
        if not isinstance(schema, Mapping) or not schema:
            yield field, "accepts any value"
            return
        if id(schema) in self._around:
            yield field, "refers to itself, so its depth has no bound"
        if id(schema) in self._seen:
            return
        self._seen.add(id(schema))
        self._around.add(id(schema))
        yield from self._check_part(schema, field)
        self._around.remove(id(schema))

    def _check_part(self, schema: Mapping[str, Any], field: str) -> _Open:
        if "$ref" in schema:
            yield from self._check_reference(schema["$ref"], field)
            return
        if "$dynamicRef" in schema or "patternProperties" in schema:
            yield field, "uses $dynamicRef or patternProperties, which name no argument"
        if "enum" in schema or "const" in schema:
            return
        branches = [
            (f"{field}/{word}/{index}", branch)
            for word in ("anyOf", "oneOf")
            for index, branch in enumerate(schema.get(word, ()))
        ]
        if "type" not in schema:
            if not branches:
                yield field, "has no type, so it accepts any value"
            for place, branch in branches:
                yield from self.check(branch, place)
            return
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        for kind in kinds:
            yield from self._check_kind(kind, schema, field)

    def _check_kind(self, kind: str, schema: Mapping[str, Any], field: str) -> _Open:
        if kind == "string" and not _is_short(schema):
            yield field, "string without maxLength, a pattern of bounded length or a format of one"
        if (needed := _BOUNDS.get(kind, ())) and not any(words <= schema.keys() for words in needed):
            wanted = " or ".join(" and ".join(sorted(words)) for words in needed)
            yield field, f"{kind} without {wanted}"
        if (size := _SIZES.get(kind)) and schema.get(size, 0) > MAX_SIZE:
            yield field, f"{kind} with a {size} above {MAX_SIZE:,}"
        if kind == "object":
            if schema.get("additionalProperties") is not False:
                yield field, "object without additionalProperties: false"
            for name, part in schema.get("properties", {}).items():
                yield from self.check(part, f"{field}/properties/{escape(name)}")
        if kind == "array":
            for index, part in enumerate(schema.get("prefixItems", ())):
                yield from self.check(part, f"{field}/prefixItems/{index}")
            if "items" in schema:
                yield from self.check(schema["items"], f"{field}/items")

    def _check_reference(self, reference: str, field: str) -> _Open:
        part: Any = self._root if reference == "#" or reference.startswith("#/") else None
        for step in reference.split("/")[1:]:
            part = part.get(unescape(step)) if isinstance(part, Mapping) else None
        if part is None:
            yield field, "refers to a part that is not in the schema"
        else:
            yield from self.check(part, field)


def _is_short(schema: Mapping[str, Any]) -> bool:
    """Return whether something bounds the length of a text, however large the bound is."""
    return (
        "maxLength" in schema
        or schema.get("format") in _SHORT_FORMATS
        or _is_short_pattern(schema.get("pattern", ""))
    )


def _is_short_pattern(pattern: str) -> bool:
    """Return whether a pattern matches the complete text and ends: `^FW-[0-9]{5}$`, not `.*` or `^a|b$`."""
    if _SHORT_PATTERN.fullmatch(pattern) is None:
        return False
    return len(pattern) + sum(map(int, _REPEATED.findall(pattern))) <= MAX_SIZE


TOGETHER = "(all texts together)"
"""The place of an instruction that is cut over several texts of a definition."""

_APART = re.compile(r"[_\-./]+|(?<=[a-z])(?=[A-Z])")
_PROSE = re.compile(r"\w\s+\w")


def check_texts(tool: str, definition: Any) -> Iterator[McpFinding]:
    """Check every key and value: names, titles, descriptions, enums, defaults, also of JSON in strings."""
    pieces = [Piece("tool", None, text.pointer, text.label, text.text) for text in walk(definition)]
    texts = [(piece.pointer.removeprefix("/"), piece.text) for piece in pieces]
    yield from _check_form(tool, texts)
    pieces += _spaced(pieces)
    likely = [finding for finding in find_in(pieces, MAX_CHARACTERS) if finding.found.value >= LIKELY]
    for finding in likely:
        match = finding.found
        detail = f"{match.rule}, {match.view}: {finding.text[match.start : match.end]!r}"
        field = finding.place.removeprefix("tool ").removeprefix("/")
        yield McpFinding(tool=tool, field=field, what=INSTRUCTIONS, detail=detail)
    prose = list(dict.fromkeys(text for _, text in texts if _PROSE.search(text)))
    if likely or len(prose) < 2:  # noqa: PLR2004 - of one text there is nothing to join
        return
    together = Piece("tool", None, "/", "", " ".join(prose)[:MAX_CHARACTERS])
    for finding in find_in([together], MAX_CHARACTERS)[:1]:
        match = finding.found
        if match.value >= LIKELY:
            detail = f"{match.rule}: {finding.text[match.start : match.end]!r}"
            yield McpFinding(tool=tool, field=TOGETHER, what=INSTRUCTIONS, detail=detail)


def _check_form(tool: str, texts: Sequence[tuple[str, str]]) -> Iterator[McpFinding]:
    """Check texts by patterns; a text that is both key and value of one place, once."""
    for field, text in dict.fromkeys(texts):
        if hidden := find_hidden(text):
            yield McpFinding(tool=tool, field=field, what=HIDDEN, detail=hidden)
        if markup := find_markup(text):
            yield McpFinding(tool=tool, field=field, what=MARKUP, detail=repr(markup))
        for reason, words in find_orders(text):
            yield McpFinding(tool=tool, field=field, what=INSTRUCTIONS, detail=f"{reason}: {words!r}")


def _spaced(pieces: Sequence[Piece]) -> list[Piece]:
    """Names as sentences: `ignore_all_rules` as `ignore all rules`."""
    spaced = ((piece, _APART.sub(" ", piece.text)) for piece in pieces if " " not in piece.text.strip())
    return [piece._replace(text=text) for piece, text in spaced if text != piece.text and " " in text]
