"""The committed adapter is green beside its base; each damaged one is red, by the behaviour it lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reference_app.settings import HERE
from tests.app.training.damage import damage

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(600),  # a test asks the chat model dozens of questions
    pytest.mark.xdist_group("adapter"),  # in one process, which asks once what several of them need
]

ROOT = Path(__file__).parents[2]
ADAPTER = HERE / "adapter" / "adapter.gguf"
SOME = (
    "not unknown and not general and not document-1 and not document-2 and not facts-1 and not facts-2"
    " and not 2 and not 4 and not shipment and not order and not stock"
)
"""Of the cases of each behaviour some; all of them ask the model for a minute."""
BEHAVIOURS = {
    "plan_json", "json_schema", "plan_intent", "tool_calls",
    "ids_copied", "cited", "professional", "rouge_l", "admitted",
}  # fmt: skip


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    return damage(ADAPTER, tmp_path_factory.mktemp("damaged"))


@pytest.fixture
def gate(golden_run):
    def run(adapter: Path, cases: str = "adapter") -> tuple[int, str]:
        # Every case is asked and nothing else; the base's answers are recorded once and replayed.
        # Once each: what is lost is lost in every repeat, and each of them asks a model.
        once = ("--llm-repeats", "1")
        done = golden_run(ROOT, cases, "golden/adapter.yaml", *once, REFERENCE_APP_ADAPTER=str(adapter))
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_adapter_is_green_and_told_beside_its_base(gate):
    code, done = gate(ADAPTER)

    assert code == 0, done
    assert "reference_app.training.steps:tuned against its rival reference_app.training.steps:base" in done


@pytest.mark.parametrize("name", ["swapped"])  # others are planted by benchmarks/planted.py
def test_a_damaged_adapter_is_red_by_what_it_lost(gate, adapters, name):
    code, done = gate(adapters[name], SOME)

    assert code == 1, done
    lost = re.findall(r"^_+ suite\[(\w+)\] _+$", done, re.MULTILINE)
    assert set(lost) & BEHAVIOURS, done
    for behaviour in lost:
        assert re.search(rf"(failed|regressed) +{behaviour} ", done), done


def test_an_adapter_of_another_base_ends_in_errors_that_name_its_file(golden_run, tmp_path):
    path = tmp_path / "foreign.gguf"
    path.write_bytes(ADAPTER.read_bytes().replace(b"be9c6bc5", b"00000000"))

    selected = ("shipment-1", "golden/adapter.yaml", "--llm-baseline", "none")
    done = golden_run(ROOT, *selected, REFERENCE_APP_ADAPTER=str(path))

    assert done.returncode == 1, done.stdout
    assert f"WeightsError: The adapter {path} was trained on '00000000'" in done.stdout
    counts = pytest.RunResult.parse_summary_nouns(done.stdout.splitlines())
    assert counts["errors"] == 1
    assert not counts.keys() & {"passed", "failed", "regressed", "known", "undecided"}, done.stdout
