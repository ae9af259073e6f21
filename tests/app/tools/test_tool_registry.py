from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from reference_app.guardrails.calls.request import Declaration
from reference_app.tools.arguments import ToolError
from reference_app.tools.policy import Policy, PolicyError
from reference_app.tools.registry import NOT_OWN, Confirmation, Decision, DeniedCallError, Registry, Tool

ORDER = {"type": "string", "pattern": r"^FW-\d{5}$"}
POINTS = {"type": "integer", "minimum": -5000, "maximum": 5000}
NAME = {"type": "string", "maxLength": 10, "minLength": 2}
SCHEMAS = {
    "look": {"order_id": ORDER},
    "refund": {"order_id": ORDER},
    "give": {"order_id": ORDER, "points": POINTS},
    "find": {"product": NAME, "sorted": {"type": "string", "enum": ["up", "down"]}},
}
OPTIONAL = {"sorted"}
RULES = {
    "look": {"customer": "allow", "staff": "allow"},
    "refund": {"customer": "confirm", "staff": "confirm"},
    "give": {"customer": "deny", "staff": "confirm"},
    "find": {"staff": "allow"},
}
FINE = {"order_id": "FW-10427"}


WITH = "with these arguments first."


def denied(reason):
    return Decision(outcome="deny", reason=reason)


class Ran(list):
    """What reached the tools."""

    def tool(self, name, properties):
        def run(arguments):
            self.append((name, dict(arguments)))
            arguments.clear()
            return {"done": name}

        parameters = {
            "type": "object",
            "properties": properties,
            "required": sorted(set(properties) - OPTIONAL),
            "additionalProperties": False,
        }
        return Tool(name=name, description=f"To {name}.", parameters=parameters, run=run)


@pytest.fixture
def ran():
    return Ran()


def make_policy(rules):
    declared = {name: Declaration(outcomes=outcomes) for name, outcomes in rules.items()}
    return Policy(source=Path("policy.yaml"), rules=declared, lines=dict.fromkeys(rules, 1))


def make(ran, rules=RULES):
    tools = [ran.tool(name, properties) for name, properties in SCHEMAS.items()]
    return Registry(tools, make_policy(rules))


@pytest.fixture
def registry(ran):
    return make(ran)


@pytest.mark.parametrize(
    ("call", "decided"),
    [
        (("look", FINE, "customer"), Decision(outcome="allow")),
        (
            ("refund", FINE, "staff"),
            Decision(outcome="confirm", reason=f"A person has to confirm refund {WITH}"),
        ),
        (("give", {**FINE, "points": -5000}, "customer"), denied("The role customer may not use give.")),
        (("find", {"product": "tent"}, "customer"), denied("The role customer may not use find.")),
        (("find", {"product": "tent", "sorted": "up"}, "staff"), Decision(outcome="allow")),
        (("look", FINE, "admin"), denied("There is no role 'admin'.")),
        (("look", FINE, ""), denied("There is no role ''.")),
    ],
)
def test_the_policy_decides_what_is_sound(registry, ran, call, decided):
    assert registry.decide(*call) == decided
    assert ran == []


