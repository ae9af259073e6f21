"""
Texts written for training, in `texts/`: attacks, carriers around them, and benign texts with their words.

In attacks and hard negatives `[a|b]` stands for one of several words, `{thing}` for one of `fillings.json`.
What is in `held_out.tsv` is never trained on; it was written before any score of it was seen.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

_FOLDER = Path(__file__).with_name("texts")
_CHOICE = re.compile(r"\[([^\]|]+(?:\|[^\]|]+)+)\]")
_OPENINGS_EACH, _GOALS_EACH, _FILLINGS_EACH = 3, 2, 3


def _lines(name: str) -> list[str]:
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.replace("\\n", "\n") for line in lines]


def held_out() -> list[tuple[str, str, str]]:
    """Label, group and text of what is kept from training."""
    lines = (_FOLDER / "held_out.tsv").read_text(encoding="utf-8").splitlines()
    return [
        (label, group, text.replace("\\n", "\n"))
        for label, group, text in (line.split("\t") for line in lines)
    ]


def draw_attacks(seed: int) -> list[tuple[str, str]]:
    """Attacks, each alone and in a carrier: complete ones, openings, and openings before what they want."""
    drawn = random.Random(seed)  # noqa: S311 - they must be unlike, not secret
    openings, goals, carriers = _lines("openings"), _lines("goals"), _lines("carriers")
    payloads = [*_draw("attacks", drawn), *openings]
    payloads += [f"{opening} {drawn.choice(goals)}" for opening in openings for _ in range(_OPENINGS_EACH)]
    payloads += [f"{drawn.choice(openings)} {goal}" for goal in goals for _ in range(_GOALS_EACH)]
    return [(fromkey, _carry(drawn.choice(carriers), fromkey)) for fromkey in dict.fromkeys(payloads)]


def carriers() -> list[str]:
    """What stands around attacks, without one."""
    return [text for line in _lines("carriers") if (text := _carry(line, "").strip())]


def draw_hard_negatives(seed: int) -> list[str]:
    """Benign sentences, filled."""
    return _draw("hard_negatives", random.Random(seed))  # noqa: S311 - as above


def _draw(name: str, drawn: random.Random) -> list[str]:
    """`_FILLINGS_EACH` fillings of each line, fewer where it has no place for one."""
    fillings = json.loads((_FOLDER / "fillings.json").read_text(encoding="utf-8"))
    filled = (_fill(line, fillings, drawn) for line in _lines(name) for _ in range(_FILLINGS_EACH))
    return list(dict.fromkeys(filled))


def _carry(carrier: str, payload: str) -> str:
    return carrier.replace("{{", "{").replace("}}", "}").replace("{x}", payload)


def _fill(line: str, fillings: dict[str, list[str]], drawn: random.Random) -> str:
    text = _CHOICE.sub(lambda match: drawn.choice(match[1].split("|")), line)
    for name, values in fillings.items():
        text = text.replace("{" + name + "}", drawn.choice(values))
    return text[0].upper() + text[1:] if line.startswith("{") else text
