"""The committed adapter: its files, what they fit, and what it does in an engine."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from gguf import GGUFReader

from benchmarks.doses.perturbing import DOSES, perturb
from reference_app.errors import WeightsError
from reference_app.models.adapter import check_adapter
from reference_app.training.corpus import build_corpus, digest_data
from reference_app.training.engine import OFF, ON, open_engine
from reference_app.training.example import APP
from reference_app.training.steps import tuned
from tests.app.training.damage import damage

ADAPTER = APP / "adapter"
GGUF = ADAPTER / "adapter.gguf"


@pytest.fixture(scope="module")
def summary():
    return json.loads((ADAPTER / "adapter.json").read_text(encoding="utf-8"))


def test_the_summary_describes_the_files_beside_it(summary):
    for name, digest in summary["files"].items():
        assert hashlib.sha256((ADAPTER / name).read_bytes()).hexdigest() == digest, name
    assert summary["data"]["sha256"] == digest_data()


def test_it_fits_the_base_it_names_and_no_other(summary):
    check_adapter(GGUF, base=summary["base"]["fingerprint"])
    with pytest.raises(WeightsError, match="was trained on"):
        check_adapter(GGUF, base="00000000")


@pytest.mark.parametrize("kept", [0, 4, 200, -1])
def test_a_truncated_adapter_is_refused(tmp_path, kept, summary):
    path = tmp_path / "short.gguf"
    path.write_bytes(GGUF.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"cut short|no whole LoRA adapter"):
        check_adapter(path, base=summary["base"]["fingerprint"])


def test_damage_leaves_whole_adapters_with_other_matrices(tmp_path, summary):
    before = {tensor.name: np.array(tensor.data) for tensor in GGUFReader(GGUF).tensors}
    harmed = damage(GGUF, tmp_path) | {
        dose.name: perturb(GGUF, dose, tmp_path) for dose in DOSES if dose.name in {"layer-22", "noise-10"}
    }
    for name, path in harmed.items():
        check_adapter(path, base=summary["base"]["fingerprint"])
        after = {tensor.name: tensor.data for tensor in GGUFReader(path).tensors}
        changed = {each for each, matrix in before.items() if not np.array_equal(after[each], matrix)}
        layers = {int(each.split(".")[1]) for each in changed}
        assert layers == {"scale": set(), "swapped": {16, 28}, "layer-22": {22}}.get(name, set(range(15, 30)))


@pytest.mark.live
def test_the_adapter_plans_and_its_base_does_not_and_answers_repeat(weights):
    plan = next(one for one in build_corpus()["test"] if one.kind == "order_status")
    asked = plan.messages(answered=False)
    with open_engine(weights.chat, GGUF) as engine:
        first = engine.answer(asked, scale=ON, max_tokens=64)
        base = engine.answer(asked, scale=OFF, max_tokens=16)
        again = engine.answer(asked, scale=ON, max_tokens=64)
    assert json.loads(first)["calls"][0]["name"] == "order_status"
    assert not base.startswith("{")
    assert again == first


@pytest.mark.live
def test_the_golden_step_plans_and_answers():
    assert tuned("Where is FW-20264?")["tool_calls"][0]["arguments"] == {"order_id": "FW-20264"}
    answer = tuned(
        {"passage": "Facts: order_id FW-20264; points 140", "question": "Which points for FW-20264?"}
    )
    assert "140" in answer["text"]
    assert "tool_calls" not in answer
