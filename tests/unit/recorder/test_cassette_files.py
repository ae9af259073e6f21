from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.cassettes import Recorded, cassette_path, load_calls, shown_path, write_calls
from tests.openai_server import OpenAIServer
from tests.unit.recorder.asking import CASE, COMMITTED_FILE, LOCAL_FILE, ask
from tests.unit.recorder.json_values import json_objects, texts

if TYPE_CHECKING:
    import openai

CALL = Recorded(
    provider="api.example.test", path="/v1/chat/completions", request={"model": "small"}, key="k", repeat=0,
    nth=0, offset_s=0.5, duration_s=0.25, content_type="application/json", body={"model": "small"},
)  # fmt: skip
with TemporaryDirectory() as folder:
    write_calls(Path(folder, "case.yaml"), CASE, [CALL, replace(CALL, nth=1)])
    SOUND = Path(folder, "case.yaml").read_text(encoding="utf-8")
    write_calls(
        Path(folder, "case.yaml"), CASE, [CALL, replace(CALL, nth=1), replace(CALL, body={"model": "large"})]
    )
    DOUBLED = Path(folder, "case.yaml").read_text(encoding="utf-8")


@given(texts(), json_objects(), json_objects() | texts())
def test_calls_survive_their_file(tmp_path_factory, case, request_body, body):
    path = tmp_path_factory.mktemp("cassettes") / "case.yaml"
    calls = [
        replace(CALL, request=request_body, body=body),
        replace(CALL, request=request_body, repeat=2, nth=1),
    ]
    write_calls(path, case, calls)

    assert list(load_calls(path).values()) == calls
    path.unlink()


def test_a_call_that_stands_twice_with_one_answer_is_one_call(tmp_path: Path):
    """As a merge of two branches leaves it."""
    later = replace(CALL, offset_s=0.75)
    write_calls(tmp_path / "case.yaml", CASE, [CALL, later])
    assert list(load_calls(tmp_path / "case.yaml").values()) == [later]


@given(st.lists(texts(), min_size=2, unique=True))
def test_no_two_cases_share_a_file(names):
    ids = [f"golden/shop.yaml::{name}" for name in names] + [
        f"{name}::x" for name in names if "::" not in name
    ]
    paths = [str(cassette_path(Path("root"), fromkey)) for fromkey in dict.fromkeys(ids)]
    assert len({path.lower() for path in paths}) == len(paths)
    for path in paths:
        assert path.isascii()
        assert path.isprintable()
        assert ".." not in Path(path).parts
        assert len(Path(path).parts) == 3
        assert all(len(part) < 120 for part in Path(path).parts)


@pytest.mark.parametrize(
    ("case", "path"),
    [
        ("golden/support.yaml::returns-window", r"support/returns-window\.yaml"),
        ("golden/support.yaml::Returns", r"support/returns\.[0-9a-f]{16}\.yaml"),
        ("golden/support.yaml::con", r"support/x-con\.[0-9a-f]{16}\.yaml"),
        ("golden/support.yaml::../../etc/passwd", r"support/etc-passwd\.[0-9a-f]{16}\.yaml"),
        ("golden/eu/support.yaml::a", r"support\.[0-9a-f]{16}/a\.yaml"),
    ],
)
def test_files_are_named_after_their_case(case, path):
    import re

    assert re.fullmatch(f"root/{path}", cassette_path(Path("root"), case).as_posix())


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("version: 1\ncalls:\n- {a: [1\n", 4, "expected"),
        ("- 1\n", 1, "must be a mapping, not [1]"),
        ("", 1, "is empty, so this is no cassette"),
        ("case: x\nversion: 7\ncalls: []\n", 2, "version: is 7, this release reads 1"),
        ("calls: []\n", 1, "version: is missing, so this is no cassette"),
        ("version: 1\ncase: x\ncalls: many\n", 3, "calls: must be a list, not 'many'"),
        (
            SOUND.replace("nth: 1\n", "nth: one\n"),
            21,
            "call 2: nth: must be a whole number from 0, not 'one'",
        ),
        (SOUND.replace("  nth: 1\n", ""), 19, "call 2: nth is missing"),
        (SOUND.replace("status: 200", "status: 500"), 18, "call 1: response.status: must be 200"),
        (SOUND.replace("  nth: 1\n", "  nht: 1\n"), 21, "unknown key 'nht'. Did you mean 'nth'?"),
        (
            SOUND.replace("  nth: 1\n", "  nth: 1\n  nth: 2\n"),
            22,
            "the key 'nth' is written twice; first on line 21",
        ),
        (SOUND.replace("model: small", "model: large"), 4, "call 1: was edited after it was recorded"),
        (
            DOUBLED,
            34,
            "call 3 is a second answer to the request that line 4 answers otherwise",
        ),
        ("version: 1\ncalls:\n- !!python/object/apply:os.system [ls]\n", 3, "the tag"),
        ("version: 1\ncalls: " + "[" * 300, 2, "nested more than 200 levels deep"),
        ("version: 1\ncase: !json '{'\n", 2, "what follows !json is no JSON"),
        ("version: 1\ncase: \x00\n", 2, "not valid YAML"),
        (
            "version: 1\n<<<<<<< ours\ncase: x\n=======\ncase: y\n>>>>>>> theirs\n",
            2,
            "a mark of a git conflict. Settle",
        ),
    ],
)
@pytest.mark.parametrize("file", [LOCAL_FILE, COMMITTED_FILE])
def test_a_broken_cassette_is_an_error_of_its_case_alone(  # noqa: PLR0913, PLR0917
    recorder, tmp_path: Path, text, line, what, file
):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    run = recorder()

    with pytest.raises(CassetteError) as caught, run.recording(CASE, 0):
        pytest.fail("the case began")
    with run.recording("golden/support.yaml::another", 0):
        pass

    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ")
    assert what in message
    assert message.endswith(" Delete it or run with --llm-record all")
    assert path.read_text(encoding="utf-8") == text


