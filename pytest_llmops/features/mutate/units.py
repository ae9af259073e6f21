"""A unit of an answer, made another: days to weeks, pounds to euros, a day to a week."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_llmops.features.mutate.languages import Language, join_words
from pytest_llmops.features.mutate.places import AROUND, rank_of, tier_of_text
from pytest_llmops.features.mutate.readings import Edit, Reading, choose
from pytest_llmops.metrics.facts.values import CURRENCIES
from pytest_llmops.text.characters import fold

_ABBREVIATED = 3  # letters
_SIGNS = {"\u00a3": "\u20ac", "\u20ac": "$", "$": "\u20ac", "\u00a5": "$"}


def change_unit(reading: Reading) -> Edit | None:
    """Make days weeks, pounds euros, a rate a day one a week, and so on."""
    edits = [edit for edit in (*_unit_edits(reading), *_rate_edits(reading)) if not reading.is_stated(edit)]
    edits = [edit for edit in edits if fold(_around(reading, edit)) not in reading.folded_sources]
    if not edits:
        return None
    tiers = [
        (tier_of_text(reading, edit.change.split(" \u2192 ")[0]), rank_of(reading, edit.start))
        for edit in edits
    ]
    best = min(tiers)
    return choose(
        [edit for edit, tier in zip(edits, tiers, strict=True) if tier == best], reading.seed, "unit"
    )


def _unit_edits(reading: Reading) -> Iterator[Edit]:
    prose, language = reading.prose, reading.language
    for match in re.finditer(
        rf"(?<![A-Za-z])([{CURRENCIES}])\s?\d|\d\s?([{CURRENCIES}])(?![\d{CURRENCIES}])", prose
    ):
        if _is_bounded(prose, match.start(), language):
            continue
        group = 1 if match[1] else 2
        amount = re.search(r"\d[\d.,]*", prose[match.start() : match.start() + 24]) if match[1] else None
        old, new = match[group], _SIGNS[match[group]]
        shown = (f"{old}{amount[0].rstrip('.,')}", f"{new}{amount[0].rstrip('.,')}") if amount else (old, new)
        yield Edit(start=match.start(group), end=match.end(group), new=new, change=" \u2192 ".join(shown))
    if language is None:
        return
    number = (
        join_words([*language.numbers.values()])
        if language.is_spaced
        else "[\u4e00\u4e8c\u4e24\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341]"
    )
    for find, put in language.units:
        flags = 0 if len(find) <= _ABBREVIATED else re.IGNORECASE  # `5 m` is no `5 M`
        pattern = (
            re.compile(
                rf"(?P<number>(?<![\w.,/-])\d[\d.,]{{0,12}}|(?<!\w)(?i:{number}))"
                rf"(?P<gap>[\s-]?)(?P<unit>{find})(?!\w)",
                flags,
            )
            if language.is_spaced
            else re.compile(
                rf"(?P<number>(?<![\d.])\d[\d.,]{{0,12}}|{number})(?P<gap>\s?)(?P<unit>{find})(?!\u5185\u7684)"
            )
        )
        for match in pattern.finditer(prose):
            if language.unit_block.match(prose[match.end() : match.end() + 20].lstrip()):
                continue
            if _is_bounded(prose, match.start(), language):
                continue
            if not language.is_spaced and match["unit"] == "\u5e74":
                continue
            new = put.capitalize() if match["unit"].istitle() and len(put) > _ABBREVIATED else put
            yield Edit(
                start=match.start("unit"),
                end=match.end("unit"),
                new=new,
                change=f"{match[0]} \u2192 {match['number']}{match['gap']}{new}",
            )


def _is_bounded(prose: str, start: int, language: Language | None) -> bool:
    """Return whether `more than` or `under` is before an amount, which may be true in another unit, too."""
    before = prose[max(0, start - AROUND) : start]
    return bool(language and (language.rising.search(before) or language.falling.search(before)))


def _rate_edits(reading: Reading) -> Iterator[Edit]:
    if reading.language is None:
        return
    for rule in reading.language.rates:
        for match in rule.find.finditer(reading.prose):
            around = reading.prose[max(0, match.start() - AROUND) : match.start()]
            if re.search(r"\d", around) or not reading.language.is_spaced:
                yield Edit(
                    start=match.start(),
                    end=match.end(),
                    new=rule.put,
                    change=f"{match[0].strip()} \u2192 {rule.put.strip()}",
                )


def _around(reading: Reading, edit: Edit) -> str:
    """Return the number with its new unit."""
    before = re.search(r"[\d.,]+[\s-]?\Z", reading.text[max(0, edit.start - 20) : edit.start])
    after = (
        re.match(r"\s?[\d.,]*\d", reading.text[edit.end : edit.end + 20])
        if edit.new in _SIGNS.values()
        else None
    )
    return f"{before[0] if before else ''}{edit.new}{after[0] if after else ''}" if before or after else "\0"
