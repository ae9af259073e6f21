"""Pictures and tables that an input names: what the app gets, and what a case is known by."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_llmops import run_golden
from pytest_llmops.errors import GoldenError
from pytest_llmops.golden import input_hash, load_golden
from pytest_llmops.golden.files import MAX_BYTES, input_with_files

AS = "image must be the path of a file, from the project's root"
PNG = b"\x89PNG\r\n\x1a\n picture"
CASE = "cases:\n  - {id: a, input: %s, checks: {keywords: {all: [ok]}}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "stove.png").write_bytes(PNG)
    (tmp_path / "sizes.csv").write_text("size,cm\n42,27\n", encoding="utf-8")
    return tmp_path


def loaded(project: Path, asked: str, **options: bool):
    (project / "shop.yaml").write_text(CASE % asked, encoding="utf-8")
    return load_golden("shop.yaml", root=project, **options)


@pytest.mark.parametrize(
    ("asked", "paths"),
    [
        ("{text: What is it?, image: seen/stove.png}", ["seen/stove.png"]),
        ("{image: seen/stove.png, table: sizes.csv}", ["seen/stove.png", "sizes.csv"]),
        ("{text: Which?, table: [sizes.csv, sizes.csv]}", ["sizes.csv", "sizes.csv"]),
        ("{text: hi}", []),
        ("{image: 'alpine:3', tag: latest}", []),  # an app of its own keys
        ("[seen/stove.png]", []),
        (
            "[hi, {role: user, text: And?, image: seen/stove.png}, {table: sizes.csv}]",
            ["seen/stove.png", "sizes.csv"],
        ),
        ("[{image: 'alpine:3', tag: latest}]", []),
        ("what is seen/stove.png?", []),
    ],
)
def test_files_of_an_input_are_known_by_path_and_content(project, asked, paths):
    (case,) = loaded(project, asked).cases

    assert [each.path for each in case.attached] == paths
    assert all(len(each.sha256) == 64 for each in case.attached)


@pytest.mark.parametrize("asked", ["{image: seen/stove.png}", "[hi, {role: user, image: [seen/stove.png]}]"])
def test_another_picture_under_the_same_name_is_another_question(project, asked):
    before = input_hash(loaded(project, asked).cases[0])
    assert input_hash(loaded(project, asked).cases[0]) == before

    (project / "seen" / "stove.png").write_bytes(PNG + b"!")

    assert input_hash(loaded(project, asked).cases[0]) != before


def test_line_ends_of_a_table_do_not_count_but_its_cells_do(project):
    before = input_hash(loaded(project, "{table: sizes.csv}").cases[0])
    (project / "sizes.csv").write_bytes(b"size,cm\r\n42,27\r\n")
    assert input_hash(loaded(project, "{table: sizes.csv}").cases[0]) == before
    (project / "sizes.csv").write_bytes(b"size,cm\r\n42,28\r\n")
    assert input_hash(loaded(project, "{table: sizes.csv}").cases[0]) != before


def test_a_case_without_files_keeps_the_identity_that_baselines_have():
    asked = load_golden("golden/support.yaml", stamps=False).cases[0]
    known = {"input": asked.input, "reference": asked.reference, "relevant": list(asked.relevant)}
    assert input_hash(asked) == input_hash_of(known)


def input_hash_of(known: object) -> str:
    import json
    from hashlib import sha256

    return sha256(json.dumps(known, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (
            "seen/stov.png",
            f"{AS}: 'seen/stov.png': no such file or folder. Did you mean 'stove.png'?",
        ),
        ("seen", "image: 'seen' is no file"),
        ("pipe.png", "image: 'pipe.png' is no file"),
        ("link.png", "image: 'link.png' is a link out of the project"),
        ("../stove.png", f"{AS}: '../stove.png' must lie in the project and start at its root"),
        ("/etc/passwd", f"{AS}: '/etc/passwd' must lie in the project and start at its root"),
        ("https://shop.example/a.png", f"{AS}: 'https://shop.example/a.png': no such file or folder"),
        ("empty.png", "image: 'empty.png' is empty"),
        ("large.png", "image: 'large.png' is larger than 16 MiB"),
        ("sizes.csv", "image: 'sizes.csv' is no picture, by its first bytes: PNG, JPEG, GIF or WebP"),
        ("7", "image must be the path of a file, not 7"),
        ("''", "image must be the path of a file, not ''"),
        ("{path: seen/stove.png}", "image must be the path of a file, not {'path': 'seen/stove.png'}"),
        ("[]", "image must be the path of a file, not []"),
        ("null", "image must be the path of a file, not None"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_mistake_of_its_case(project, image, said):
    (project / "empty.png").touch()
    os.mkfifo(project / "pipe.png")
    (project / "link.png").symlink_to("/etc/passwd")
    with (project / "large.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)

    with pytest.raises(GoldenError) as caught:
        loaded(project, f"{{text: hi, image: {image}}}")

    (problem,) = caught.value.problems
    assert (problem.path, problem.line, problem.case, problem.message) == ("shop.yaml", 2, "a", said)


@pytest.mark.parametrize("key", ["tables", "Table", "tabel", "texts"])
@pytest.mark.parametrize(
    "asked", ["{{image: seen/stove.png, {}: sizes.csv}}", "[{{image: seen/stove.png, {}: hi}}]"]
)
def test_a_key_that_is_nearly_right_beside_a_file_is_a_mistake(project, key, asked):
    with pytest.raises(GoldenError, match=rf"unknown key '{key}' beside a file\. Did you mean"):
        loaded(project, asked.format(key))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_mistake(project):
    (project / "seen" / "stove.png").chmod(0)
    with pytest.raises(GoldenError, match="cannot be read: Permission denied"):
        loaded(project, "{image: seen/stove.png}")


def test_of_another_revision_a_missing_file_is_no_mistake_but_another_question(project):
    asked = "{image: seen/stove.png}"
    now = input_hash(loaded(project, asked).cases[0])
    (project / "seen" / "stove.png").unlink()

    (then,) = loaded(project, asked, past=True).cases

    assert [(each.path, each.sha256) for each in then.attached] == [("seen/stove.png", "")]
    assert input_hash(then) != now


def test_the_app_gets_absolute_paths_and_the_run_keeps_the_written_ones(project, monkeypatch):
    monkeypatch.chdir(project)
    asked = []

    def app(question):
        asked.append(question)
        return "ok"

    mapping = "{text: hi, image: seen/stove.png, table: [sizes.csv]}"
    golden, turns = loaded(project, mapping), loaded(project, f"[hello, {mapping}]")
    runs = [run_golden(golden, app), run_golden(turns, app)]

    written = {"image": str(project / "seen" / "stove.png"), "table": [str(project / "sizes.csv")]}
    assert asked == [{"text": "hi", **written}, ["hello", {"text": "hi", **written}]]
    assert [run.results[0].failures for run in runs] == [(), ()]
    assert golden.cases[0].input["image"] == turns.cases[0].input[1]["image"] == "seen/stove.png"


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(PNG + b"!"), lambda path: path.unlink()])
def test_a_file_that_changed_since_is_an_error_of_the_case(project, monkeypatch, change):
    monkeypatch.chdir(project)
    golden = loaded(project, "{text: hi, image: seen/stove.png}")
    change(project / "seen" / "stove.png")

    run = run_golden(golden, lambda _: pytest.fail("the app is not called"))

    ((failure,),) = (result.failures for result in run.results)
    assert failure.stage == "app"
    assert "'seen/stove.png'" in failure.error


@pytest.mark.parametrize(
    "asked",
    [
        "[{role: user, content: [{type: text}, {type: image_url, image_url: {url: seen/stove.png}}]}]",
        "{messages: [{role: user, content: [{type: input_image, image_url: seen/stove.png}]}]}",
        "[{content: [{type: image, source: {type: file, path: seen/stove.png}}]}]",
        "{parts: [{type: input_file, file: seen/stove.png}]}",
    ],
)
def test_a_file_that_a_part_of_a_message_names_is_part_of_the_case(project, asked):
    (case,) = loaded(project, asked).cases
    assert input_with_files(case, project) == case.input
    before = input_hash(case)
    assert input_hash(loaded(project, asked).cases[0]) == before
    assert input_hash(loaded(project, asked.replace("stove", "other")).cases[0]) != before
    (project / "seen" / "stove.png").write_bytes(PNG + b" of another")
    assert input_hash(loaded(project, asked).cases[0]) != before


@pytest.mark.parametrize(
    "asked",
    [
        "[{content: [{type: image_url, image_url: {url: 'https://shop.example/seen/stove.png'}}]}]",
        "[{content: [{type: image_url, image_url: {url: 'data:image/png;base64,iVBORw0KGgo='}}]}]",
        "[{content: [{type: image_url, image_url: {url: ../stove.png}}]}]",
        "[{content: [{type: text, text: seen/stove.png}]}]",
        "{note: {path: seen/stove.png}}",
    ],
)
def test_a_url_and_a_text_are_known_as_they_are_written(project, asked):
    assert loaded(project, asked).cases[0].attached == ()
