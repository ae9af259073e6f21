from __future__ import annotations

import pytest

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.semantic.similarity import Semantic
from pytest_llmops.models.encoders import RefusedTextsError, load_encoder
from pytest_llmops.models.vectors import forget
from pytest_llmops.records import Failure, Output, Sample, Score
from pytest_llmops.registry import create_metric
from tests.openai_server import OpenAIServer


def sample(text: str, reference: str | None, repeat: int = 0) -> Sample:
    return Sample(output=Output(text=text, repeat=repeat), reference=reference)


def test_the_value_is_the_cosine_that_sentence_transformers_gives():
    (result,) = Semantic().score(
        [sample("Within 60 days of delivery.", "You have two months to send it back.")]
    )

    assert isinstance(result, Score)
    assert result.value == 0.4157
    assert result.evidence == ({"cosine": result.value},)
    assert result.reason == f"cosine {result.value:.3f} to the reference"
    assert load_encoder().identity in result.signature


def test_one_result_a_sample_in_order():
    first, second, third = Semantic().score(
        [sample("60 days", "60 days", 0), sample("60 days", None, 1), sample("", "60 days", 2)]
    )

    assert first.value == pytest.approx(1.0, abs=1e-6)
    assert first.value <= 1.0
    assert isinstance(second, Failure)
    assert third.reason == "the output is empty"
    assert [each.repeat for each in (first, second, third)] == [0, 1, 2]


def test_a_text_is_encoded_once_however_often_it_stands_in_a_batch():
    forget()
    before = load_encoder().encoded

    Semantic().score([sample(f"answer {number % 2}", "one reference") for number in range(10)])
    Semantic().score([sample("answer 1", "one reference")])

    assert load_encoder().encoded - before == 3


def test_a_batch_without_references_needs_no_encoder():
    (result,) = Semantic(encoder="/no/such/folder").score([sample("a", None)])

    assert isinstance(result, Failure)


def test_rounding_does_not_leave_the_range(monkeypatch):
    import numpy as np

    from pytest_llmops.metrics.semantic import similarity as cosine

    monkeypatch.setattr(cosine, "embed", lambda _encoder, texts: np.full((len(texts), 1), 1.0000001))

    assert Semantic().score([sample("a", "b")])[0].value == 1.0


def test_broken_weights_are_a_failure_and_no_score(monkeypatch):
    import numpy as np

    from pytest_llmops.metrics.semantic import similarity as cosine

    monkeypatch.setattr(cosine, "embed", lambda _encoder, texts: np.full((len(texts), 2), np.nan))

    (result,) = Semantic().score([sample("a", "b")])

    assert isinstance(result, Failure)
    assert "weights are broken" in result.error


def test_output_and_input_may_be_compared_and_need_no_reference():
    metric = Semantic(pair="input")
    near, far = metric.score(
        [
            Sample(
                output=Output(text="You have 60 days to return it."), input="How long can I return a tent?"
            ),
            Sample(
                output=Output(text="The stove burns gas."),
                input={"question": "How long can I return a tent?"},
            ),
        ]
    )

    assert metric.needs == frozenset()
    assert near.value > 0.5 > far.value
    assert near.reason == f"cosine {near.value:.3f} to the input"
    assert "|input|" in near.signature


def test_only_the_input_is_a_query(monkeypatch):
    import numpy as np

    from pytest_llmops.metrics.semantic import similarity as cosine

    asked = []

    def embed(_encoder, texts, *, query=False):
        asked.append((tuple(texts), query))
        return np.ones((len(texts), 1), dtype=np.float32)

    monkeypatch.setattr(cosine, "embed", embed)
    both = Sample(output=Output(text="answer"), input="question", reference="reference")

    Semantic(pair="input").score([both])
    Semantic().score([both])

    assert sorted(asked) == [(("answer",), False), (("answer", "reference"), False), (("question",), True)]


BLANK = [
    "",
    "  \n",
    "\u200b",
    "\x00",
    "\u3164",
    "\u2800",
    "...",
    "\u2014",
    "?",
    "```\n```",
    "|---|---|",
    "___",
]


