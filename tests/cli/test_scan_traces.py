"""`llmops scan` over traces as others write them: every text of a span or run, by its place."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.command import main

WHO = "ann@example.com"
HIDDEN = base64.b64encode(WHO.encode()).decode()
RUN = "018f2f5e-0000-7000-8000-00000000000a"


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def otlp(**fields: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "ask", **fields}]}]}]}


@pytest.mark.parametrize(
    ("name", "documents", "pointer"),
    [
        ("one.json", [otlp(attributes=[{"key": "a", "value": {"stringValue": WHO}}])],
         "/resourceSpans/0/scopeSpans/0/spans/0/attributes/0/value/stringValue"),
        ("lines.jsonl", [otlp(), otlp(status={"message": WHO})],
         "/1/resourceSpans/0/scopeSpans/0/spans/0/status/message"),
        ("bytes.json", [otlp(attributes=[{"key": "a", "value": {"bytesValue": HIDDEN}}])],
         "/resourceSpans/0/scopeSpans/0/spans/0/attributes/0/value/bytesValue"),
        ("run.json", [{"id": RUN, "run_type": "llm", "extra": {"who": WHO}}], "/extra/who"),
        ("batch.json", [{"patch": [{"id": RUN, "events": [{"kwargs": {"token": WHO}}]}]}],
         "/patch/0/events/0/kwargs/token"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("in_folder")
def test_a_leak_in_a_trace_file_is_named_by_its_place(capsys, name, documents, pointer):
    Path(name).write_text("\n".join(map(json.dumps, documents)))
    assert main(["scan", name]) == 1
    said = capsys.readouterr().out
    assert re.match(rf"{name}:\d+:\d+:{pointer}: ", said)
    assert "<EMAIL_ADDRESS" in said
    assert WHO not in said
