"""Functions as metrics: what they may take, return and say of themselves."""

from __future__ import annotations

import math
import pickle

import pytest

import pytest_llmops
from pytest_llmops import metric, registry
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.gates.paired_runs import find_scale
from pytest_llmops.golden.thresholds import read_checks
from pytest_llmops.records import Bound, Failure, Output, Sample, Score
from pytest_llmops.registry import create_metric, metric_options


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    registry._parameters.cache_clear()
    yield
    registry._parameters.cache_clear()


def sample(text="yes, please", **changes):
    return Sample(output=Output(text=text, repeat=2), **changes)


def polite(output, case, *, word="please"):
    return (word in output.text, f"no {word}\n to {case.input}")


def score(made, *given):
    return list(made.score(given))


def test_a_function_becomes_a_metric_and_stays_a_function():
    assert pytest_llmops.metric is metric
    assert metric("polite")(polite) is polite
    (result,) = score(create_metric("polite"), sample("no", input="you"))
    assert result == Score(
        metric="polite", value=0.0, repeat=2, reason="no please to you", signature="polite|v1"
    )


def test_its_arguments_are_options_of_a_check():
    metric("polite", version=3)(polite)
    assert metric_options("polite") == ("word",)
    (check,), made = read_checks("polite", {"min": 0.5, "word": "yes"})
    assert (check.threshold, check.options) == (0.5, {"word": "yes"})
    (result,) = score(made, sample())
    assert (result.value, result.signature) == (1.0, "polite|v3|word='yes'")
    with pytest.raises(MetricOptionError, match=r"no option 'wrod'\. Did you mean 'word'\?"):
        create_metric("polite", {"wrod": "x"})


def test_the_sample_may_be_left_out_and_options_be_open():
    metric("length", range=(0, math.inf), higher_is_better=False, bound=5)(lambda output: len(output.text))
    made = create_metric("length")
    assert score(made, sample("four"))[0].value == 4
    assert (made.bound, find_scale("length").higher_is_better) == (Bound(comparison="<=", threshold=5), False)
    metric("open")(lambda _, **options: len(options) / 10)
    assert score(create_metric("open", {"a": [1], "b": 2}), sample())[0].value == 0.2


def test_an_option_that_must_be_given_is_asked_for():
    @metric("needy")
    def needy(output, *, word):
        return word in output.text

    with pytest.raises(MetricOptionError, match="needs the option 'word'"):
        create_metric("needy")
    assert find_scale("needy").range == (0, 1)  # told without it


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        (None, "broken returned None, not a number or (number, reason)"),
        ("high", "returned 'high'"),
        (math.nan, "returned nan"),
        ((None, "why"), "returned (None, 'why')"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
)
def test_what_is_no_number_is_a_failure_of_that_sample_alone(returned, error):
    calls = []

    @metric("broken")
    def broken(output):
        calls.append(output.text)
        if output.text == "good":
            return 1
        if isinstance(returned, Exception):
            raise returned
        return returned

    results = score(create_metric("broken"), sample("good"), sample("bad"), sample("good"))
    assert [type(result) for result in results] == [Score, Failure, Score]
    assert error in results[1].error
    assert results[1].repeat == 2
    assert calls == ["good", "bad", "good"]


def test_a_sample_without_what_is_needed_is_told_so():
    metric("same", needs="reference")(lambda output, case: output.text == case.reference)
    made = create_metric("same")
    assert "no reference" in score(made, sample())[0].error
    assert score(made, sample("a", reference="a"))[0].value == 1


def test_an_importable_function_travels_and_equal_metrics_share_a_batch():
    metric("polite")(polite)
    made = create_metric("polite", {"word": "yes"})
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own
    assert hash(made) == hash(create_metric("polite", {"word": "yes"}))
    assert made != create_metric("polite")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": polite}, 'write @metric("polite")'),
        ({"name": "two words"}, 'write @metric("polite")'),
        ({"needs": ["refrence"]}, "nothing needed is named 'refrence'. Did you mean 'reference'?"),
        ({"range": (1, 0)}, "range is (lowest, highest)"),
        ({"range": 5}, "range is (lowest, highest)"),
        ({"bound": "good"}, "'good' is none"),
        ({"range": (0, math.inf)}, "write a bound"),
    ],
)
def test_what_cannot_be_said_of_a_metric(arguments, message):
    with pytest.raises(MetricOptionError) as caught:
        metric(**{"name": "polite", **arguments})(polite)
    assert message in str(caught.value)


async def later(output):
    return output


@pytest.mark.parametrize(
    "function", [lambda: 1, lambda a, b, c: a + b + c, lambda output=None: output, int.__call__, later]
)
def test_a_function_that_cannot_be_called_so_is_refused_where_it_stands(function):
    with pytest.raises(MetricOptionError, match="odd: "):
        metric("odd")(function)


@pytest.mark.parametrize(
    ("bound", "read"),
    [
        (None, Bound(comparison=">=", threshold=1)),
        (0.5, Bound(comparison=">=", threshold=0.5)),
        ("> 0.25", Bound(comparison=">", threshold=0.25)),
        (Bound(comparison=">", threshold=0), Bound(comparison=">", threshold=0)),
    ],
)
def test_what_true_means(bound, read):
    metric("polite", bound=bound)(polite)
    assert create_metric("polite").bound == read


def test_numbers_of_numpy_are_numbers() -> None:
    import numpy as np

    @metric("numpy_half")
    def half(_output, _sample):
        return np.float32(0.5)

    (result,) = create_metric("numpy_half").score([Sample(output=Output(text="x"))])

    assert isinstance(result, Score)
    assert result.value == 0.5
