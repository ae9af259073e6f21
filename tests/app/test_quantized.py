"""The chat model's weights, converted once."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import platformdirs
import pytest
from gguf import GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize
from reference_app.models.gguf_files import quantized
from reference_app.models.gguf_files.quantized import convert_chat

from reference_app.errors import WeightsError
from reference_app.models.weights import name_chat


@pytest.fixture
def packaged(tmp_path):
    """Weights of one matrix in Q4_1, one in Q8_0 and a norm, beside a vocabulary."""
    from gguf import GGMLQuantizationType as Type

    path = tmp_path / "smollm2" / "Tiny.Q4_1.gguf"
    path.parent.mkdir()
    writer = GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 1)
    writer.add_token_list(["<s>", "tent"])
    values = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    writer.add_tensor("blk.0.ffn_up.weight", quantize(values, Type.Q4_1), raw_dtype=Type.Q4_1)
    writer.add_tensor("token_embd.weight", quantize(values, Type.Q8_0), raw_dtype=Type.Q8_0)
    writer.add_tensor("output_norm.weight", values[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def convert(path):
    return convert_chat(path, name_chat(path))


def values(path):
    return {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in GGUFReader(path).tensors}


def test_matrices_change_their_form_and_all_else_stays(packaged):
    converted = convert(packaged)

    assert converted == packaged.parent / f"{name_chat(packaged)}.gguf"
    assert name_chat(packaged).startswith("Tiny.Q8_0-")
    before, after = values(packaged), values(converted)
    assert list(before) == list(after)
    assert np.abs(before["blk.0.ffn_up.weight"] - after["blk.0.ffn_up.weight"]).max() < 0.02
    for name in ("token_embd.weight", "output_norm.weight"):
        assert np.array_equal(before[name], after[name])
    reader = GGUFReader(converted)
    assert {tensor.tensor_type.name for tensor in reader.tensors} == {"Q8_0", "F32"}
    assert reader.get_field("llama.block_count").contents() == 1
    assert reader.get_field("tokenizer.ggml.tokens").contents() == ["<s>", "tent"]


def test_of_many_callers_one_converts(packaged, monkeypatch):
    made, plain = [], quantized._convert
    monkeypatch.setattr(quantized, "_convert", lambda *paths: made.append(paths) or plain(*paths))

    with ThreadPoolExecutor(8) as threads:
        paths = list(threads.map(convert, [packaged] * 8))

    assert len(set(paths)) == len(made) == 1
    content = paths[0].read_bytes()
    paths[0].unlink()
    assert convert(packaged).read_bytes() == content


def test_other_weights_are_converted_anew(packaged):
    first = convert(packaged)
    data = bytearray(packaged.read_bytes())
    data[-1] ^= 1
    packaged.write_bytes(data)

    assert convert(packaged) != first


def test_weights_that_cannot_be_written_beside_are_kept_in_the_cache(packaged, tmp_path, monkeypatch):
    def refuse(source, target):
        if target.parent == packaged.parent:
            raise PermissionError(13, "Permission denied", str(target))
        plain(source, target)

    plain = quantized._convert
    monkeypatch.setattr(quantized, "_convert", refuse)
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)

    assert convert(packaged).parent == tmp_path / "cache" / "reference-app" / "weights"
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(WeightsError, match=r"cannot be converted: .*Permission denied"):
        convert(packaged)


def test_a_broken_file_leaves_nothing_behind(packaged):
    packaged.write_bytes(b"GGUF" + bytes(1000))

    with pytest.raises(WeightsError, match=r"no GGUF file.*llmops models pull"):
        convert(packaged)
    assert not list(packaged.parent.glob("*.part")) + list(packaged.parent.glob("*Q8_0*.gguf"))
