"""
What flows through the house: cases, outputs, scores, verdicts.

Standard library only, and no behaviour beyond what a value can say of itself: a function that works on
a record lives where its other data lives.
"""

from pytest_llmops.records.cases import (
    GAIN,
    Attached,
    Bound,
    Case,
    Check,
    Golden,
    ModelErrors,
    Sign,
    Source,
    SuiteCheck,
)
from pytest_llmops.records.outputs import (
    UNSEEN,
    FailedCall,
    ModelCall,
    Output,
    Passage,
    Sample,
    Span,
    ToolCall,
    Usage,
)
from pytest_llmops.records.runs import CaseResult, Failure, Run, Score, Stage
from pytest_llmops.records.verdicts import OUTCOMES, Change, Comparison, Outcome, Verdict

__all__ = [
    "GAIN",
    "OUTCOMES",
    "UNSEEN",
    "Attached",
    "Bound",
    "Case",
    "CaseResult",
    "Change",
    "Check",
    "Comparison",
    "FailedCall",
    "Failure",
    "Golden",
    "ModelCall",
    "ModelErrors",
    "Outcome",
    "Output",
    "Passage",
    "Run",
    "Sample",
    "Score",
    "Sign",
    "Source",
    "Span",
    "Stage",
    "SuiteCheck",
    "ToolCall",
    "Usage",
    "Verdict",
]
