"""Lists of English words, in `english.json`: what turns a sentence round, what is a number …"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any


@lru_cache(maxsize=1)
def load_english() -> dict[str, Any]:
    """Name to words, separated by blanks; `opposites` are pairs, the first of which is the more."""
    lists: dict[str, Any] = json.loads(
        files("pytest_llmops.metrics.faithfulness").joinpath("english.json").read_text("utf-8")
    )
    return lists


def join_phrases(name: str) -> str:
    """The phrases of a list as alternatives of a pattern, the longest first, however an apostrophe is set."""
    phrases = sorted(load_english()[name], key=len, reverse=True)
    return "|".join(
        re.escape(phrase).replace("n't", r"\s?n't").replace("'", r"\s?['\u2019]").replace(r"\ ", r"\s+")
        for phrase in phrases
    )
