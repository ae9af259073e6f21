"""Golden files: questions to an app, and the checks of its answers."""

from __future__ import annotations

from pytest_llmops.golden.files import find_golden_files
from pytest_llmops.golden.identity import input_hash
from pytest_llmops.golden.loader import load_golden

__all__ = ["find_golden_files", "input_hash", "load_golden"]