@pytest.mark.parametrize("text", BLANK)
@pytest.mark.parametrize("reference", ["Yes", "no", "Open.", "Most items can be sent back within 60 days."])
def test_an_output_that_says_nothing_scores_zero(text, reference):
    """To a short reference an empty text has a cosine of up to .5, which many bounds let pass."""
    (result,) = Semantic().score([sample(text, reference)])

    assert isinstance(result, Score)
    assert result.value == 0.0
    assert result.reason.startswith(("the output is empty", "the output contains no word: "))


def test_an_output_that_says_nothing_is_nothing_to_the_input_too():
    (result,) = Semantic(pair="input").score([Sample(output=Output(text="..."), input="Is it open?")])

    assert (result.value, result.reason) == (0.0, "the output contains no word: '...'")


def test_an_output_that_says_nothing_is_not_encoded(monkeypatch):
    """Endpoints refuse empty texts, and one must not cost the others of its batch a second call."""
    import numpy as np

    from pytest_llmops.metrics.semantic import similarity as cosine

    asked = []

    def embed(_encoder, texts):
        asked.extend(texts)
        return np.ones((len(texts), 1), dtype=np.float32)

    monkeypatch.setattr(cosine, "embed", embed)

    first, second = Semantic().score([sample("", "b", 0), sample("a", "b", 1)])

    assert asked == ["a", "b"]
    assert first.signature == second.signature
    assert (first.value, second.value) == (0.0, 1.0)


@pytest.mark.parametrize(("text", "reference"), [("-", "-"), ("+", " + "), ("\u2026", "...")])
def test_punctuation_may_be_the_answer_that_is_expected(text, reference):
    (result,) = Semantic().score([sample(text, reference)])

    assert result.value > 0.6


@pytest.mark.parametrize("text", ["\U0001f44d", "\u4f60", "7", "\u0e44"])
def test_a_sign_a_digit_or_a_letter_of_any_script_says_something(text):
    (result,) = Semantic().score([sample(text, "Yes")])

    assert result.reason.startswith("cosine")


def test_a_text_that_an_endpoint_refuses_costs_no_other_its_score(monkeypatch):
    import numpy as np

    from pytest_llmops.metrics.semantic import similarity as cosine

    def embed(_encoder, texts):
        refused = {text: "at most 8192 tokens" for text in texts if text.startswith("long")}
        if refused:
            raise RefusedTextsError(refused, np.empty((0, 0)))
        return np.ones((len(texts), 1), dtype=np.float32)

    monkeypatch.setattr(cosine, "embed", embed)

    first, second, third, fourth = Semantic(encoder="openai:small").score(
        [sample("a", "b", 0), sample("long", "b", 1), sample("a", "long", 2), sample("a", None, 3)]
    )

    assert first.value == 1.0
    assert second == Failure(
        metric="semantic", stage="score", error="the output: at most 8192 tokens", repeat=1
    )
    assert third.error == "the reference: at most 8192 tokens"
    assert "no reference" in fourth.error


def test_an_endpoint_may_be_the_encoder(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with OpenAIServer() as server:
        encoder = {"model": "openai:small", "base_url": server.url}
        metric = create_metric("semantic", {"encoder": encoder})
        same, other = metric.score([sample("one", "one", 0), sample("one", "two", 1)])

        assert [request["input"] for request in server.requests] == [["one", "two"]]
    assert same.value == 1.0
    assert other.value < 1.0
    assert same.signature.startswith("semantic|v3|openai:small|127.0.0.1:")
    assert hash(metric) == hash(create_metric("semantic", {"encoder": dict(encoder)}))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"encoder": ""}, "'default', a folder"),
        ({"encoder": 5}, "'default', a folder"),
        ({"encoder": None}, "'default', a folder"),
        ({"encoder": {"modle": "a"}}, "Did you mean 'model'?"),
        ({"pair": "inputs"}, "Did you mean 'input'?"),
    ],
)
def test_a_mistake_in_the_options_is_told(options, told):
    with pytest.raises(MetricOptionError) as error:
        Semantic(**options)

    assert told in str(error.value)
