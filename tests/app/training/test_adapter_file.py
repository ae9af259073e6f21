from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from reference_app.errors import WeightsError
from reference_app.models.adapter import check_adapter
from reference_app.training.evaluation.comparison import GOALS
from reference_app.training.examples.corpus import DATA, digest_data
from tests.app.training.damage import ALPHA_KEY, SCALE, SWAPPED, damage

ADAPTER = Path(__file__).parents[3] / "reference_app" / "adapter"
GGUF = ADAPTER / "adapter.gguf"
SHUFFLED = Path(__file__).parents[1] / "data" / "shuffled.gguf"


@pytest.fixture(scope="module")
def summary():
    return json.loads((ADAPTER / "adapter.json").read_text(encoding="utf-8"))


def test_the_summary_describes_the_files_beside_it(summary):
    for name, digest in summary["files"].items():
        assert hashlib.sha256((ADAPTER / name).read_bytes()).hexdigest() == digest, name
    assert summary["data"]["sha256"] == digest_data(DATA)
    assert sum((ADAPTER / name).stat().st_size for name in summary["files"]) <= 4 * 1024 * 1024


def test_the_adapter_fits_the_base_it_names_and_no_other(summary):
    base = summary["base"]["fingerprint"]
    check_adapter(GGUF, base=base)
    with pytest.raises(WeightsError, match="was trained on"):
        check_adapter(GGUF, base="00000000")


def test_the_model_card_shows_the_measured_figures(summary):
    card = (ADAPTER / "README.md").read_text(encoding="utf-8")
    for name in GOALS:
        measure = summary["test"]["adapter"][name]
        assert f"| {measure['n']} | {measure['value']:.3f} | {measure['lower_95']:.3f} |" in card


@pytest.mark.parametrize("kept", [0, 3, 4, 20, 200, 4000, -1])
def test_a_truncated_adapter_is_refused(tmp_path, kept, summary):
    path = tmp_path / "short.gguf"
    path.write_bytes(GGUF.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"cut short|no whole LoRA adapter"):
        check_adapter(path, base=summary["base"]["fingerprint"])


def test_other_files_are_refused(tmp_path, summary):
    base = summary["base"]["fingerprint"]
    with pytest.raises(WeightsError, match="There is no adapter"):
        check_adapter(tmp_path / "none.gguf", base=base)
    model = tmp_path / "model.gguf"
    model.write_bytes(GGUF.read_bytes().replace(b"adapter.type", b"adapter.kind"))
    with pytest.raises(WeightsError, match="holds no whole LoRA adapter"):
        check_adapter(model, base=base)
    huge = tmp_path / "count.gguf"
    huge.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + b"\xff" * 16)
    with pytest.raises(WeightsError, match="no GGUF file"):
        check_adapter(huge, base=base)


def test_damage_changes_what_it_names_and_nothing_else(tmp_path, summary):
    before = _read(GGUF)
    files = damage(GGUF, tmp_path)
    assert set(files) == {"noise", "scale", "swapped"}
    for path in files.values():
        check_adapter(path, base=summary["base"]["fingerprint"])
        assert path.stat().st_size == GGUF.stat().st_size
    scaled = _read(files["scale"])
    assert scaled.pop(ALPHA_KEY) == before[ALPHA_KEY] * SCALE
    assert all(np.array_equal(scaled[name], before[name]) for name in scaled)
    swapped = _read(files["swapped"])
    for name in scaled:
        layer = int(name.split(".")[1])
        twin = name.replace(f"blk.{layer}.", f"blk.{sum(SWAPPED) - layer}.") if layer in SWAPPED else name
        assert np.array_equal(swapped[name], before[twin])
    noisy = _read(files["noise"])
    assert not any(np.array_equal(noisy[name], before[name]) for name in scaled)


def _read(path):
    reader = GGUFReader(path)
    matrices = {tensor.name: tensor.data for tensor in reader.tensors}
    return {**matrices, ALPHA_KEY: reader.get_field(ALPHA_KEY).contents()}


def test_the_shuffled_adapter_is_small_and_fits_the_same_base(summary):
    assert SHUFFLED.stat().st_size <= 1024 * 1024
    check_adapter(SHUFFLED, base=summary["base"]["fingerprint"])
