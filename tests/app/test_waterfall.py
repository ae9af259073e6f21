"""Steps drawn as a waterfall, whatever output they went to."""

from __future__ import annotations

import pytest

from reference_app.cli.spans import draw
from reference_app.tracing import export_to, record_steps, trace
from reference_app.tracing.recorded import RecordedStep
from reference_app.tracing.settings import TracingSettings


def step(name, depth, start_s, end_s, **attributes):
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return RecordedStep(name=name, depth=depth, start_s=start_s, end_s=end_s, attributes=named)


USAGE = {"gen_ai__usage__input_tokens": 30, "gen_ai__usage__output_tokens": 4}
PROMPT = {"reference_app__prompt__name": "planner", "reference_app__prompt__version": "1.2.0"}


def test_a_line_has_its_place_in_time_its_tokens_and_its_prompt():
    drawn = draw(
        [
            step("invoke_agent", 0, 10.0, 13.0),
            step("planner", 1, 10.0, 11.5),
            step("chat m", 2, 10.75, 11.5, **USAGE, **PROMPT, reference_app__cost_usd=0.5),
            step("answerer", 1, 11.5, 13.0, error__type="APIError"),
            step("chat m", 2, 11.5, 13.0, **USAGE, reference_app__cost_usd=0.25),
        ]
    )

    assert drawn.split("\n\n")[0].splitlines() == [
        "invoke_agent ████████████████████████    3000 ms  60 → 8 tokens  $0.7500",
        "  planner    ████████████                1500 ms",
        "    chat m         ██████                 750 ms  30 → 4 tokens  $0.5000  planner 1.2.0",
        "  answerer               ████████████    1500 ms  failed: APIError",
        "    chat m               ████████████    1500 ms  30 → 4 tokens  $0.2500",
    ]


def test_each_question_has_its_own_scale_and_sum():
    drawn = draw([step("one", 0, 1.0, 2.0), step("a", 1, 1.0, 2.0, **USAGE), step("two", 0, 5.0, 9.0)])
    lines = drawn.split("\n\n")[0].splitlines()

    assert lines[0].endswith("1000 ms  30 → 4 tokens  cost unknown")
    assert lines[2] == "two ████████████████████████    4000 ms"


def test_no_step_is_said():
    assert draw([]) == "No step was made."


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
