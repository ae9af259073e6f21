"""`finish`: 1 only where every model call is known to have ended normally."""

from __future__ import annotations

import pytest

from pytest_llmops.golden.thresholds import read_checks
from pytest_llmops.metrics.finish import Finish
from pytest_llmops.records import FailedCall, Failure, ModelCall, Output, Sample

FAILED = FailedCall(provider="api.test", status=500)
RETRIED = FailedCall(provider="api.test", status=429, retried=True)


def score(*ends: str, failed: tuple[FailedCall, ...] = (), kind: str = "chat"):
    calls = tuple(ModelCall(key="k", kind=kind, finish=end) for end in ends)
    (scored,) = Finish().score([Sample(output=Output(text="a", model_calls=calls, failed_calls=failed))])
    return scored


@pytest.mark.parametrize(
    ("scored", "value", "reason"),
    [
        (score("stop"), 1, ""), (score("stop", "tool_calls", failed=(RETRIED,)), 1, ""),
        (score("stop", "length", "length"), 0, "of 3 model calls ended 2 by length"),
        (score("refusal", ""), 0, "of 2 model calls ended 1 by refusal"),
        (score("stop", failed=(FAILED,)), 0, "of 2 model calls ended 1 by failed"),
        (score("abort"), 0, "of 1 model call ended 1 by abort"),
    ],
)  # fmt: skip
def test_scores(scored, value, reason):
    assert (scored.value, scored.reason) == (value, reason)


@pytest.mark.parametrize(
    ("scored", "error"),
    [
        (score(), "no model call was seen"), (score("", kind="embeddings"), "no model call was seen"),
        (score("stop", ""), "the provider does not say why 1 of 2 model calls ended"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_no_score(scored, error):
    assert isinstance(scored, Failure)
    assert error in scored.error


@pytest.mark.parametrize("written", ["stop", True, ">= 1"])
def test_a_golden_file_may_name_the_end(written):
    ((check,), _) = read_checks("finish", written)
    assert (check.comparison, check.threshold) == (">=", 1.0)


@pytest.mark.parametrize(("name", "written"), [("finish", "stopp"), ("exact_match", "stop")])
def test_any_other_word_is_none(name, written):
    with pytest.raises(Exception, match=f"cannot read '{written}'"):
        read_checks(name, written)
