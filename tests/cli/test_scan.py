"""`llmops scan`: what it prints, and its exit codes."""

from __future__ import annotations

import gzip
import json
import os

import pytest

from tests.command import main


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clean.txt").write_text("The boots are back.\n", encoding="utf-8")
    (tmp_path / "trace.json").write_text(json.dumps({"to": "mira.holt@example.org"}), encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("files")
def test_a_clean_file_is_exit_code_0(capsys):
    assert main(["scan", "clean.txt"]) == 0
    assert capsys.readouterr().out == "0 findings\n"


@pytest.mark.usefixtures("files")
def test_a_finding_is_exit_code_1_and_never_in_clear(capsys):
    assert main(["scan", "clean.txt", "trace.json"]) == 1
    out = capsys.readouterr().out
    assert out == "trace.json:1:8:/to: 0-21 <EMAIL_ADDRESS 21 chars>\n1 finding\n"


def test_a_folder_is_scanned_whole_and_what_is_no_text_is_named(files, capsys):
    (files / "deep").mkdir()
    (files / "deep" / "image.png").write_bytes(b"\x89PNG\0\0")
    (files / "deep" / "log.txt").write_text("card 4629 1830 5577 1940", encoding="utf-8")

    assert main(["scan", "."]) == 1

    printed = capsys.readouterr()
    assert "deep/log.txt:1:6: 5-24 <CREDIT_CARD 19 chars>" in printed.out
    assert "image.png: not scanned, it is no text" in printed.err


@pytest.mark.parametrize("name", ["missing.txt", "latin.txt"])
def test_what_cannot_be_read_is_exit_code_3(files, capsys, name):
    (files / "latin.txt").write_bytes(b"caf\xe9")

    assert main(["scan", name, "clean.txt"]) == 3
    assert name in capsys.readouterr().err


def test_a_folder_without_a_text_is_no_clean_one(files, capsys):
    (files / "empty").mkdir()
    (files / "images").mkdir()
    (files / "images" / "a.png").write_bytes(b"\x89PNG\0")

    assert main(["scan", "empty"]) == 3
    assert main(["scan", "images"]) == 3
    assert "images: holds no text, so nothing was scanned" in capsys.readouterr().err


def test_a_folder_that_cannot_be_listed_is_exit_code_3(files, capsys, monkeypatch):
    (files / "closed").mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    (files / "trace.json").unlink()
    monkeypatch.setattr(os, "scandir", scandir)

    assert main(["scan", "."]) == 3
    assert "closed: cannot be read (Permission denied)" in capsys.readouterr().err


@pytest.mark.usefixtures("files")
def test_a_finding_weighs_more_than_a_file_that_cannot_be_read(capsys):
    assert main(["scan", "missing.txt", "trace.json"]) == 1
    assert "missing.txt: cannot be read" in capsys.readouterr().err


@pytest.mark.usefixtures("files")
def test_json_and_sarif_say_the_same(capsys):
    main(["scan", "trace.json", "--format", "json"])
    (finding,) = json.loads(capsys.readouterr().out)
    main(["scan", "trace.json", "--format", "sarif"])
    (run,) = json.loads(capsys.readouterr().out)["runs"]

    assert (finding["kind"], finding["pointer"]) == ("EMAIL_ADDRESS", "/to")
    (result,) = run["results"]
    assert result["ruleId"] == "EMAIL_ADDRESS"
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]) == (
        "trace.json",
        {"startLine": 1, "startColumn": finding["column"]},
    )


def test_alerts_keep_their_fingerprints_when_lines_move(files, capsys):
    def read(text):
        (files / "näh buch.txt").write_text(text, encoding="utf-8")
        main(["scan", "näh buch.txt", "--format", "sarif"])
        (run,) = json.loads(capsys.readouterr().out)["runs"]
        return run["results"]

    first = read("to mira.holt@example.org\nto ada@example.org\n")
    moved = read("\n\nto mira.holt@example.org\nto ada@example.org\n")

    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in first}
    assert uris == {"n%C3%A4h%20buch.txt"}
    prints = [[result["partialFingerprints"] for result in results] for results in (first, moved)]
    assert prints[0] == prints[1]
    assert prints[0][0] != prints[0][1]


def test_what_is_found_before_an_error_counts(files, capsys):
    (files / "broken.jsonl").write_bytes(b'{"to": "mira.holt@example.org"}\n' * 2_000 + b"\xff\n")

    assert main(["scan", "broken.jsonl"]) == 1
    assert "not UTF-8 text" in capsys.readouterr().err


def test_packed_files_of_a_folder_are_scanned(files, capsys):
    (files / "trace.json").unlink()
    (files / "log.jsonl.gz").write_bytes(gzip.compress(b'{"to": "mira.holt@example.org"}\n'))
    (files / "image.gz").write_bytes(gzip.compress(b"\x89PNG\0"))

    assert main(["scan", "."]) == 1
    printed = capsys.readouterr()
    assert "log.jsonl.gz:1:8:/0/to: 0-21 <EMAIL_ADDRESS 21 chars>" in printed.out
    assert "image.gz: not scanned, it is no text" in printed.err


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_a_time_limit_is_a_number_above_0(limit, capsys):
    assert main(["scan", "clean.txt", "--timeout-s", limit]) == 4
    assert "--timeout-s takes a number" in capsys.readouterr().err


def test_a_file_without_text_is_not_clean(tmp_path, capsys):
    path = tmp_path / "empty.json"
    path.touch()
    assert main(["scan", str(path)]) == 3
    assert "holds no text, so nothing was scanned" in capsys.readouterr().err
