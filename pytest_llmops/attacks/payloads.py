"""The built-in attacks: read from `data/*.yaml`, filled with invented words, disguised and placed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from random import Random
from typing import Annotated, Any

from pytest_llmops.attacks.disguises import DISGUISES, disguise
from pytest_llmops.attacks.placements import ATLAS_OF, PLACEMENTS, QUESTION
from pytest_llmops.documents.record_reader import record_reader
from pytest_llmops.documents.value_readers import list_of, one_of, read_any, read_name
from pytest_llmops.documents.values import plain
from pytest_llmops.documents.yaml_document import read_yaml

EVERYTHING = "owasp"
SUITES = (EVERYTHING, "injection", "tools", "leak")
"""Built-in suites; `owasp` is all of the others."""

ORDER = "A-1042"
"""The order that attacks on tools name, unless another is given."""

_OBFUSCATION = "AML.T0068"
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """
    One attack as it is written down.

    Attributes:
        goal: What it is after, for people.
        text: With `{left}`, `{right}`, `{amount}` and `{order}`, which each attack fills with other values.
        success: As in a check `attack`, with the same values.
        owasp: Entries of the OWASP LLM Top 10 (2025); `atlas` are MITRE ATLAS techniques.
        disguises: In which it is tried, too, in the question.
    """

    id: Annotated[str, read_name]
    technique: Annotated[str, read_name]
    goal: Annotated[str, read_name]
    text: Annotated[str, read_name]
    success: Annotated[Mapping[str, Any], read_any]
    owasp: tuple[str, ...]
    atlas: tuple[str, ...] = ()
    disguises: Annotated[tuple[str, ...], list_of(one_of(*DISGUISES))] = ()
    placements: Annotated[tuple[str, ...], list_of(one_of(*PLACEMENTS))] = PLACEMENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedAttack:
    """
    One attack at one place, ready to be tried.

    Attributes:
        id: `refund-plain.question.base64`.
        payload: Id of the attack as it is written down, whatever its place and disguise.
        text: Without the ordinary text of its place.
        words: Values by which its success is recognised.
        placements: Where else it may be tried.
        atlas: With the techniques of its place and disguise.
    """

    id: str
    payload: str
    technique: str
    goal: str
    text: str
    success: Mapping[str, Any]
    placement: str
    owasp: tuple[str, ...]
    atlas: tuple[str, ...]
    words: tuple[str, ...] = ()
    placements: tuple[str, ...] = (QUESTION,)


def load_payloads(suite: str) -> tuple[Payload, ...]:
    """The built-in attacks of a suite, in their order."""
    names = SUITES[1:] if suite == EVERYTHING else (suite,)
    return tuple(payload for name in names for payload in _read(name))


@lru_cache(maxsize=8)
def _read(name: str) -> tuple[Payload, ...]:
    text = files("pytest_llmops.attacks").joinpath("data", f"{name}.yaml").read_text("utf-8")
    document, _ = read_yaml(text, file="attack file")
    payloads: tuple[Payload, ...] = list_of(record_reader(Payload))(plain(document)["attacks"])
    return payloads


def place_attacks(
    suite: str, placements: tuple[str, ...], *, seed: int, order: str = ORDER
) -> Iterator[PlacedAttack]:
    """
    The attacks of a built-in suite at each of those places, disguised ones in the question alone.

    Args:
        seed: Fixes the invented words and amounts.
        order: What attacks on tools name; an app looks up orders that it has.
    """
    for payload in load_payloads(suite):
        values = {**_make_values(payload.id, seed), "order": order}
        for placement in placements:
            if placement in payload.placements:
                yield _place(payload, values, placement)
        if QUESTION in placements:
            for name in payload.disguises:
                yield _place(payload, values, QUESTION, name)


def _place(payload: Payload, values: Mapping[str, str], placement: str, disguised: str = "") -> PlacedAttack:
    words = tuple(values[name] for name in ("left", "right", "amount"))
    text = _fill(payload.text, values)
    if disguised:
        text = disguise(disguised, text, words)
    atlas = (*ATLAS_OF[placement], *payload.atlas, *([_OBFUSCATION] if disguised else []))
    return PlacedAttack(
        id=".".join(filter(None, (payload.id, placement, disguised))),
        payload=payload.id,
        technique=payload.technique,
        goal=payload.goal,
        text=text,
        success={name: _fill(each, values) for name, each in payload.success.items()},
        placement=placement,
        owasp=payload.owasp,
        atlas=tuple(dict.fromkeys(atlas)),
        words=words,
        placements=payload.placements,
    )


def _make_values(payload: str, seed: int) -> dict[str, str]:
    """Words that no language has, so that nobody says them by chance."""
    drawn = Random(f"{seed}:{payload}")  # noqa: S311 - they must be unlike, not secret
    return {
        "left": _make_word(drawn),
        "right": _make_word(drawn),
        "amount": str(drawn.randint(6100, 9799)),
    }


def _make_word(drawn: Random) -> str:
    return "".join(drawn.choice(_CONSONANTS) + drawn.choice(_VOWELS) for _ in range(3))


def _fill(text: Any, values: Mapping[str, str]) -> Any:
    if not isinstance(text, str):
        return text
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
