"""The turn of a conversation that a check is about, for reports."""

from __future__ import annotations

import math

from pytest_llmops.records import CaseResult, Turn
from pytest_llmops.registry import find_traits, split_turn


def find_turn(result: CaseResult, metric: str) -> Turn | None:
    """Return the turn, of the repeat that a metric of one turn scored worst; None for one of whole cases."""
    number, _ = split_turn(metric)
    turns = [turn for turn in result.turns if turn.turn == number]
    values = {score.repeat: score.value for score in result.scores if score.metric == metric}
    sign = 1 if find_traits(metric).higher_is_better else -1
    return min(turns, key=lambda turn: sign * values.get(turn.repeat, -math.inf * sign), default=None)


def describe_turn(turn: Turn) -> str:
    """Return what was said in a turn, on a line each for the user and the app."""
    return f"user: {turn.user}\nanswer: {turn.text}"
