"""The files of the embedded models and the names that identify them."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from reference_app.errors import WeightsError
from reference_app.models.adapter import check_adapter

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES, SAMPLE_BYTES = 64, 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedChat:
    """
    A larger chat model, whose name is known without its file: what was recorded of it replays anywhere.

    Attributes:
        file: Below the weights folder, where `llmops models pull PROFILE` puts it.
        sampled: Its `fingerprint`, looked at each time that it is loaded; `sha256` when it was pulled.
    """

    file: str
    size: int
    sha256: str
    sampled: str

    @property
    def name(self) -> str:
        """`FILE-FINGERPRINT`, as the names of the other models."""
        return f"{PurePath(self.file).stem}-{self.sha256[:8]}"


PINNED = {
    "large": PinnedChat(
        file="large/Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        sampled="5120a22f",
    ),
    "small": PinnedChat(
        file="small/Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        sampled="fe42803f",
    ),
}
"""By profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFiles:
    """Weights of multilingual-e5-small, the library that computes them, and the OpenMP that it needs."""

    model: Path
    engine: Path
    openmp: Path

    @property
    def name(self) -> str:
        return f"multilingual-e5-small.q4-{fingerprint(self.model)}{fingerprint(self.engine)[:4]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """
    Paths of files that exist, and model names such as `SmolLM2-135M-Instruct.Q4_1-1a2b3c4d`.

    Attributes:
        folder: Holds them all; those of `PINNED` may be missing there.
        chat_name: Ends in the fingerprint of the file, so other weights are another model.
        encoder_name: The same for the encoder.
        adapter: LoRA weights that the chat model is served with, and without; None where there are none.
        tuned_name: Of the chat model with the adapter: `…-1a2b3c4d+support-5e6f7a8b`.
        search: The encoder of questions and passages; None on a platform that its engine is not for.
        search_name: `multilingual-e5-small.q4-…`, of both its weights and its engine.
    """

    folder: Path
    chat: Path
    tokenizer: Path
    encoder: Path
    chat_name: str
    encoder_name: str
    adapter: Path | None = None
    tuned_name: str = ""
    search: SearchFiles | None = None
    search_name: str = ""

    def name_profile(self, profile: str) -> str:
        """The chat model's name under a profile of the settings; without an adapter, `adapter` is `base`."""
        if profile in PINNED:
            return PINNED[profile].name
        return self.tuned_name if profile == "adapter" and self.tuned_name else self.chat_name


def find_weights(folder: Path, adapter: Path | None = None) -> Weights:
    """
    The weights in a folder, none of them loaded.

    Args:
        folder: Where `llmops models pull` puts them.
        adapter: A GGUF file, checked here as far as can be without loading it.

    Raises:
        WeightsError: A file is missing or cannot be read, or the adapter is not one for this chat model.
    """
    chat = folder / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    tokenizer = folder / "minilm" / "tokenizer.json"
    encoder = folder / "minilm-int8" / "model.onnx"
    search = _search_files(folder / "e5-small")
    files = [chat, tokenizer, encoder, *([search.model, search.engine, search.openmp] if search else [])]
    missing = [path.relative_to(folder).as_posix() for path in files if not path.is_file()]
    if missing:
        raise WeightsError(
            f"The embedded models' weights are missing in {folder}: {', '.join(missing)}. "
            "Run `llmops models pull`, or set OPENAI_BASE_URL and OPENAI_API_KEY to use an endpoint."
        )
    try:
        chat_name = f"{chat.stem}-{fingerprint(chat)}"
        if adapter is not None:
            check_adapter(adapter, base=chat_name)
        return Weights(
            folder=folder,
            chat=chat,
            tokenizer=tokenizer,
            encoder=encoder,
            chat_name=chat_name,
            encoder_name=f"all-MiniLM-L6-v2.int8-{fingerprint(encoder)}",
            adapter=adapter,
            tuned_name=f"{chat_name}+{adapter.stem}-{fingerprint(adapter)}" if adapter else "",
            search=search,
            search_name=search.name if search else "",
        )
    except OSError as error:
        raise WeightsError(f"{error.filename or folder} cannot be read: {error.strerror}.") from error


def find_pinned(folder: Path, profile: str) -> Path:
    """
    The file of a chat model of `PINNED`.

    Raises:
        WeightsError: It is missing or another file: what that says is no answer of this model.
    """
    pinned = PINNED[profile]
    path = folder / pinned.file
    if not path.is_file() or fingerprint(path) != pinned.sampled:
        raise WeightsError(
            f"{path} is missing or another file; run `llmops models pull {profile}` "
            f"({pinned.size / 1e6:.0f} MB), or choose another REFERENCE_APP_PROFILE."
        )
    return path


def fingerprint(path: Path) -> str:
    """
    Eight hex digits of SHA-256 over the size and 64 samples of 16 KiB spread evenly over the file.

    A millisecond, where the whole file takes 0.15 s at every start; a model trained further differs in every
    sample. It does not prove that a download is whole.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for sample in range(SAMPLES):
            file.seek(max(0, size - SAMPLE_BYTES) * sample // (SAMPLES - 1))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()[:8]


def _search_files(folder: Path) -> SearchFiles | None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return None
    return SearchFiles(
        model=folder / "e5-small-q4.bin",
        engine=folder / "_engine.cpython-312-x86_64-linux-gnu.so",  # called by its C names, so by any Python
        openmp=folder / "libgomp-a34b3233.so.1.0.0",
    )
