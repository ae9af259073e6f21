"""One set of cases, asked of the app in this process, by HTTP and by command."""

from __future__ import annotations

import json
import re
import sys

import pytest

from tests.openai_server import OpenAIServer
from tests.scripted_model import plan_or_read_aloud

LONG = "Where? " * 300
CASES = f"""
cases:
  - id: right
    input: What does delivery cost?
    checks: {{keywords: {{all: [4 pounds]}}, pii_leak: none}}
  - id: wrong
    input: What does the Kestrel tent weigh?
    checks: {{keywords: {{all: [9 kg]}}}}
  - id: an-order
    input: Where is my order FW-20001?
    checks: {{keywords: {{all: [shipped]}}, tool_calls: [{{name: order_status}}], denied_calls: none}}
  - id: another-call
    input: Where is my order FW-20001?
    checks: {{tool_calls: [{{name: request_refund}}]}}
  - id: too-long
    input: {LONG}
    checks: {{keywords: {{all: [Where]}}}}
  - id: conversation
    turns:
      - {{user: I ask about the order FW-20001.}}
      - {{user: Where is it?, checks: {{keywords: {{all: [shipped]}}}}}}
"""
FUNCTION = "app: reference_app:answer\n"
COMMAND = f"app: {{{{command: [{sys.executable}, -m, reference_app, lines]}}}}\n"
HTTP = """app:
  http:
    url: {url}/v1/ask
    body: {{question: "{{{{ input }}}}", thread: "{{{{ session }}}}"}}
    answer: $.text
    tool_calls: $.tool_calls[*]
"""
VERDICTS = {
    "right": "PASSED",
    "wrong": "FAILED",
    "an-order": "PASSED",
    "another-call": "FAILED",
    "too-long": "ERROR",
    "conversation": "PASSED",
}


def plan_or_cite(request):
    """Reply as the model does that knows what delivery costs, and nothing else."""
    planned = plan_or_read_aloud(request)
    return planned if planned.startswith("{") else "Delivery costs 4 pounds. [posts#price]"


@pytest.fixture(scope="module")
def shop_and_model(running_shop):
    with OpenAIServer(answer=plan_or_cite) as server:
        yield {**running_shop, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}


@pytest.fixture
def url(launch, shop_and_model):
    served = launch("-m", "reference_app", "serve", "--port", "0", **shop_and_model)
    return re.search(r"http://\S+", served.stderr.readline())[0]


@pytest.fixture
def verdicts(tmp_path, launch, shop_and_model):
    def run(app):
        (tmp_path / "shop.yaml").write_text(f"version: 1\n{app}{CASES}")
        arguments = [
            "--llm-golden",
            "shop.yaml",
            "-rA",
            "--llm-concurrency",
            "1",
        ]  # one process of the command
        process = launch(
            "-m", "pytest", "--rootdir", str(tmp_path), *arguments, cwd=tmp_path, **shop_and_model
        )
        output, errors = process.communicate(timeout=50)
        found = re.findall(r"^(PASSED|FAILED|ERROR) shop\.yaml::(\S+)", output, re.MULTILINE)
        assert len(found) == len(VERDICTS), output + errors
        return {case: verdict for verdict, case in found}

    return run


@pytest.mark.usefixtures("weights")  # skipped where they are missing
@pytest.mark.parametrize("app", [FUNCTION, COMMAND, HTTP], ids=["function", "command", "http"])
def test_each_way_to_the_app_gives_the_same_verdicts(verdicts, app, request):
    url = request.getfixturevalue("url") if "http:" in app else ""
    assert verdicts(app.format(url=url)) == VERDICTS


def test_a_line_that_is_no_question_has_its_error_and_the_next_its_answer(launch, shop_and_model):
    process = launch("-m", "reference_app", "lines", **shop_and_model)
    asked = {"messages": [{"role": "user", "content": "What does delivery cost?"}], "session": "s"}
    output, errors = process.communicate(f'["no object"]\n{{\n{json.dumps(asked)}\n', timeout=120)
    first, second, third = map(json.loads, output.splitlines())
    assert process.returncode == 2, errors
    assert first == second == {"error": "The line is no object with messages and a session."}
    assert "4 pounds" in third["text"]
    assert third["session"] == "s"
