"""Chat completions of judges: one client an endpoint, in the form it understands, read strictly."""

from __future__ import annotations

from pytest_llmops.judges.completion.failures import JudgeError, NoVerdictError
from pytest_llmops.judges.completion.loop import close, run
from pytest_llmops.judges.completion.verdict import Answer, request_verdict, request_yes

__all__ = ["Answer", "JudgeError", "NoVerdictError", "close", "request_verdict", "request_yes", "run"]
