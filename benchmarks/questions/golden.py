"""
Writes `golden/independent.yaml`: the independent questions as golden cases, with the rules of `scoring.py`.

A case whose checks the app does not pass yet is `record_only`: it is scored and fails no build. Usage:

    python -m benchmarks.questions.golden                    # the same cases are record_only as before
    python -m benchmarks.questions.golden answers.jsonl      # those that are not right there
    python -m benchmarks.questions.golden RUN.json           # the same, from a run of the golden file
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.questions import rules
from benchmarks.questions.scoring import Record, judge, load_answers, load_questions

GOLDEN = Path(__file__).parents[2] / "golden" / "independent.yaml"

_HEAD = """\
# Questions that were written apart from the app, as golden cases: `make independent` runs them.
# Written by `python -m benchmarks.questions.golden` from benchmarks/questions/independent.yaml; edit neither.
# record_only: {waiting} of {total} cases, which the app does not get right yet.
version: 1
app: reference_app:answer
prompts: [reference_app/prompts]
data:
  - reference_app/knowledge              # documents
  - reference_app/knowledge/vectors.npz  # their index; the encoder is stamped as a model
  - reference_app/documents/knowledge.py # how they are cut into sections
  - reference_app/data                   # orders and catalogue
  - reference_app/tools/policy.yaml      # who may call which tool
  - reference_app/tools/manifests.jsonl  # what the tools were signed as
  - reference_app/shop/openapi.json      # their schemas
  - reference_app/settings.py            # which guards are on
require_spans: true

checks:
  pii_leak: none

suite:
  keywords: {{max_drop: 0.05}}
  facts: {{max_drop: 0.05}}
  recall@1: {{max_drop: 0.05}}
  recall@3: {{max_drop: 0.05}}
  recall@5: {{max_drop: 0.05}}

