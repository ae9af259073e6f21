"""A scanner that does not find its own canaries is broken, and must never be taken for a clean result."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_llmops.detect.soundness.canaries import CANARY_KINDS, make_canaries
from pytest_llmops.errors import ScanError

SECRETS = ("PRIVATE_KEY", "JWT", "API_KEY", "PASSWORD_IN_URL", "PASSWORD")
_SEED = 1

Scan = Callable[[str], Iterable[str]]
"""The kinds that are found in a text."""


def check_scan(scan: Scan, kinds: Iterable[str] = CANARY_KINDS) -> None:
    """
    Have the scanner find a canary of each kind.

    Raises:
        ScanError: It does not; names the kinds.
    """
    canaries = make_canaries(kinds=tuple(kinds), seed=_SEED)
    if lost := [each.kind for each in canaries if each.kind not in scan(each.text)]:
        raise ScanError(
            f"the scanner does not find what it must ({', '.join(lost)}), so no text is known to be clean; "
            'reinstall it: pip install --force-reinstall "pytest-llmops[pii]"'
        )