DENIED = [
    ("order_look", FINE, "There is no tool 'order_look'; there are look, refund, give, find."),
    ("lok", FINE, "there are look, refund, give, find. Did you mean look?"),
    ("look\n", FINE, r"There is no tool 'look\n'"),
    ("l\u043e\u043ek", FINE, r"There is no tool 'l\u043e\u043ek'"),
    ("", FINE, "There is no tool ''"),
    (None, FINE, "There is no tool 'None'"),
    (["look"], FINE, "There is no tool"),
    ("x" * 100_000, FINE, f"There is no tool '{'x' * 60}';"),
    ("look", {}, "look needs the argument order_id."),
    (
        "look",
        {"order": "FW-10427"},
        "look has no argument 'order'; it takes order_id. Did you mean order_id?",
    ),
    ("look", {**FINE, "email": "a"}, "look has no argument 'email'; it takes order_id."),
    ("look", {"order_id": "FW-1042"}, r"order_id must match ^FW-\d{5}$."),
    ("look", {"order_id": "FW-10427\n"}, "order_id must match"),
    ("look", {"order_id": " FW-10427"}, "order_id must match"),
    ("look", {"order_id": "fw-10427"}, "order_id must match"),
    ("look", {"order_id": "FW-1042\uff17"}, "order_id must match"),
    ("look", {"order_id": 10427}, "order_id must be text."),
    ("look", {"order_id": None}, "order_id must be text."),
    ("look", {"order_id": ["FW-10427"]}, "order_id must be text."),
    ("look", {"order_id": "FW-10427" + "0" * 16_000}, "The arguments are longer than 16000 characters."),
    ("look", {"order_id": "\ud800"}, "The arguments are no JSON values."),
    ("look", {1: "FW-10427"}, "The arguments are no JSON values."),
    ("look", {"order_id": b"FW-10427"}, "The arguments are no JSON values."),
    ("look", [FINE], "The arguments must be a JSON object."),
    ("look", None, "The arguments must be a JSON object."),
    ("look", "FW-10427", "The arguments must be a JSON object."),
    ("give", {**FINE, "points": True}, "points must be a whole number."),
    ("give", {**FINE, "points": 5.0}, "points must be a whole number."),
    ("give", {**FINE, "points": "5"}, "points must be a whole number."),
    ("give", {**FINE, "points": math.nan}, "The arguments are no JSON values."),
    ("give", {**FINE, "points": math.inf}, "The arguments are no JSON values."),
    ("give", {**FINE, "points": 10**30}, "points must be at most 5000."),
    ("give", {**FINE, "points": 10**5000}, "The arguments are no JSON values."),
    ("give", {**FINE, "points": -5001}, "points must be at least -5000."),
    ("give", {"points": True, "x": 1}, "give has no argument 'x'; it takes order_id, points."),
    ("give", {"points": True, "x": 1}, "give needs the argument order_id."),
    ("give", {"points": True, "x": 1}, "points must be a whole number."),
    ("find", {"product": "x" * 11}, "product must have at most 10 characters."),
    ("find", {"product": "x"}, "product must have at least 2 characters."),
    ("find", {"product": "tent", "sorted": "left"}, "sorted must be one of up, down."),
]


@pytest.mark.parametrize(("name", "arguments", "reason"), DENIED)
def test_what_is_not_sound_is_denied_with_what_to_mend(registry, ran, name, arguments, reason):
    decided = registry.decide(name, arguments, "staff")
    call = registry.run(name, arguments, "staff", Confirmation("x"))

    assert decided.outcome == "deny"
    assert reason in decided.reason
    assert (call.decision, call.result, call.reason) == ("denied", None, decided.reason)
    assert ran == []


def test_a_reason_is_short_and_does_not_repeat_values(registry):
    hostile = {f"extra{number} {'x' * 50}": "secret" for number in range(50)}
    reason = registry.decide("look", {**hostile, "order_id": "ada.quimby@example.com"}, "staff").reason

    assert len(reason) < 400
    assert "ada.quimby" not in reason
    assert "secret" not in reason


