"""Personal data and secrets where they stand, so that no part of one is shown without what gives it away."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from os.path import commonprefix

from pytest_llmops.detect.mask import find_values
from pytest_llmops.features.mutate.answers import FALSE_KINDS
from pytest_llmops.features.mutate.trials import Trial


def is_private(part: str, *texts: str) -> bool:
    """Return whether a part of texts overlaps a finding in any of them."""
    return any(_overlaps(text, start, end) for text in texts for start, end in _places(text, part))


def changes_private(trial: Trial) -> bool:
    """
    Return whether an answer was changed in a finding, or to one.

    Masked by itself, such a change would show what stands masked in the answer: what gives it away, such as
    `Date of birth:`, is not in it. Nor need a scan find what became of it.
    """
    answered, output = trial.mutation.answered, trial.mutation.output
    if trial.group != "output" or trial.kind not in FALSE_KINDS or answered is None or output is None:
        return False
    return differs_in_private(answered.output.text, output.text)


@lru_cache(maxsize=4_096)
def differs_in_private(good: str, bad: str) -> bool:
    """Return whether the part in which two texts differ overlaps a finding in either."""
    same = len(commonprefix([good, bad]))  # noqa: RUF071 - of two texts, not of paths
    ends = [text[same:][::-1] for text in (good, bad)]
    after = len(commonprefix(ends))  # noqa: RUF071 - as above
    return any(_overlaps(text, same, len(text) - after) for text in (good, bad))


def _overlaps(text: str, start: int, end: int) -> bool:
    """Return whether a place touches a finding; it does where nobody can tell."""
    values = _find(text)
    return values is None or any(
        first <= end and start <= last for value in values for first, last in _places(text, value)
    )


@lru_cache(maxsize=4_096)
def _find(text: str) -> tuple[str, ...] | None:
    """Return the values that are masked in a text; None if the scanner is broken."""
    try:
        return tuple(dict.fromkeys(value for value in find_values(text) if value))
    except Exception:  # noqa: BLE001 - whatever breaks, nothing is shown that was not scanned
        return None


def _places(text: str, part: str) -> Iterator[tuple[int, int]]:
    at = text.find(part)
    while part and at >= 0:
        yield at, at + len(part)
        at = text.find(part, at + len(part))
