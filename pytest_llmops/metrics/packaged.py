"""Weights that are files of this package, and the function that turns their sums into scores."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, TypeVar

from pytest_llmops.errors import WeightsError

_FAR = 30.0  # beyond, 1 - 1e-13 is as good as 1
Weights = TypeVar("Weights")


def load_once(
    folder: str, file: str, owner: str, read: Callable[[Any, str], Weights]
) -> Callable[[], Weights]:
    """
    Return a function that loads the weights of a JSON file of `metrics/<folder>`, at its first call.

    It raises a WeightsError if the file is missing or broken, or lacks a number.

    Args:
        owner: What they belong to, for the message.
        read: Makes the weights of the written numbers and their identity, a digest of the file.
    """

    @cache
    def load() -> Weights:
        try:
            raw = files(f"pytest_llmops.metrics.{folder}").joinpath(file).read_bytes()
            return read(json.loads(raw), sha256(raw).hexdigest()[:12])
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise WeightsError(f"{file} of {owner} is broken ({error}); reinstall pytest-llmops") from None

    return load


def squash(logit: float) -> float:
    """Return the logistic function; never quite 0 or 1."""
    return 1 / (1 + math.exp(-max(min(logit, _FAR), -_FAR)))