@pytest.mark.parametrize(
    ("called", "confirmation", "decision"),
    [
        (("look", "customer"), None, "allowed"),
        (("refund", "customer"), None, "pending"),
        (("refund", "customer"), Confirmation.of("refund", FINE), "confirmed"),
        (("refund", "customer"), Confirmation.of("refund", {"order_id": "FW-10428"}), "denied"),
        (("refund", "customer"), Confirmation.of("look", FINE), "denied"),
        (("refund", "customer"), Confirmation(""), "denied"),
        (("give", "customer"), Confirmation.of("give", {**FINE, "points": 5}), "denied"),
        (("give", "staff"), Confirmation.of("give", {**FINE, "points": 5}), "confirmed"),
        (("give", "staff"), Confirmation.of("give", {"points": 5, **FINE}), "confirmed"),
        (("give", "staff"), Confirmation.of("give", {**FINE, "points": 50}), "denied"),
        (("give", "staff"), Confirmation.of("give", {**FINE, "points": "5"}), "denied"),
        (("give", "staff"), Confirmation.of("give", {**FINE, "points": 5.0}), "denied"),
    ],
)
def test_only_what_a_person_confirmed_is_done(registry, ran, called, confirmation, decision):
    name, role = called
    arguments = {**FINE, "points": 5} if name == "give" else dict(FINE)
    call = registry.run(name, arguments, role, confirmation)
    done = decision in ("allowed", "confirmed")

    assert call.decision == decision
    assert call.result == ({"done": name} if done else None)
    assert bool(call.reason) is not done
    assert ran == ([(name, arguments)] if done else [])
    assert call.arguments == arguments


