"""Each way to make the reference app worse turns its golden set red, by case, metric and place."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.openai_server import OpenAIServer
from tests.scripted_model import plan_or_read_aloud

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(600),  # a test asks the chat model dozens of questions
    pytest.mark.xdist_group("weakened_app"),  # in one process, which asks once what several of them need
]

ROOT = Path(__file__).parents[2]
DOCUMENTS = "returns-window or shipping-express or gift-card-validity"


@pytest.fixture
def gate(golden_run):
    def run(selected: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return golden_run(ROOT, selected, *arguments, **environment)

    return run


def test_as_it_is_the_app_is_good(gate):
    done = gate(f"{DOCUMENTS} or order-shipped or turns-express")
    assert done.returncode == 0, done.stdout
    counts = pytest.RunResult.parse_summary_nouns(done.stdout.splitlines())
    assert counts["passed"]
    assert not counts.keys() & {"failed", "regressed", "known", "undecided", "errors"}, done.stdout


@pytest.mark.usefixtures("large")
def test_a_weakened_answerer_prompt_is_red(gate, tmp_path):
    for prompt in (ROOT / "reference_app" / "prompts").glob("*.yaml"):
        written = yaml.safe_load(prompt.read_text(encoding="utf-8"))
        if written["name"] == "answerer":
            written = weakened(written)
        (tmp_path / prompt.name).write_text(yaml.safe_dump(written), encoding="utf-8")
    # Without the grounding, which would quote in place of a draft that adds something.
    changed = {"REFERENCE_APP_PROMPTS": str(tmp_path), "REFERENCE_APP_GUARDRAILS": "-grounding"}
    done = gate("returns-window", "--llm-repeats", "1", **changed)  # each repeat asks the large model anew
    assert done.returncode == 1, done.stdout
    assert re.search(r"golden/support\.yaml:\d+: returns-window", done.stdout)
    assert re.search(r"(regressed|failed) +\w+ >= ", done.stdout)


def weakened(prompt: dict[str, object]) -> dict[str, object]:
    """The same file without the instruction to answer from the material, and without its examples."""
    return {**prompt, "template": "Chat with the customer about the weather.", "turns": []}


def test_one_passage_instead_of_three_is_red(gate):
    """Whatever the chat model answers; this one searches for the question."""
    with OpenAIServer(answer=plan_or_read_aloud) as server:
        asked = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        done = gate("multi-delivery", REFERENCE_APP_TOP_K="1", **asked)
    assert done.returncode == 1, done.stdout
    assert re.search(r"golden/support\.yaml:\d+: multi-", done.stdout)
    assert re.search(r"regressed +recall@5 >= 1: 0\.5, baseline 1", done.stdout)


def test_an_address_in_a_span_is_red_and_shown_nowhere(gate, home):
    done = gate("order-shipped", "--llm-app", "tests.gate.leaky_app:answer")
    assert done.returncode == 1, done.stdout
    assert re.search(r"golden/support\.yaml:\d+: order-shipped", done.stdout)
    assert re.search(r"failed +pii_leak <= 0: 1, baseline 0, .*EMAIL_ADDRESS", done.stdout)
    assert "span 'load customer' /attributes/customer.email" in done.stdout
    orders = yaml.safe_load((ROOT / "reference_app" / "data" / "orders.yaml").read_text(encoding="utf-8"))
    addresses = [order["email"] for order in orders]
    kept = "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())
    assert not [address for address in addresses if address in done.stdout + done.stderr + kept]
