"""
The expected score, from the probabilities of the digits that a judge might have written.

Source: Liu et al. (2023), G-Eval, eq. 1: sum of p(s) s over the scale, here over the tokens at the place of
the number, made to sum to one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LEAST_MASS = 0.5
"""Of all digits of the scale together; with less, the place was read wrongly or the list is too short."""

# Inside a JSON text every quote is escaped, so that the closing one here can only end a key.
_NUMBER = re.compile(r'"score"\s*:\s*(?=[0-9])')


def expect_scores(
    text: str, tokens: Sequence[Mapping[str, Any]], names: Sequence[str], scale: Sequence[int]
) -> dict[str, float]:
    """
    The expected score of each name whose number can be found; none where they cannot be attributed.

    Args:
        text: The answer, JSON with one `"score": digit` for each name.
        tokens: Of the text, with `token` and `top_logprobs`.
        names: In the order of the answer.
        scale: Values of one digit.
    """
    places = [matched.end() for matched in _NUMBER.finditer(text)]
    if len(places) != len(names) or "".join(str(each.get("token")) for each in tokens) != text:
        return {}
    scores: dict[str, float] = {}
    for name, place in zip(names, places, strict=True):
        expected = _expect(*_token_at(place, tokens), scale)
        if expected is not None:
            scores[name] = expected
    return scores


def _token_at(place: int, tokens: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], str]:
    """The token that holds the character at that place, and what of the token stands before it."""
    start = 0
    for token in tokens:
        end = start + len(token["token"])
        if place < end:
            return token, token["token"][: place - start]
        start = end
    raise AssertionError  # the tokens make up the text


def _expect(token: Mapping[str, Any], lead: str, scale: Sequence[int]) -> float | None:
    weights: dict[int, float] = {}
    for written, logprob in _others(token):
        digit = re.match(rf"{re.escape(lead)}([0-9])(?![0-9])", written)
        if digit is not None and (value := int(digit[1])) in scale:
            weights[value] = weights.get(value, 0.0) + math.exp(min(0.0, logprob))
    mass = sum(weights.values())
    if mass < _LEAST_MASS:
        return None
    return round(sum(value * weight for value, weight in weights.items()) / mass, 4)


def _others(token: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """What might have stood in the token's place, with the logarithm of its probability."""
    others = token.get("top_logprobs")
    for other in others if isinstance(others, list) else ():
        written, logprob = (
            (other.get("token"), other.get("logprob")) if isinstance(other, Mapping) else ("", "")
        )
        if isinstance(written, str) and isinstance(logprob, int | float) and not math.isnan(logprob):
            yield written, logprob
