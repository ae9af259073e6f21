from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from reference_app.training.damage import SCALE, SWAPPED, damage
from reference_app.training.evaluation import GOALS
from reference_app.training.examples.corpus import DATA, digest_data
from reference_app.training.layout import ALPHA_KEY, BASE_KEY, AdapterError, check_base, read_layout

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
    check_base(GGUF, base)
    with pytest.raises(AdapterError, match="was trained on weights"):
        check_base(GGUF, "00000000")


def test_the_model_card_shows_the_measured_figures(summary):
    card = (ADAPTER / "README.md").read_text(encoding="utf-8")
    for name in GOALS:
        measure = summary["test"]["adapter"][name]
        assert f"| {measure['n']} | {measure['value']:.3f} | {measure['lower_95']:.3f} |" in card


@pytest.mark.parametrize("kept", [0, 3, 4, 20, 200, 4000, -1])
def test_a_truncated_adapter_is_refused(tmp_path, kept):
    path = tmp_path / "short.gguf"
    path.write_bytes(GGUF.read_bytes()[:kept])
    with pytest.raises(AdapterError, match="is no whole GGUF file"):
        read_layout(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(AdapterError, match="cannot be read"):
        read_layout(tmp_path / "none.gguf")
    model = tmp_path / "model.gguf"
    model.write_bytes(GGUF.read_bytes().replace(b"adapter.type", b"adapter.kind"))
    with pytest.raises(AdapterError, match="holds no LoRA adapter"):
        read_layout(model)
    huge = tmp_path / "count.gguf"
    huge.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + b"\xff" * 16)
    with pytest.raises(AdapterError, match="is no whole GGUF file"):
        read_layout(huge)


def test_damage_changes_what_it_names_and_nothing_else(tmp_path):
    before, whole = read_layout(GGUF), GGUF.read_bytes()
    files = damage(GGUF, tmp_path)
    assert set(files) == {"noise", "scale", "swapped"}
    for path in files.values():
        after = read_layout(path)
        assert after.tensors == before.tensors
        assert after.metadata[BASE_KEY] == before.metadata[BASE_KEY]
    assert read_layout(files["scale"]).metadata[ALPHA_KEY] == before.metadata[ALPHA_KEY] * SCALE
    swapped = files["swapped"].read_bytes()
    for name, tensor in before.tensors.items():
        layer = int(name.split(".")[1])
        twin = name.replace(f"blk.{layer}.", f"blk.{sum(SWAPPED) - layer}.") if layer in SWAPPED else name
        source = before.tensors[twin]
        assert (
            swapped[tensor.offset : tensor.offset + tensor.size]
            == whole[source.offset : source.offset + source.size]
        )
    noisy = files["noise"].read_bytes()
    changed = [
        noisy[one.offset : one.offset + one.size] != whole[one.offset : one.offset + one.size]
        for one in before.tensors.values()
    ]
    assert all(changed)


def test_the_shuffled_adapter_is_small_and_fits_the_same_base(summary):
    assert SHUFFLED.stat().st_size <= 1024 * 1024
    check_base(SHUFFLED, summary["base"]["fingerprint"])
