"""
The chat model's weights in the form that is computed fastest, converted once for all projects of a user.

Q8_0 takes two thirds of the processor's time that the packaged form, Q4_1, takes, and holds its values to
within half a percent of a block's largest. Q4_0 is faster still, but has no offsets, and plans got worse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_app.errors import WeightsError
from reference_app.models.gguf_files.adapter import open_gguf
from reference_app.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gguf import GGUFReader, GGUFWriter

_FILE_TYPE = 7  # mostly Q8_0, in llama.cpp's own numbers


def convert_chat(chat: Path, name: str) -> Path:
    """
    The file that is computed, made by the first caller in about four seconds.

    It appears whole or not at all. Elementwise operations alone make it, so it is the same file on every
    machine.

    Args:
        chat: The packaged weights.
        name: Of the model, as `name_chat` gives it: by the fingerprint of what the file is made from.

    Raises:
        WeightsError: The packaged weights are broken, or the file cannot be written.
    """
    import platformdirs
    from filelock import FileLock

    failure = None
    for folder in (chat.parent, platformdirs.user_cache_path("reference-app") / "weights"):
        path = folder / f"{name}.gguf"
        if path.is_file():
            return path
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):  # of several processes the first converts
                if not path.is_file():
                    _convert(chat, path)
        except OSError as error:  # such as a folder that is shared and read-only
            failure = failure or error
        else:
            return path
    raise WeightsError(f"The chat model cannot be converted: {failure}.")


def _convert(source: Path, target: Path) -> None:
    from gguf import GGUFWriter

    reader = open_gguf(source)
    if reader is None:
        raise WeightsError(
            f"{source} is no GGUF file, or was cut short; delete it and run `llmops models pull`."
        )
    with replacing(target) as part:
        writer = GGUFWriter(part, "llama")
        try:
            _copy_head(reader, writer)
            _copy_tensors(reader, writer)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()


def _copy_head(reader: GGUFReader, writer: GGUFWriter) -> None:
    from gguf import GGUFValueType

    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue  # the writer's own
        if field.types[0] == GGUFValueType.ARRAY:
            writer.add_key_value(key, field.contents(), GGUFValueType.ARRAY, sub_type=field.types[-1])
        else:
            value = _FILE_TYPE if key == "general.file_type" else field.contents()
            writer.add_key_value(key, value, field.types[0])


def _copy_tensors(reader: GGUFReader, writer: GGUFWriter) -> None:
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize, quantize

    fast: Any = GGMLQuantizationType.Q8_0
    recode: Callable[..., Any] = quantize
    for tensor in reader.tensors:
        if tensor.tensor_type == GGMLQuantizationType.Q4_1:
            data = recode(dequantize(tensor.data, tensor.tensor_type), fast)
            writer.add_tensor(tensor.name, data, raw_dtype=fast)
        else:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
