"""How a judge is asked: one client an endpoint, in the form it understands, read strictly."""

from __future__ import annotations

from pytest_llmops.judges.asking.failures import JudgeError, NoVerdictError
from pytest_llmops.judges.asking.forms import Answer, ask
from pytest_llmops.judges.asking.loop import close, run
from pytest_llmops.judges.asking.yes_no import ask_yes

__all__ = ["Answer", "JudgeError", "NoVerdictError", "ask", "ask_yes", "close", "run"]
