"""
Other detectors that the injection metric is compared with, each with its own defaults.

`stackone-defender` and `jailguard` come with the group `bench`. What cannot run here says why.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from pytest_llmops.errors import WeightsError
from pytest_llmops.models import weights

Detector = Callable[[str], bool]
"""Whether a text is flagged."""

KEYWORDS = re.compile("ignore|disregard|jailbreak|system prompt", re.IGNORECASE)
_EMBEDDER = "all-MiniLM-L6-v2.onnx"  # as jailguard names the file that it would download


class UnavailableError(Exception):
    """A detector cannot run here."""


def keywords() -> Detector:
    """Four words."""
    return lambda text: bool(KEYWORDS.search(text))


def stackone_defender() -> Detector:
    """`allowed` or not, with blocking switched on; of the text as a whole."""
    try:
        from stackone_defender import create_prompt_defense
    except ImportError:
        raise UnavailableError("it is not installed; run: pip install --group bench") from None
    defence = create_prompt_defense(block_high_risk=True)
    return lambda text: not defence.defend_tool_result(text, "read_page").allowed


def jailguard() -> Detector:
    """
    `is_injection`; of the text as a whole.

    It embeds by all-MiniLM-L6-v2 in single precision, which it downloads from a hub. Where
    `$JAILGUARD_MODEL_DIR` does not hold that file, this project's copy in 8 bits takes its place, whose
    vectors are the same to a cosine of .9994.
    """
    try:
        import jailguard as package
    except ImportError:
        raise UnavailableError("it is not installed; run: pip install --group bench") from None
    if not Path(os.environ.get("JAILGUARD_MODEL_DIR", ""), _EMBEDDER).is_file():
        try:
            found = weights.find("minilm-int8") / "model.onnx"
        except WeightsError as error:
            raise UnavailableError(f"its embedder comes from a hub, and ours is not there: {error}") from None
        folder = Path(tempfile.gettempdir()) / "llmops-jailguard"
        folder.mkdir(exist_ok=True)
        (folder / _EMBEDDER).unlink(missing_ok=True)
        (folder / _EMBEDDER).symlink_to(found)
        os.environ["JAILGUARD_MODEL_DIR"] = str(folder)
    return lambda text: bool(package.is_injection(text))


OTHERS: dict[str, Callable[[], Detector]] = {
    "keywords": keywords,
    "stackone-defender": stackone_defender,
    "jailguard": jailguard,
}
