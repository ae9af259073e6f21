"""Rules in prompts and documents: where they stand in a file, and how one is changed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_SENTENCE = re.compile(r"[^.!?:;|{}\n]*[^\W_][^.!?|{}\n]*(?:[.!?](?=\s|\Z)|\Z)")
_LINE = re.compile(r"^(?P<begin>[ \t]*(?:[-*+]|\d+[.)])?[ \t]*)(?P<text>[^\n]*)$", re.MULTILINE)
_FEWEST_WORDS = 4
_MOST_OF_A_KIND = 3
_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:[.,]\d+)?(?![\w-]|[.,]\d)")

_INVERTED: Sequence[tuple[str, str]] = (
    ("must not", "must"), ("must", "must not"), ("never", "always"), ("always", "never"),
    ("do not", "do"), ("don't", "do"), ("cannot", "can"), ("can't", "can"), ("can not", "can"),
    ("may not", "may"), ("should not", "should"), ("should", "should not"), ("can", "cannot"),
    ("may", "may not"), ("is not", "is"), ("are not", "are"), ("only", "not only"),
    ("is", "is not"), ("are", "are not"),
)  # fmt: skip
_WEAKENED: Sequence[tuple[str, str]] = (
    ("must not", "should rather not"), ("must", "may"), ("never", "rarely"), ("always", "sometimes"),
    ("do not", "try not to"), ("don't", "try not to"), ("cannot", "can usually not"), ("only", "mostly"),
    ("should not", "need not"), ("should", "could"), ("every", "nearly every"), ("all", "most"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """
    A file with one rule changed.

    Attributes:
        line: Of the rule, from 1.
        change: In short, `must → may`.
    """

    kind: str
    line: int
    content: str
    change: str


def edit_rules(content: str, suffix: str) -> list[Edit]:
    """
    Return the file with one rule changed, up to three times a kind, spread over it.

    Words that a rule is inverted or weakened by are English ones; of another language, rules are deleted and
    their numbers changed.

    Args:
        suffix: Of the file's name; JSON and YAML stay readable.
    """
    edits: dict[str, list[Edit]] = {kind: [] for kind in _CHANGES}
    for start, end in _find_rules(content):
        rule = content[start:end]
        line = content.count("\n", 0, start) + 1
        for kind, change in _CHANGES.items():
            for new, described in change(rule):
                edited = content[:start] + new + content[end:]
                if not new:
                    edited = content[:start].rstrip(" \t") + content[end:]
                if edited != content and _reads(edited, content, suffix):
                    edits[kind].append(Edit(kind=kind, line=line, content=edited, change=described))
    chosen = [_spread(of_kind) for of_kind in edits.values()]
    turns = max(map(len, chosen), default=0)
    return [of_kind[turn] for turn in range(turns) for of_kind in chosen if turn < len(of_kind)]


def _find_rules(content: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each sentence; headings, code and front matter are none."""
    in_code = False
    for line in _LINE.finditer(content):
        text = line["text"]
        if text.startswith(("```", "~~~")):
            in_code = not in_code
        if in_code or text.startswith(("#", "|", "---", "//", "<")):
            continue
        for sentence in _SENTENCE.finditer(text):
            words = re.findall(r"[^\W\d_]+", sentence[0])
            if len(words) >= _FEWEST_WORDS:
                begin = line.start("text") + sentence.start()
                begin += len(sentence[0]) - len(sentence[0].lstrip())
                yield begin, line.start("text") + sentence.end()


def _delete(rule: str) -> Iterator[tuple[str, str]]:
    yield "", f"deleted: {rule}"


def _change_words(pairs: Sequence[tuple[str, str]]) -> Callable[[str], Iterator[tuple[str, str]]]:
    def change(rule: str) -> Iterator[tuple[str, str]]:
        for old, new in pairs:
            if match := re.search(rf"\b{re.escape(old)}\b", rule, re.IGNORECASE):
                written = new[0].upper() + new[1:] if match[0][0].isupper() else new
                yield rule[: match.start()] + written + rule[match.end() :], f"{match[0]} → {written}: {rule}"
                return

    return change


def _change_number(rule: str) -> Iterator[tuple[str, str]]:
    if match := _NUMBER.search(rule):
        whole = int(re.split("[.,]", match[0])[0])
        rest = match[0][len(str(whole)) :] if match[0].startswith(str(whole)) else ""
        new = f"{whole + max(1, whole // 2)}{rest}"
        yield rule[: match.start()] + new + rule[match.end() :], f"{match[0]} → {new}: {rule}"


_CHANGES: Mapping[str, Callable[[str], Iterator[tuple[str, str]]]] = {
    "rule_deleted": _delete,
    "rule_inverted": _change_words(_INVERTED),
    "rule_weakened": _change_words(_WEAKENED),
    "number_changed": _change_number,
}


def _spread(edits: Sequence[Edit]) -> list[Edit]:
    """Return the first, the middle and the last ones of many."""
    if len(edits) <= _MOST_OF_A_KIND:
        return list(edits)
    step = (len(edits) - 1) / (_MOST_OF_A_KIND - 1)
    return [edits[round(turn * step)] for turn in range(_MOST_OF_A_KIND)]


def _reads(edited: str, content: str, suffix: str) -> bool:
    """Return whether a structured file has the same structure as before."""
    if suffix == ".json":
        return _shape_of(_parse_json(edited)) == _shape_of(_parse_json(content))
    if suffix in {".yaml", ".yml"}:
        return _shape_of(_parse_yaml(edited)) == _shape_of(_parse_yaml(content))
    return True


def _parse_json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parse_yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _shape_of(value: object) -> object:
    """Return keys and types, without texts and numbers; of a text that is gone, none."""
    if isinstance(value, dict):
        return {key: _shape_of(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_shape_of(part) for part in value]
    return type(value) if value not in {None, ""} else None
