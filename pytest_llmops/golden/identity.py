"""A short name for what a case asks, so that a run can recognise an edited case."""

from __future__ import annotations

import json
from hashlib import sha256

from pytest_llmops.records import Case


def input_hash(case: Case) -> str:
    """SHA-256, in hexadecimal, of the case's input, reference and relevant passages as canonical JSON."""
    known = {"input": case.input, "reference": case.reference, "relevant": list(case.relevant)}
    canonical = json.dumps(known, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()
