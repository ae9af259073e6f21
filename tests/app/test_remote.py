"""Any OpenAI-compatible endpoint can take the place of the embedded model."""

from __future__ import annotations

import json

import pytest

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
def variables(shop, server, tmp_path):
    """Both models at the test's own server, no weights anywhere."""
    return {
        **shop,
        "REFERENCE_APP_INDEX": str(tmp_path),
        "OPENAI_BASE_URL": server.url,
        "OPENAI_API_KEY": "sk-test",
        "REFERENCE_APP_EMBEDDING_MODEL": "text-embedding-3-small",
        "REFERENCE_APP_WEIGHTS": "/nowhere",
    }


def test_both_models_are_asked_at_the_environment_s_endpoint(ask_here, variables, server):
    code, output, errors = ask_here("--json", QUESTION, **variables, REFERENCE_APP_MODEL="some-model")

    assert (code, errors) == (0, "")
    assert json.loads(output)["model"] == "some-model"
    assert {request["model"] for request in server.requests} == {"some-model", "text-embedding-3-small"}
    assert server.calls["/v1/chat/completions"] >= 1


def test_an_endpoint_that_counts_no_tokens_will_do(ask_here, variables, monkeypatch):
    def uncounted(request, embed=openai_server._embeddings):
        return {name: value for name, value in embed(request).items() if name != "usage"}

    monkeypatch.setattr(openai_server, "_embeddings", uncounted)
    code, _, errors = ask_here("--json", QUESTION, **variables)

    assert (code, errors) == (0, "")


@pytest.mark.usefixtures("weights")
def test_without_a_key_the_embedded_encoder_still_searches(ask_here, shop, server):
    chat = {"OPENAI_BASE_URL": server.url}
    code, output, errors = ask_here("--json", QUESTION, **shop, **chat)
    answer = json.loads(output)

    assert code == 0, errors
    assert answer["model"] == "gpt-4o-mini"
    assert answer["passages"][0]["id"] == "tents#weight"
    assert "3.4 kg" in answer["text"]
    assert server.calls["/v1/embeddings"] == 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("401", "The endpoint refused the key (HTTP 401); check OPENAI_API_KEY."),
        ("429", "The endpoint is limiting its rate or your quota is spent (HTTP 429)"),
        ("500", "The endpoint answered HTTP 500"),
        ("cut", "The line to the endpoint failed"),
        ("malformed", "The endpoint sent what is no JSON"),
    ],
)
def test_a_failing_endpoint_is_one_clear_line(ask_here, variables, server, fault, said):
    server.fault = fault

    code, output, errors = ask_here(QUESTION, **variables)

    assert (code, output) == (1, "")
    assert errors.count("\n") == 1
    assert errors.startswith(f"reference_app: {said}")
    assert "sk-" not in errors


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize(("fault", "said"), [("cut", "The line to"), ("error_body", "holds no answer")])
def test_a_model_that_breaks_in_the_middle_is_one_clear_line(ask_here, shop, server, fault, said):
    server.faults.extend([None, *[fault] * 5])

    code, output, errors = ask_here(QUESTION, **shop, OPENAI_BASE_URL=server.url)

    assert code == 1
    assert output == ""  # a draft is not shown
    assert said in errors.splitlines()[-1]
    assert "Traceback" not in errors


@pytest.mark.parametrize("guards", ["none", "input,grounding,output"])
def test_control_characters_of_a_model_do_not_reach_the_terminal(ask_here, variables, server, guards):
    draft = server.answer
    server.answer = lambda request: draft(request).replace("kg", "kg \x1b]0;owned\x07\x1b[2J\u202e")

    code, output, errors = ask_here(QUESTION, **variables, REFERENCE_APP_GUARDRAILS=guards)

    assert code == 0
    assert "3.4 kg" in output
    assert not {"\x1b", "\x07", "\u202e"} & set(output + errors)


def test_the_library_lets_the_client_s_errors_pass(launch, variables, server):
    server.fault = "401"
    code = (
        "import openai, reference_app\n"
        "try: reference_app.answer('x')\n"
        "except openai.APIStatusError as error: print(type(error).__name__, error.status_code)"
    )

    output, _ = launch("-c", code, **variables).communicate(timeout=60)

    assert output == "AuthenticationError 401\n"


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
