"""Steps are recorded for the terminal, whatever output they went to."""

from __future__ import annotations

import pytest

from reference_app.tracing import export_to, record_steps, trace
from reference_app.tracing.settings import TracingSettings


@pytest.mark.parametrize("opentelemetry", [True, False])
def test_steps_are_recorded_masked_and_nested_whatever_the_output(opentelemetry):
    settings = TracingSettings(opentelemetry=opentelemetry)
    with record_steps() as steps, export_to(settings), trace("one", said="to ada@example.com"):
        with pytest.raises(KeyError), trace("two"):
            raise KeyError("ada@example.com")
        with trace("three"):
            pass

    assert [(one.name, one.depth) for one in steps] == [("one", 0), ("two", 1), ("three", 1)]
    assert steps[0].attributes == {"said": "to [email]"}
    assert steps[1].attributes == {"error.type": "KeyError"}
    assert all(one.end_s >= one.start_s for one in steps)