@pytest.fixture
def spans(monkeypatch):
    """Spans that end during the test, without touching the process's own provider."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("reference_app.tracing.steps.get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def test_each_decision_is_in_a_span(registry, spans):
    registry.run("look", FINE, "customer")
    registry.run("refund", FINE, "customer")
    registry.run("look", {"order_id": "ada.quimby@example.com"}, "customer")
    registry.run("x" * 1000, {"order_id": "x" * 16_000}, "customer")
    every = [(span.name, dict(span.attributes)) for span in spans.get_finished_spans()]
    told = [each for each in every if each[0].startswith("execute_tool")]

    assert [name for name, _ in every if name.startswith("guard")] == ["guard schema", "guard tools"]
    assert [name for name, _ in told] == [
        "execute_tool look",
        "execute_tool refund",
        "execute_tool look",
        "execute_tool unknown",
    ]
    assert len({span.pop("gen_ai.tool.call.id") for _, span in told}) == 4
    assert told[0][1] == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look",
        "gen_ai.tool.description": "To look.",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.arguments": '{"order_id": "FW-10427"}',
        "gen_ai.tool.call.result": '{"done": "look"}',
        "reference_app.tool.decision": "allowed",
    }
    assert [span["reference_app.tool.decision"] for _, span in told] == [
        "allowed",
        "pending",
        "denied",
        "denied",
    ]
    assert "confirm" in told[1][1]["reference_app.tool.reason"]
    assert told[2][1]["gen_ai.tool.call.arguments"] == '{"order_id": "[email]"}'
    assert told[3][1]["gen_ai.tool.call.arguments"] == "{}"
    assert "gen_ai.tool.call.result" not in told[1][1]


def test_a_tool_that_breaks_is_marked_and_not_hidden(spans):
    def run(_):
        raise ZeroDivisionError("ada.quimby@example.com")

    parameters = {"type": "object", "properties": {}, "additionalProperties": False}
    tool = Tool(name="look", description="", parameters=parameters, run=run)
    registry = Registry([tool], make_policy({"look": {"staff": "allow"}}))
    with pytest.raises(ZeroDivisionError):
        registry.run("look", {}, "staff")

    (span,) = spans.get_finished_spans()
    assert span.attributes["error.type"] == "ZeroDivisionError"
    assert "quimby" not in span.to_json()


@pytest.mark.parametrize(
    ("customer", "decision", "result"),
    [(None, "allowed", {"of": None}), (7, "allowed", {"of": 7}), (8, "denied", None)],
)
def test_a_tool_may_deny_what_is_another_customer_s(spans, customer, decision, result):
    def run_as(arguments, asking):
        assert arguments == FINE
        if asking != 7:
            raise DeniedCallError(NOT_OWN)
        return {"of": asking}

    parameters = {"type": "object", "properties": SCHEMAS["look"], "additionalProperties": False}
    tool = Tool(name="look", description="", parameters=parameters, run=lambda _: {"of": None}, run_as=run_as)
    registry = Registry([tool], make_policy({"look": {"customer": "allow"}}))
    call = registry.run("look", FINE, "customer", customer=customer)

    assert (call.decision, call.result, call.arguments) == (decision, result, FINE)
    assert call.reason == (NOT_OWN.reason if decision == "denied" else "")
    *guards, span = spans.get_finished_spans()
    assert [guard.name for guard in guards] == (["guard owner"] if decision == "denied" else [])
    assert span.attributes["reference_app.tool.decision"] == decision
    assert "error.type" not in span.attributes


def test_two_tools_of_one_name_and_an_unfit_policy_make_no_registry(ran):
    look = ran.tool("look", SCHEMAS["look"])

    with pytest.raises(ToolError, match="Two tools are named look"):
        Registry([look, look], make_policy({"look": {}}))
    with pytest.raises(PolicyError, match="no rule for find"):
        make(ran, {name: rule for name, rule in RULES.items() if name != "find"})
    with pytest.raises(PolicyError, match=r"no rule for find\. Did you mean 'fnd' in line 1"):
        make(ran, {"fnd" if name == "find" else name: rule for name, rule in RULES.items()})


def test_a_schema_changed_later_changes_nothing(ran):
    look = ran.tool("look", dict(SCHEMAS["look"]))
    registry = Registry([look], make_policy({"look": {"staff": "allow"}}))
    look.parameters["properties"]["email"] = {}

    assert registry.decide("look", {**FINE, "email": "x"}, "staff").outcome == "deny"


def is_sound(name, arguments):
    """The schemas once more, in plain Python."""
    if set(arguments) - set(SCHEMAS[name]) or set(SCHEMAS[name]) - OPTIONAL - set(arguments):
        return False
    rules = {
        "order_id": lambda value: type(value) is str and re.fullmatch(r"FW-[0-9]{5}", value),
        "points": lambda value: type(value) is int and -5000 <= value <= 5000,
        "product": lambda value: type(value) is str and 2 <= len(value) <= 10,
        "sorted": lambda value: value in ("up", "down"),
    }
    return all(rules[key](value) for key, value in arguments.items())


DIGITS = st.characters(whitelist_categories=["Nd"])
VALUES = st.one_of(
    st.from_regex(r"FW-[0-9]{5}", fullmatch=True),
    st.builds(
        "FW-{}{}".format,
        st.text(DIGITS, min_size=4, max_size=6),
        st.sampled_from(["", "\n", "\r", "\0", " "]),
    ),
    st.integers(),
    st.integers(-5002, 5002),
    st.sampled_from(
        [True, False, None, math.nan, math.inf, 5.0, "up", "down", "UP", [], {}, 10**5000, b"x", "\ud800"]
    ),
    st.text(max_size=12),
    st.floats(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
KEYS = st.one_of(
    st.sampled_from(["order_id", "points", "product", "sorted"]), st.text(max_size=9), st.integers()
)


reached = Ran()
door = make(reached)


@given(
    name=st.sampled_from(sorted(SCHEMAS)),
    arguments=st.one_of(
        st.dictionaries(KEYS, VALUES, max_size=4),
        st.fixed_dictionaries({"order_id": VALUES}, optional={"points": VALUES}),
        st.fixed_dictionaries({"product": VALUES}, optional={"sorted": VALUES}),
        VALUES,
    ),
    confirmed=st.booleans(),
)
def test_no_arguments_that_break_the_schema_reach_a_tool(name, arguments, confirmed):
    reached.clear()
    try:
        confirmation = Confirmation.of(name, arguments) if confirmed else None
    except (ValueError, TypeError):
        confirmation = Confirmation("")
    call = door.run(name, arguments, "staff", confirmation)
    sound = (
        isinstance(arguments, dict)
        and all(isinstance(key, str) for key in arguments)
        and is_sound(name, arguments)
    )

    if sound and (confirmed or name in ("look", "find")):
        assert reached == [(name, arguments)]
    else:
        assert reached == []
        assert call.result is None
