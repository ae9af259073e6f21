"""Identity of a case across runs: its id, and a hash of its question, so that an edit is noticed."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from pytest_llmops.detect.mask import mask_recorded
from pytest_llmops.printable import excerpt
from pytest_llmops.records import Case, Golden

_NOT_IN_ID = ("::", "/", "\\", "[", "]")


def case_id(golden: Golden, case: Case) -> str:
    return f"{golden.path}::{case.id}"


def cases_by_id(*goldens: Golden) -> dict[str, Case]:
    """Return the cases of golden files by id, in their order."""
    return {case_id(golden, case): case for golden in goldens for case in golden.cases}


def describe_wrong_id(written: str, *, private: bool) -> str:
    """
    Return the problem of a case's id as it is written; empty for a right one.

    Args:
        private: Refuse personal data too, since every report contains the ids.
    """
    if private and (masked := mask_recorded(written)) != written:
        return f"the id holds personal data, {excerpt(masked)}, and stands in every report: choose another"
    for sign in _NOT_IN_ID:
        if sign in written:
            allowed = "letters, digits, spaces and signs may stand in it, but no :: / \\ [ ]"
            return f"the id {excerpt(written)} holds {sign}; {allowed}"
    if not written.isprintable():
        return f"the id {excerpt(written)} holds an invisible character"
    spaced = written != written.strip()
    return f"the id {excerpt(written)} starts or ends with a space" if spaced else ""


def file_of(case: str) -> str:
    """Return the path of the golden file, with which a case's id begins."""
    return case.partition("::")[0]


def input_hash(case: Case) -> str:
    """Return the SHA-256, in hexadecimal, of the input with its files and turns, and of what is expected."""
    known: dict[str, Any] = {
        "input": case.input,
        "reference": case.reference,
        "relevant": list(case.relevant),
    }
    if case.turns:
        known["turns"] = [[turn.reference, list(turn.relevant)] for turn in case.turns]
    if case.user:  # of another model, it leads other conversations
        known["user"] = case.user.model.get("model")
    if case.expected is not None:
        known["expected"] = [case.state, case.expected]
    if case.attached:
        known["attached"] = {file.path: file.sha256 for file in case.attached}
    canonical = json.dumps(known, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()
