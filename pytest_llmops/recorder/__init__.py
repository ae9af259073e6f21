"""Every model call of an app: known by its identity, kept in cassettes, replayed, explained."""

from __future__ import annotations

from pytest_llmops.recorder.call import Call, CallLog
from pytest_llmops.recorder.recording import Recorder

__all__ = ["Call", "CallLog", "Recorder"]