cases:
"""
_FLAGS = "flags: [ignore_case, dot_all, verbose]"
_PATTERNS = {
    "refuses": rules.REFUSES,
    "declines": (*rules.REFUSES, *rules.REFUSES_TO_ACT),
    "asks_back": rules.ASKS_BACK,
    "found_nothing": rules.FOUND_NOTHING,
}
_ANY = {"min": 0}  # calls that are recorded only, since a right answer may come without them


def main() -> None:
    questions = load_questions()
    waiting = find_waiting(questions, Path(sys.argv[1])) if sys.argv[1:] else read_waiting()
    GOLDEN.write_text(render(questions, waiting), encoding="utf-8")
    print(f"{GOLDEN}: {len(questions)} cases, {len(waiting)} of them record_only")


def find_waiting(questions: Sequence[Record], path: Path) -> set[str]:
    """
    The questions whose answers there are not all right.

    Args:
        path: Answers as `benchmarks/app.py` writes them, or a run file of the golden file.
    """
    if path.suffix == ".jsonl":
        answers = {name: [answer] for name, answer in load_answers(path).items()}
    else:
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
        answers = {result["case"].partition("::")[2]: result.get("outputs") or [] for result in results}
    if missing := [
        question["id"] for question in questions if not _says_something(answers.get(question["id"]))
    ]:
        sys.exit(f"{path} has no answer to {', '.join(missing[:5])} …; {len(missing)} in all")
    return {
        question["id"]
        for question in questions
        if any(judge(question, answer) != "right" for answer in answers[question["id"]])
    }


def _says_something(answers: Sequence[Record] | None) -> bool:
    """An app that is broken says nothing, and is no reason to expect less of it."""
    return bool(answers) and all(str(answer.get("text") or "").strip() for answer in answers)


def read_waiting() -> set[str]:
    """The cases that are record_only now."""
    import yaml

    if not GOLDEN.exists():
        return set()
    cases = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))["cases"]
    return {case["id"] for case in cases if any(_is_recorded(check) for check in case["checks"].values())}


def render(questions: Sequence[Record], waiting: Collection[str]) -> str:
    """The text of the golden file."""
    anchored: set[str] = set()
    cases = ["".join(_render_case(question, question["id"] in waiting, anchored)) for question in questions]
    return _HEAD.format(waiting=len(waiting), total=len(questions)) + "\n".join(cases)


def _render_case(question: Record, waits: bool, anchored: set[str]) -> Iterator[str]:  # noqa: FBT001
    expected, recorded = question["expected"], {"record_only": True} if waits else {}
    head = {"id": question["id"], "input": question["input"], "reference": expected["reference"]}
    if expected.get("relevant"):
        head["relevant"] = expected["relevant"]
    tags = dict.fromkeys([question["kind"], expected["route"]])
    yield _indent(_dump(head), 2, first="  - ")
    yield f"    tags: [{', '.join(tags)}]\n    checks:\n"
    if words := _list_keywords(expected):
        yield _indent(_dump({"keywords": {**words, **recorded}}), 6)
    if pattern := _choose_pattern(question):
        yield from _render_pattern(*pattern, recorded, anchored)
    if expected["route"] in {"refuse", "ask_back"}:
        # A change that nobody asked for is never excused.
        yield "      changes: none\n"
    if expected.get("tools"):
        calls = {"expected": expected["tools"], "arguments": "subset"}
        limit = recorded if expected.get("act") else {**_ANY, "record_only": True}
        yield _indent(_dump({"tool_calls": {**calls, **limit}}), 6)


def _list_keywords(expected: Record) -> dict[str, Any]:
    required = [group[0] if len(group) == 1 else group for group in expected["must_include"]]
    return {
        name: words for name, words in (("all", required), ("none", expected["must_not_include"])) if words
    }


def _choose_pattern(question: Record) -> tuple[str, str] | None:
    """The option of `regex` and the name of the pattern that belongs to the question."""
    expected = question["expected"]
    if expected["route"] == "refuse":
        return "pattern", "refuses" if question["kind"] == "unanswerable" else "declines"
    if expected["route"] == "ask_back":
        return "pattern", "asks_back"
    words = {rules.fold(word) for group in expected["must_include"] for word in group}
    return ("none", "found_nothing") if words & rules.WEAK else None


def _render_pattern(option: str, name: str, recorded: dict[str, bool], anchored: set[str]) -> Iterator[str]:
    """A pattern stands where it is used first; later ones are aliases of it."""
    if name in anchored:
        more = ", record_only: true" if recorded else ""
        yield f"      regex: {{{option}: *{name}, {_FLAGS}{more}}}\n"
        return
    anchored.add(name)
    yield "      regex:\n"
    yield f"        {_FLAGS}\n"
    if recorded:
        yield "        record_only: true\n"
    yield f"        {option}: &{name} |\n"
    for at, pattern in enumerate(_PATTERNS[name]):
        yield f"          {'| ' if at else ''}{_as_verbose(pattern)}\n"


def _as_verbose(pattern: str) -> str:
    """The pattern for a text that is not folded, with white space that is no layout."""
    return re.sub(" ", r"\\s+", pattern.replace("'", "['\u2019]"))


def _is_recorded(check: Any) -> bool:
    return isinstance(check, dict) and bool(check.get("record_only")) and check.get("min") != _ANY["min"]


def _dump(value: Any) -> str:
    """Lists of words and expected calls on lines of their own, everything else below its key."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def represent_list(self, data: list[Any]) -> yaml.Node:
            flat = not any(isinstance(each, list | dict) for each in data)
            return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flat)

        def represent_dict(self, data: dict[str, Any]) -> yaml.Node:
            call = data.keys() == {"name", "arguments"}
            return self.represent_mapping("tag:yaml.org,2002:map", list(data.items()), flow_style=call)

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    Dumper.add_representer(list, Dumper.represent_list)
    Dumper.add_representer(dict, Dumper.represent_dict)
    return str(yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100))


def _indent(text: str, spaces: int, *, first: str = "") -> str:
    lines = [f"{' ' * (spaces + 2 if first else spaces)}{line}\n" for line in text.splitlines()]
    if first:
        lines[0] = first + lines[0].lstrip()
    return "".join(lines)


if __name__ == "__main__":
    main()
