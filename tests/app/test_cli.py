"""The command line with the app behind it."""

from __future__ import annotations

import json

import pytest

from tests.openai_server import OpenAIServer
from tests.scripted_model import plan_or_read_aloud


@pytest.mark.usefixtures("weights")  # skipped where they are missing
def test_an_answer_has_its_sources_and_its_trace_no_personal_data(ask, shop):
    question = "I'm Ada Quimby, ada@example.com. What does delivery cost?"

    def answer(request):
        planned = plan_or_read_aloud(request)
        return planned if planned.startswith("{") else "Delivery costs 4 pounds. [posts#price]"

    with OpenAIServer(answer=answer) as server:
        model = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        code, output, errors = ask("--trace", question, **model, **shop)

    assert (code, "4 pounds" in output) == (0, True), output + errors
    assert "source: Delivery > Price" in errors.splitlines()
    assert any(
        line.startswith("invoke_agent support ") and line.endswith(" tokens") for line in errors.splitlines()
    )
    assert not [text for text in ("Quimby", "ada@") if text in output + errors]


@pytest.mark.usefixtures("weights")
def test_an_order_is_looked_up_without_its_customer(ask_here, shop):
    with OpenAIServer(answer=plan_or_read_aloud) as server:
        model = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        code, output, errors = ask_here("--json", "Where is my order FW-20001?", **model, **shop)
    answer = json.loads(output)

    assert code == 0, errors
    assert "shipped" in answer["text"]
    assert {call["name"] for call in answer["tool_calls"]} <= {"order_status", "shipment"}
    assert "Quimby" not in output + errors


@pytest.mark.parametrize(
    ("arguments", "changed", "code", "said"),
    [
        (["   "], {}, 2, "The question is empty."),
        (["x" * 2001], {}, 2, "The question has 2001 characters; at most 2000 are read."),
        (["x", "--customer", "0"], {}, 2, "The customer must be a whole number"),
        (["x"], {"REFERENCE_APP_TOP_K": "many"}, 1, "REFERENCE_APP_TOP_K is 'many'"),
        (["x"], {"REFERENCE_APP_WEIGHTS": "/nowhere"}, 1, "Run `llmops models pull`"),
        (["x"], {"REFERENCE_APP_KNOWLEDGE": "/nowhere"}, 1, "/nowhere holds no document"),
        (["serve", "--port", "70000"], {}, 1, "70000 is no port"),
        (["guard", "--file", "/nowhere"], {}, 1, "No such file or directory: '/nowhere'"),
    ],
)
def test_a_mistake_is_one_clear_line(ask_here, shop, weights, arguments, changed, code, said):  # noqa: ARG001, PLR0913, PLR0917
    answered, output, errors = ask_here(*arguments, **{**shop, **changed})

    (line,) = [line for line in errors.splitlines() if "serving the embedded models" not in line]
    assert (answered, output) == (code, "")
    assert line.startswith("reference_app: ")
    assert said in line


@pytest.mark.parametrize("arguments", [["--help"], ["vault", "--help"], ["serve", "--port", "x"]])
def test_the_arguments_are_explained(ask_here, arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        ask_here(*arguments)

    said = "".join(capsys.readouterr())
    assert ended.value.code == (0 if "--help" in arguments else 2)
    assert said.startswith("usage: python -m reference_app")
