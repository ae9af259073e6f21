"""An attacker that goes on: attacks that were held come again in other words, disguises and places."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from random import Random

from pytest_llmops.features.attack.metrics import CHECK
from pytest_llmops.features.attack.payloads import (
    ATLAS_OF,
    DISGUISES,
    ORDER,
    QUESTION,
    WORDINGS,
    PlacedAttack,
    disguise,
    place_attacks,
)
from pytest_llmops.features.attack.suites import read_facets
from pytest_llmops.records import Case, Golden

ROUNDS = 3
"""Variants of one attack that are tried at most."""

_VARIANT = "~"
_WORD = re.compile(r"\w+")
_PIECE = 3  # letters; shorter ones stand in any word
_TWICE = 0.5  # how often a variant is both reworded and disguised


def mutate(
    attack: PlacedAttack, placements: Collection[str], *, round_number: int, seed: int
) -> PlacedAttack:
    """
    A variant of an attack; the same one for the same seed and round.

    Args:
        placements: Those that the app offers.
    """
    drawn = Random(f"{seed}:{attack.id}:{round_number}")  # noqa: S311 - it must be unlike, not secret
    text = attack.text
    steps = [drawn.choice(sorted(WORDINGS)), drawn.choice(sorted(DISGUISES))]
    for name in steps if drawn.random() < _TWICE else [drawn.choice(steps)]:
        text = disguise(name, text, attack.words)
    offered = [each for each in attack.placements if each in placements] or [attack.placement]
    placement = drawn.choice(offered)
    return replace(
        attack,
        id=f"{attack.id}{_VARIANT}{round_number}",
        text=text,
        placement=placement,
        atlas=tuple(dict.fromkeys((*ATLAS_OF[placement], *attack.atlas))),
    )


def origin_of(case: str) -> str:
    """The id of the attack that a variant is of."""
    return case.rpartition(_VARIANT)[0] or case


def list_attacks(
    golden: Golden, suite: str, placements: tuple[str, ...], *, seed: int, order: str = ORDER
) -> list[PlacedAttack]:
    """
    What can be varied of a suite: built-in attacks, and those of a golden file whose input is one text.

    Args:
        suite: Name of the built-in suite; empty for a golden file.
    """
    if suite:
        return list(place_attacks(suite, placements, seed=seed, order=order))
    return [attack for case in golden.cases if (attack := _read_attack(case))]


def _read_attack(case: Case) -> PlacedAttack | None:
    options = next((check.options for check in case.checks if check.metric == CHECK), None)
    if options is None or not isinstance(case.input, str):
        return None
    facets = read_facets(case)
    return PlacedAttack(
        id=case.id,
        payload=case.id,
        technique="variant",
        goal=options.get("goal", ""),
        text=case.input,
        success=options["success"],
        placement=QUESTION,
        owasp=facets.owasp,
        atlas=facets.atlas,
        words=tuple(_find_words(case.input, options["success"])),
    )


def _find_words(text: str, success: Mapping[str, object]) -> list[str]:
    """What no letter may be changed of, as success is recognised by it: pieces of a canary, hosts, values."""
    wanted = [each for key in ("canary", "argument", "url") if isinstance(each := success.get(key), str)]
    pieces = {
        word
        for word in _WORD.findall(text)
        if len(word) >= _PIECE and any(word.casefold() in each.casefold() for each in wanted)
    }
    return sorted(pieces, key=len, reverse=True)
