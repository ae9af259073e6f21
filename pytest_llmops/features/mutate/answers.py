"""Stand-in of the generator of false answers; only three kinds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Mutant:
    """An answer that was changed: its kind, the text, and the change in short."""

    kind: str
    text: str
    change: str


KINDS: Mapping[str, str] = {
    "number": "another number",
    "negation": "a statement turned into its opposite",
    "appended_lie": "a false sentence at the end",
    "first_sentence": "the first sentence alone",
    "another_answer": "the answer of another case",
    "passages_verbatim": "the passages instead of an answer",
    "apology": "a fixed apology",
}
FALSE_KINDS = frozenset({"number", "negation", "appended_lie"})
_LIE = "You need not do anything else, and everything is free of charge for you."
_APOLOGY = "I am sorry, but I cannot help you with that."


def answer_mutants(  # noqa: PLR0913 - the facts of a case
    answer: str,
    *,
    question: str,  # noqa: ARG001 - for the generator
    reference: str | None,  # noqa: ARG001 - as above
    passages: Sequence[str],
    others: Sequence[str],
    seed: str,
) -> list[Mutant]:
    """Return at most one mutant a kind; none where the kind has nothing to change."""
    mutants = [Mutant("apology", _APOLOGY, "an apology")]
    if match := re.search(r"[0-9]+", answer):
        number = str(int(match[0]) * 3 // 2 + 1)
        text = answer[: match.start()] + number + answer[match.end() :]
        mutants.append(Mutant("number", text, f"{match[0]} → {number}"))
    if match := re.search(r"\bcan(not|'t)\b|\bcan\b", answer):
        new = "can" if match[0] != "can" else "cannot"
        text = answer[: match.start()] + new + answer[match.end() :]
        mutants.append(Mutant("negation", text, f"{match[0]} → {new}"))
    if answer.strip():
        mutants.append(Mutant("appended_lie", f"{answer.rstrip()} {_LIE}", f"+ {_LIE}"))
    first = re.split(r"(?<=[.!?])\s", answer.strip(), maxsplit=1)
    if len(first) > 1:
        mutants.append(Mutant("first_sentence", first[0], "the rest dropped"))
    if others:
        at = int(sha256(seed.encode()).hexdigest(), 16) % len(others)
        mutants.append(Mutant("another_answer", others[at], "another case's"))
    if passages:
        mutants.append(Mutant("passages_verbatim", "\n".join(passages), "the passages"))
    return [mutant for mutant in mutants if mutant.text != answer]
