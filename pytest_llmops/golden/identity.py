"""How a case is known in runs: by its id, and a short name for what it asks, so that an edit is seen."""

from __future__ import annotations

import json
from hashlib import sha256

from pytest_llmops.detect.mask import mask_recorded
from pytest_llmops.printable import excerpt
from pytest_llmops.records import Case, Golden

_NOT_IN_ID = ("::", "/", "\\", "[", "]")


def case_id(golden: Golden, case: Case) -> str:
    return f"{golden.path}::{case.id}"


def cases_by_id(*goldens: Golden) -> dict[str, Case]:
    """The cases of golden files, in their order."""
    return {case_id(golden, case): case for golden in goldens for case in golden.cases}


def describe_wrong_id(written: str, *, private: bool) -> str:
    """
    What is wrong with a case's id as it is written; empty where nothing is.

    Args:
        private: Personal data may not stand in it either, since ids stand in every report.
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
    """The path of the golden file that a case's id begins with."""
    return case.partition("::")[0]


def input_hash(case: Case) -> str:
    """SHA-256, in hexadecimal, of input with its files, reference and relevant passages as canonical JSON."""
    known = {"input": case.input, "reference": case.reference, "relevant": list(case.relevant)}
    if case.attached:
        known["attached"] = {each.path: each.sha256 for each in case.attached}
    canonical = json.dumps(known, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()
