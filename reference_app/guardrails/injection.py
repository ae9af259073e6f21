"""How much a text tries to give orders to the model that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from reference_app.guardrails.defender import CUT, WEAK_CUT, load_defender
from reference_app.guardrails.disguises import readings
from reference_app.guardrails.orders import Sign, find_signs

SUSPICIOUS = 0.5
WEAK = 0.2  # score from which a sign of a pattern counts together with the defender
LONG_CHARACTERS = 4000  # from which the defender reads the plain text alone
MAX_READINGS = 6  # of a shorter text, for the defender


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """
    What the scanner thinks of one text.

    Attributes:
        score: 0 for an ordinary text, 1 for an attack beyond doubt.
        reason: What the text does, in words of ours that quote nothing of it; empty below `SUSPICIOUS`.
        scanner: What judged the text: `patterns`, or `patterns+defender` where its weights are installed.
    """

    score: float
    reason: str = ""
    scanner: str = "patterns"

    @property
    def flagged(self) -> bool:
        return self.score >= SUSPICIOUS


def scan(text: str) -> Suspicion:
    """
    Judge a question, a passage or the result of a tool; the time it takes grows linearly with the text.

    The worst of its readings counts, so that a disguise gains nothing. A text that quotes an attack in order
    to explain it is flagged as well. A text that is wrong only where it stands, such as a plain task inside a
    document, is out of reach of any scan of the text alone.
    """
    known = readings(text)
    signs = max(map(find_signs, known), key=weigh)
    score = weigh(signs)
    reason = "it " + ", ".join(dict.fromkeys(sign.meaning for sign in signs))
    defender = load_defender()
    if defender and score < SUSPICIOUS:
        read = known[:1] if len(text) > LONG_CHARACTERS else known[:MAX_READINGS]
        if max(map(defender, read)) + (CUT - WEAK_CUT if score >= WEAK else 0) >= 0:
            score, reason = SUSPICIOUS, "it looks like an order to the model"
    return Suspicion(
        score=round(score, 3),
        reason=reason if score >= SUSPICIOUS else "",
        scanner="patterns+defender" if defender else "patterns",
    )


def scan_pieces(pieces: Sequence[str]) -> Suspicion:
    """The worst of a text and its parts, read one by one and joined, since an order may be cut in two."""
    joined = (" ".join(pieces), "".join(pieces)) if len(pieces) > 1 else ()
    return max(map(scan, dict.fromkeys((*pieces, *joined))), key=lambda suspicion: suspicion.score)


def weigh(signs: list[Sign]) -> float:
    """Signs count as independent witnesses: of two each wrong half of the time, both are in a quarter."""
    return 1 - prod(1 - sign.weight for sign in signs)
