"""JSON files are laid out as `json` would, whatever writes them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.reports.files.json_file import _UNSEEN, dump_json
from tests.unit.recorder.json_values import json_values


@given(json_values(), st.sampled_from((1, 2)))
def test_an_indented_file_has_the_bytes_that_json_would_write(value, indent):
    try:
        wanted = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:  # an infinite number
        with pytest.raises(ValueError, match="not JSON compliant"):
            dump_json(value, indent=indent)
        return

    written = dump_json(value, indent=indent)

    assert written == _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], wanted)
    assert json.loads(written) == value or "\\ud" in written  # two halves of a pair are read as one sign