def test_the_named_remedy_mends_a_broken_cassette(recorder, client: openai.OpenAI, tmp_path: Path):
    path = tmp_path / LOCAL_FILE
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    with recorder("all").recording(CASE, 0):
        ask(client)
    with recorder("none").recording(CASE, 0):
        assert ask(client) == "Echo: How long?"


def test_recording_the_same_again_changes_no_line(recorder, client: openai.OpenAI, tmp_path: Path):
    with recorder().recording(CASE, 0):
        ask(client)
    before = (tmp_path / LOCAL_FILE).read_text(encoding="utf-8")
    with recorder().recording(CASE, 0):
        ask(client)
        ask(client, "And then?")
    after = (tmp_path / LOCAL_FILE).read_text(encoding="utf-8")

    assert after.startswith(before)  # a new call is a new block at the end
    assert not list(tmp_path.rglob("*.part"))


WORKER = """
import sys
from pathlib import Path
import httpx
from pytest_llmops.recorder import Recorder
root, url, number = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
run = Recorder(committed=root / "c", local=root / "l", mode="new")
run.install()
with httpx.Client() as client:
    for turn in range(5):
        with run.recording("golden/support.yaml::shared", 0):
            client.post(f"{url}/embeddings", json={"model": "encoder", "input": f"{number}-{turn}"})
sys.exit(len(run.problems))
"""


def test_processes_that_write_one_file_lose_no_call(server: OpenAIServer, tmp_path: Path):
    workers = [
        subprocess.Popen(  # noqa: S603
            [
                sys.executable,
                "-c",
                WORKER,
                str(tmp_path),
                server.url,
                str(number),
            ]
        )
        for number in range(3)
    ]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]

    calls = load_calls(tmp_path / "l/support/shared.yaml")
    assert {call.request["input"] for call in calls.values()} == {
        f"{number}-{turn}" for number in range(3) for turn in range(5)
    }


def test_a_path_is_shown_from_the_folder_of_the_moment(tmp_path, monkeypatch):
    """Paths as shown are remembered; an app may change the folder in between."""
    path = tmp_path / "a" / "b.yaml"
    path.parent.mkdir()

    monkeypatch.chdir(tmp_path)
    assert shown_path(path) == "a/b.yaml"
    monkeypatch.chdir(tmp_path / "a")
    assert shown_path(path) == "b.yaml"
    monkeypatch.chdir(tmp_path)
    assert shown_path(path) == "a/b.yaml"


def test_a_remembered_path_is_of_the_kind_that_its_folder_is():
    """A pure path equals a path of the system, but no file can be read by it."""
    kinds = [type(cassette_path(kind("some/folder"), CASE)) for kind in (PurePosixPath, Path, PurePosixPath)]

    assert kinds == [PurePosixPath, type(Path()), PurePosixPath]
