"""How a case is known in runs: by its id, and a short name for what it asks, so that an edit is seen."""

from __future__ import annotations

import json
from hashlib import sha256

from pytest_llmops.records import Case, Golden


def case_id(golden: Golden, case: Case) -> str:
    return f"{golden.path}::{case.id}"


def cases_by_id(*goldens: Golden) -> dict[str, Case]:
    """The cases of golden files, in their order."""
    return {case_id(golden, case): case for golden in goldens for case in golden.cases}


def file_of(case: str) -> str:
    """The path of the golden file that a case's id begins with."""
    return case.partition("::")[0]


def input_hash(case: Case) -> str:
    """SHA-256, in hexadecimal, of the case's input, reference and relevant passages as canonical JSON."""
    known = {"input": case.input, "reference": case.reference, "relevant": list(case.relevant)}
    canonical = json.dumps(known, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()
