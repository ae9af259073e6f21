"""Rules in prompts and documents: where they stand in a file, and how one is changed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# What ends in no mark and not with its paragraph is no sentence: it is the start of a template's `{name}`.
_SENTENCE = re.compile(r"(?:[^.!?|{}]|[.](?=\w))+([.!?](?=\s|\Z))?")
_QUOTED = re.compile(r'(?:[^.!?|{}"]|[.](?=\w))+([.!?](?=[\s"]|\Z))?')
_HEAD = re.compile(r"[\W_]*")
_LINE = re.compile(r"^(?P<begin>[ \t]*(?:[-*+][ \t]|\d+[.)][ \t])?[ \t]*)(?P<text>[^\n]*)$", re.MULTILINE)
_STRUCTURED = frozenset({".json", ".yaml", ".yml"})
_FEWEST_WORDS = 4
_MOST_OF_A_KIND = 3
_TRIED_INSTEAD = 3  # further places, where a change would make a structured file unreadable
_NUMBER = re.compile(r"(?<![\w.,-])\d{1,12}(?:[.,]\d{1,12})?(?![\w-]|[.,]\d)")

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
class EditedFile:
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


class _Change(NamedTuple):
    """A rule of a file, what is written in its place, and the change in short."""

    start: int
    end: int
    new: str
    change: str


def edit_rules(content: str, suffix: str) -> list[EditedFile]:
    """
    Return the file with one rule changed, up to three times a kind, spread over it.

    Words that a rule is inverted or weakened by are English ones; of another language, rules are deleted and
    their numbers changed.

    Args:
        suffix: Of the file's name; JSON and YAML stay readable.
    """
    changes: dict[str, list[_Change]] = {kind: [] for kind in _CHANGES}
    for start, end in _find_rules(content, suffix):
        rule = content[start:end]
        for kind, change in _CHANGES.items():
            changes[kind] += [_Change(start, end, new, shown) for new, shown in change(rule) if new != rule]
    shape = _read_shape(content, suffix)
    chosen = [list(_spread(kind, of_kind, content, suffix, shape)) for kind, of_kind in changes.items()]
    turns = max(map(len, chosen), default=0)
    return [of_kind[turn] for turn in range(turns) for of_kind in chosen if turn < len(of_kind)]


def _find_rules(content: str, suffix: str) -> Iterator[tuple[int, int]]:
    """
    Yield the place of each sentence; headings, tables, code and front matter have none.

    In a structured file a sentence ends with its line, in JSON with its string; else with its paragraph.
    """
    by_line = suffix in _STRUCTURED
    pattern = _QUOTED if suffix == ".json" else _SENTENCE
    for start, end in _find_paragraphs(content, by_line=by_line):
        for sentence in pattern.finditer(content, start, end):
            words = re.findall(r"[^\W\d_]+", sentence[0])
            if len(words) >= _FEWEST_WORDS and (sentence[1] or sentence.end() == end):
                yield _skip_head(sentence), sentence.end()


def _skip_head(sentence: re.Match[str]) -> int:
    """Return where a sentence begins: behind blanks, and behind a mark that ends what was before it."""
    head = _HEAD.match(sentence[0])
    marks = head[0] if head else ""
    text = sentence[0][max(marks.rfind(":"), marks.rfind(";")) + 1 :]
    return sentence.end() - len(text.lstrip())


def _find_paragraphs(content: str, *, by_line: bool) -> Iterator[tuple[int, int]]:
    """Yield lines of running text, joined unless `by_line`; an item of a list begins a new one."""
    fence = ""
    start = end = -1
    for number, line in enumerate(_LINE.finditer(content)):
        text = line["text"]
        mark = next((mark for mark in ("```", "~~~", "---") if text.startswith(mark)), "")
        opens = mark and not fence and (mark != "---" or number == 0)
        is_text = not (fence or mark or not text or text.startswith(("#", "|", "//", "<")))
        if opens:
            fence = mark
        elif mark and mark == fence:
            fence = ""
        joins = is_text and start >= 0 and not line["begin"].strip() and not by_line
        if start >= 0 and not joins:
            yield start, end
            start = -1
        if is_text:
            start = start if joins else line.start("text")
            end = line.end("text")
    if start >= 0:
        yield start, end


def _flat(rule: str) -> str:
    return " ".join(rule.split())


def _delete(rule: str) -> Iterator[tuple[str, str]]:
    yield "", f"deleted: {_flat(rule)}"


def _change_words(pairs: Sequence[tuple[str, str]]) -> Callable[[str], Iterator[tuple[str, str]]]:
    def change(rule: str) -> Iterator[tuple[str, str]]:
        for old, new in pairs:
            if match := re.search(rf"\b{re.escape(old)}\b", rule, re.IGNORECASE):
                written = new[0].upper() + new[1:] if match[0][0].isupper() else new
                yield (
                    rule[: match.start()] + written + rule[match.end() :],
                    f"{match[0]} → {written}: {_flat(rule)}",
                )
                return

    return change


def _change_number(rule: str) -> Iterator[tuple[str, str]]:
    if match := _NUMBER.search(rule):
        whole = int(re.split("[.,]", match[0])[0])
        rest = match[0][len(str(whole)) :] if match[0].startswith(str(whole)) else ""
        new = f"{whole + max(1, whole // 2)}{rest}"
        yield rule[: match.start()] + new + rule[match.end() :], f"{match[0]} → {new}: {_flat(rule)}"


_CHANGES: Mapping[str, Callable[[str], Iterator[tuple[str, str]]]] = {
    "rule_deleted": _delete,
    "rule_inverted": _change_words(_INVERTED),
    "rule_weakened": _change_words(_WEAKENED),
    "number_changed": _change_number,
}


def _spread(
    kind: str, changes: Sequence[_Change], content: str, suffix: str, shape: object
) -> Iterator[EditedFile]:
    """Yield the first, the middle and the last of many changes, or the next that leave a file readable."""
    most = min(len(changes), _MOST_OF_A_KIND)
    step = (len(changes) - 1) / (most - 1) if most > 1 else 0
    used: set[int] = set()
    for turn in range(most):
        first = round(turn * step)
        nearby = [*range(first, len(changes)), *range(first)][: _TRIED_INSTEAD + 1]
        for at in nearby:
            if at in used:
                continue
            used.add(at)
            start, end, new, change = changes[at]
            before = content[:start] if new else content[:start].rstrip(" \t")
            edited = before + new + content[end:]
            if _read_shape(edited, suffix) == shape:
                line = content.count("\n", 0, start) + 1
                yield EditedFile(kind=kind, line=line, content=edited, change=change)
                break


def _read_shape(content: str, suffix: str) -> object:
    """Return the structure of a structured file; None of any other."""
    if suffix == ".json":
        return _shape_of(_parse_json(content))
    return _shape_of(_parse_yaml(content)) if suffix in {".yaml", ".yml"} else None


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
