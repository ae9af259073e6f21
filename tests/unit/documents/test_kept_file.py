from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops.calibration.record import load_calibrations
from pytest_llmops.documents.json_document import parse_json
from pytest_llmops.documents.kept_file import KeptFile
from pytest_llmops.documents.reading import reader_of
from pytest_llmops.features.mcp import lock as mcp_lock
from pytest_llmops.prompts import lock as prompt_lock
from pytest_llmops.records import Score

KEPT = KeptFile(name="list of scores", error=ValueError, remedy="Make it again")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b'[\n {"metric": "m", "value": 1},\n {"metric": "m",\n  "value": "x"}\n]',
            "f: line 4: [1].value: must be a finite number, not 'x'. Make it again",
        ),
        (
            b'[\n {"metrik": "m", "value": 1}]',
            "f: line 2: [0]: unknown key 'metrik'. Did you mean 'metric'? [0]: metric is missing. Make",
        ),
        (b'\xef\xbb\xbf[{"metrik": "m"}]', "f: line 1: [0]: unknown key 'metrik'"),
        (b"[\n", "f: line 2, column 1: is no JSON: Expecting value (the file ends too early). Make it again"),
        (b"[" * 60 + b"]" * 60, "f: [0]: must be a mapping, not [["),
        (b"\xff", "f: byte 0 is no UTF-8. Make it again"),
        (b"[" * 100_000, "f: is nested too deeply to be a list of scores. Make it again"),
        (
            b"[\n<<<<<<< ours\n",
            "f: line 2 is a mark of a git conflict. Settle the conflict, or take the file of",
        ),
    ],
)
def test_what_cannot_be_read_is_one_message_with_its_line_and_the_remedy(data, message):
    with pytest.raises(ValueError, match=r"^f: ") as caught:
        KEPT.parse(data, "f", lambda text: reader_of(tuple[Score, ...])(parse_json(text)))
    assert str(caught.value).startswith(message)


def test_a_file_that_goes_before_it_is_read_is_as_if_it_had_never_been(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda _: True)

    assert load_calibrations(tmp_path / "calibrations.json") == {}
    assert mcp_lock.load_lock(tmp_path / "mcp.lock") == {}
    assert prompt_lock.load_lock(tmp_path / "prompts.lock", tmp_path) == ()
