"""
Texts written for training, in `texts/`: attacks, carriers around them, and benign texts with their words.

Of a hard negative `[a|b]` stands for one of several words, `{thing}` for one of `fillings.json`.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

_FOLDER = Path(__file__).with_name("texts")
_CHOICE = re.compile(r"\[([^\]|]+(?:\|[^\]|]+)+)\]")
_OPENINGS_EACH, _GOALS_EACH = 3, 2


def _lines(name: str) -> list[str]:
    return (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def draw_attacks(seed: int) -> list[tuple[str, str]]:
    """Attacks, each alone and in a carrier: complete ones, openings, and openings before what they want."""
    drawn = random.Random(seed)  # noqa: S311 - they must be unlike, not secret
    openings, goals, carriers = _lines("openings"), _lines("goals"), _lines("carriers")
    payloads = [*_lines("attacks"), *openings]
    payloads += [f"{each} {drawn.choice(goals)}" for each in openings for _ in range(_OPENINGS_EACH)]
    payloads += [f"{drawn.choice(openings)} {each}" for each in goals for _ in range(_GOALS_EACH)]
    return [(each, _carry(drawn.choice(carriers), each)) for each in dict.fromkeys(payloads)]


def carriers() -> list[str]:
    """What stands around attacks, without one."""
    return [text for each in _lines("carriers") if (text := _carry(each, "").strip())]


def draw_hard_negatives(seed: int, *, each: int = 3) -> list[str]:
    """So many fillings of each sentence, fewer where it has no place for one."""
    drawn = random.Random(seed)  # noqa: S311 - as above
    fillings = json.loads((_FOLDER / "fillings.json").read_text(encoding="utf-8"))
    lines = _lines("hard_negatives")
    return list(dict.fromkeys(_fill(line, fillings, drawn) for line in lines for _ in range(each)))


def _carry(carrier: str, payload: str) -> str:
    text = carrier.replace("\\n", "\n").replace("{{", "{").replace("}}", "}")
    return text.replace("{x}", payload)


def _fill(line: str, fillings: dict[str, list[str]], drawn: random.Random) -> str:
    text = _CHOICE.sub(lambda match: drawn.choice(match[1].split("|")), line)
    for name, values in fillings.items():
        text = text.replace("{" + name + "}", drawn.choice(values))
    return text[0].upper() + text[1:] if line.startswith("{") else text
