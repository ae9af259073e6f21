"""Identity, recording, replay and explanation of model calls."""

from __future__ import annotations

from pytest_llmops.recorder.call import Call, CallLog, CallRules
from pytest_llmops.recorder.recording import Recorder, current_log, describe_services, recording_of, replay

__all__ = [
    "Call",
    "CallLog",
    "CallRules",
    "Recorder",
    "current_log",
    "describe_services",
    "recording_of",
    "replay",
]
