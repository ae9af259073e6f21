"""A planted judge of pairs behind a real server, and the rows that it is asked about."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from tests.openai_server import last_user_text

Lean = Literal["none", "position", "length", "self_preference"]
FAMILY, OTHER = "gpt-4o", "llama-3-8b"


def make_pairs(count: int, seed: int) -> list[dict[str, Any]]:
    """Pairs with labels, of which people prefer either side, length and family as often as the other."""
    rng = random.Random(seed)  # noqa: S311 - a simulation
    rows = []
    for number in range(count):
        texts = [f"Answer {number}-{side}: {'you may return boots. ' * rng.randint(1, 12)}" for side in "ab"]
        systems = [FAMILY, OTHER] if rng.random() < 0.5 else [OTHER, FAMILY]
        label = rng.choice((1, 2))
        row = {"id": str(number), "input": f"Question {number}?", "outputs": texts}
        rows.append({**row, "systems": systems, "label": label})
    return rows


@dataclass(frozen=True, slots=True)
class PlantedJudge:
    """
    Says what people say, but errs by chance and leans in some of the pairs. Its verdict on equal
    requests is the same, whoever asks when.

    Attributes:
        lean: What decides in the share `strength` of the calls.
    """

    rows: list[dict[str, Any]]
    lean: Lean = "none"
    noise: float = 0.08
    strength: float = 0.28
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: Mapping[str, Any]) -> str:
        said = last_user_text(request)
        row = next(each for each in self.rows if each["outputs"][0] in said)
        self.asked.append(row["id"])
        first = 0 if said.index(row["outputs"][0]) < said.index(row["outputs"][1]) else 1
        winner = row["label"] - 1
        chance = random.Random(sha256(f"{row['id']} {first}".encode()).hexdigest())  # noqa: S311
        if chance.random() < self.noise:
            winner = 1 - winner
        if self.lean != "none" and chance.random() < self.strength:
            winner = self._leaning(row, first)
        better = "first" if winner == first else "second"
        return json.dumps({"reason": "It fits the question.", "evidence": "boots", "better": better})

    def _leaning(self, row: Mapping[str, Any], first: int) -> int:
        longer = int(len(row["outputs"][1]) > len(row["outputs"][0]))
        own = row["systems"].index(FAMILY)
        return {"position": first, "length": longer, "self_preference": own}[self.lean]
