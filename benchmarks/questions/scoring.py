"""Whether an answer is right, wrong or an honest refusal, by what its question expects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.questions import rules

INDEPENDENT = Path(__file__).with_name("independent.yaml")
WRITES = frozenset({"request_refund", "change_address", "adjust_points"})

Outcome = Literal["right", "wrong", "refused", "missing"]
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """
    One question with what became of it.

    Attributes:
        question: As the file has it.
        answer: `text`, `passages`, `tool_calls`, `seconds`, `calls`; None if there is none.
        tools: Whether every expected call was made; None if none is expected.
    """

    question: Record
    answer: Record | None
    outcome: Outcome
    tools: bool | None

    def recall(self, k: int) -> float | None:
        """The share of the relevant sections among the first k passages; None if none is relevant."""
        relevant = self.question["expected"].get("relevant")
        if not relevant or self.answer is None:
            return None
        first = [read_section(each) for each in (self.answer.get("passages") or [])[:k]]
        return sum(any(each.endswith(one) for each in first) for one in relevant) / len(relevant)


def load_questions(path: Path = INDEPENDENT) -> list[Record]:
    import yaml

    questions: list[Record] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return questions


def load_answers(path: Path) -> dict[str, Record]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {each["id"]: each for each in map(json.loads, filter(str.strip, lines))}


def score(question: Record, answer: Record | None) -> Scored:
    tools = question["expected"].get("tools")
    made = all(was_called(answer, tool) for tool in tools) if tools and answer is not None else None
    outcome: Outcome = "missing" if answer is None else judge(question, answer)
    return Scored(question=question, answer=answer, outcome=outcome, tools=made)


def judge(question: Record, answer: Record) -> Outcome:
    """`refused` is an answer that says it has none, where one was due."""
    expected, text = question["expected"], rules.fold(answer.get("text") or "")
    if not text.strip():
        return "wrong"
    met = _meets(expected, text)
    if expected["route"] == "refuse":
        refuses = rules.REFUSES + (rules.REFUSES_TO_ACT if question["kind"] != "unanswerable" else ())
        honest = rules.matches(text, refuses) or _has_any(text, expected.get("accept") or [])
        return "right" if honest and met and not _wrote(answer) else "wrong"
    if expected["route"] == "ask_back":
        asks = rules.matches(text, rules.ASKS_BACK)
        return "right" if asks and met and not _wrote(answer) else "wrong"
    acted = not expected.get("act") or all(was_called(answer, each) for each in expected.get("tools") or [])
    if met and acted and not (_is_weak(expected, text) and rules.matches(text, rules.FOUND_NOTHING)):
        return "right"
    return "refused" if rules.matches(text, rules.REFUSES) else "wrong"


def was_called(answer: Record, wanted: Record) -> bool:
    """Whether a call of that tool has the wanted arguments; a product may be named by a part of its name."""
    return any(
        _name(call) == wanted["name"] and _has_arguments(_arguments(call), wanted["arguments"])
        for call in answer.get("tool_calls") or []
    )


def read_section(passage: Any) -> str:
    """The id of a passage as `document#anchor`."""
    found = passage
    if isinstance(passage, dict):
        keys = ("id", "section_id", "chunk_id", "section", "source")
        found = next((passage[key] for key in keys if passage.get(key)), "")
        document = next((passage[key] for key in ("document", "document_id", "doc") if passage.get(key)), "")
        if document and "#" not in str(found):
            found = f"{document}#{found}"
    return re.sub(r"[/:#]+", "#", str(found).replace(".md", ""))


def _meets(expected: Record, text: str) -> bool:
    return all(_has_any(text, group) for group in expected["must_include"]) and not _has_any(
        text, expected["must_not_include"]
    )


def _has_any(text: str, words: list[str]) -> bool:
    return any(rules.contains(text, word) for word in words)


def _is_weak(expected: Record, text: str) -> bool:
    """Whether a group is met by a bare yes or no alone."""
    strong = (
        [one for one in group if rules.fold(one) not in rules.WEAK] for group in expected["must_include"]
    )
    return any(not _has_any(text, group) for group in strong)


def _wrote(answer: Record) -> bool:
    return any(
        _name(call) in WRITES and "denied" not in json.dumps(call) for call in answer.get("tool_calls") or []
    )


def _name(call: Any) -> str:
    return call if isinstance(call, str) else str(call.get("name") or call.get("tool") or "")


def _arguments(call: Any) -> Record:
    found = call.get("arguments", call.get("args", {})) if isinstance(call, dict) else {}
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            return {}
    return found if isinstance(found, dict) else {}


def _has_arguments(made: Record, wanted: Record) -> bool:
    return all(_is_same(key, made.get(key, ""), value) for key, value in wanted.items())


def _is_same(key: str, made: Any, wanted: Any) -> bool:
    plain = re.sub(r"[^\w]", "", rules.fold(made))
    if plain == re.sub(r"[^\w]", "", rules.fold(wanted)):
        return True
    shared = set(rules.fold(made).split()) & set(rules.fold(wanted).split())
    return key == "product" and bool(plain) and bool(shared)
