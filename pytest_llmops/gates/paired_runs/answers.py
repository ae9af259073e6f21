"""Answers by their digests, so that a baseline can recognise equal ones without keeping a text."""

from __future__ import annotations

from hashlib import sha256

from pytest_llmops.gates.paired_runs.index import once_a_result
from pytest_llmops.records import CaseResult

_DIGITS = 16


def digest(text: str) -> str:
    """The first 16 hexadecimal digits of SHA-256: two answers of one case do not share them by chance."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


@once_a_result
def answer_digests(result: CaseResult) -> tuple[str, ...]:
    """The digest of each repeat's answer, in the order of the repeats."""
    outputs = sorted(result.outputs, key=lambda output: output.repeat)
    return result.answers or tuple(digest(output.text) for output in outputs)
