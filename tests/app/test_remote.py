"""Any OpenAI-compatible endpoint can take the place of the embedded model."""

from __future__ import annotations

import json

import openai
import pytest

from reference_app.app import SupportApp
from reference_app.errors import EndpointError
from reference_app.settings import read_settings
from tests import openai_server
from tests.openai_server import OpenAIServer

QUESTION = "How heavy is the Kestrel tent?"
PLAN = {"calls": [{"name": "search_documents", "arguments": {"query": "weight of the Kestrel tent"}}]}


@pytest.fixture
def server():
    def answer(request):
        planning = request["messages"][0]["content"].startswith("You plan")
        return json.dumps(PLAN) if planning else "The Kestrel tent weighs 3.4 kg [tents#weight]."

    with OpenAIServer(answer=answer) as server:
        yield server


@pytest.fixture(autouse=True)
def _brief_pauses(monkeypatch):
    """The client asks as often as ever, without half a second between."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)


@pytest.fixture
def variables(running_shop, server):
    """Both models at the test's own server, no weights anywhere."""
    return {
        **running_shop,
        "OPENAI_BASE_URL": server.url,
        "OPENAI_API_KEY": "sk-test",
        "REFERENCE_APP_MODEL": "some-model",
        "REFERENCE_APP_EMBEDDING_MODEL": "text-embedding-3-small",
        "REFERENCE_APP_WEIGHTS": "/nowhere",
    }


@pytest.fixture
def ask():
    """Ask an app under these variables; it is closed at the end of the test."""
    opened = []

    def run(variables):
        opened.append(SupportApp(read_settings(variables)))
        return opened[-1].answer(QUESTION)

    yield run
    for app in opened:
        app.close()


def test_both_models_are_asked_at_the_environment_s_endpoint(ask, variables, server):
    answer = ask(variables)

    assert (answer["model"], answer["passages"][0]["id"]) == ("some-model", "tents#weight")
    assert "3.4 kg" in answer["text"]
    assert {request["model"] for request in server.requests} == {"some-model", "text-embedding-3-small"}
    planned, answered = [request for request in server.requests if request["model"] == "some-model"]
    assert planned["response_format"]["json_schema"]["schema"]["required"] == ["calls"]
    assert "response_format" not in answered
    assert {request["temperature"] for request in (planned, answered)} == {0}


def test_an_endpoint_that_counts_no_tokens_will_do(ask, variables, monkeypatch):
    def uncounted(request, embed=openai_server._embeddings):
        return {name: value for name, value in embed(request).items() if name != "usage"}

    monkeypatch.setattr(openai_server, "_embeddings", uncounted)

    assert "3.4 kg" in ask(variables)["text"]


@pytest.mark.usefixtures("weights")
def test_without_a_model_for_vectors_the_embedded_encoder_still_searches(ask, running_shop, server):
    answer = ask({**running_shop, "OPENAI_BASE_URL": server.url})

    assert (answer["model"], answer["passages"][0]["id"]) == ("gpt-4o-mini", "tents#weight")
    assert server.calls["/v1/embeddings"] == 0


@pytest.mark.parametrize(
    ("fault", "raised", "said"),
    [
        ("401", openai.AuthenticationError, "401"),
        ("429", openai.RateLimitError, "429"),
        ("500", openai.InternalServerError, "500"),
        ("cut", openai.APIConnectionError, "Connection"),
        ("malformed", EndpointError, "The endpoint sent what is no JSON"),
        ("error_body", EndpointError, "holds no answer"),
        ("no_choices", EndpointError, "holds no answer"),
    ],
)
@pytest.mark.parametrize("good", [0, 1])
def test_a_failing_endpoint_is_the_client_s_error_or_our_own(  # noqa: PLR0913, PLR0917
    ask, variables, server, fault, raised, said, good
):
    ask(variables)  # the documents are embedded
    server.fault = fault
    server.faults.extend([None] * good)

    with pytest.raises(raised, match=said) as told:
        ask(variables)

    assert "sk-test" not in str(told.value)


def test_nothing_of_the_embedded_models_is_imported(launch, variables):
    code = (
        "import sys, reference_app; reference_app.answer('x');"
        "print({'xllamacpp', 'onnxruntime', 'tokenizers'} & set(sys.modules))"
    )

    output, errors = launch("-c", code, **variables).communicate(timeout=60)

    assert output == "set()\n", errors


def test_importing_the_app_imports_nothing_heavy(launch):
    heavy = {"openai", "langgraph", "numpy", "yaml", "pytest_llmops"}
    code = f"import sys, reference_app; print({heavy} & set(sys.modules))"

    output, errors = launch("-c", code).communicate(timeout=60)

    assert output == "set()\n", errors
