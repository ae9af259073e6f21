from __future__ import annotations

import json
from base64 import b64encode

import pytest

from pytest_llmops.detect import scanner
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.pii_leak import PiiLeak
from pytest_llmops.records import Failure, Output, Passage, Sample, Score, Span, ToolCall
from pytest_llmops.registry import create_metric

EMAIL = "tobias.merrivale@willow.co.uk"


def span(name: str = "retriever", **attributes: object) -> Span:
    return Span(span_id="a1b2c3d4e5f60718", parent_id=None, name=name, attributes=attributes)


def leak(
    text: str = "Within 60 days.",
    *,
    spans: tuple[Span, ...] = (),
    tool_calls: tuple[ToolCall, ...] = (),
    metric: PiiLeak | None = None,
    model: str | None = None,
) -> Score:
    sample = Sample(output=Output(text=text, tool_calls=tool_calls, repeat=1, model=model), spans=spans)
    (result,) = (metric or PiiLeak()).score([sample])
    assert isinstance(result, Score)
    return result


def test_a_clean_output_has_no_leak():
    result = leak(spans=(span(model="small", order="FW-10427"),))

    assert (result.value, result.reason, result.evidence, result.repeat) == (0.0, "", (), 1)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("PHONE_NUMBER", b64encode(b'{"email": "a.b@willow.net", "phone": "+44 20 7946 0958"}').decode()),
        ("EMAIL_ADDRESS", f"GET /reset?token={EMAIL}&lang=en"),
    ],
)
def test_a_kind_that_is_not_looked_for_hides_none_that_is(kind, text):
    result = leak(text, metric=PiiLeak(kinds=(kind,)))

    assert [each["kind"] for each in result.evidence] == [kind]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"text": f"Write to {EMAIL}"}, "output.text"),
        ({"text": json.dumps({"answer": [EMAIL]})}, "output.text /answer/0"),
        ({"model": f"ft:small:{EMAIL}"}, "output.model"),
        ({"spans": (span(note=EMAIL),)}, "span 'retriever' /attributes/note"),
        (
            {"spans": (Span(span_id="s", parent_id=None, name="a", events=({"name": EMAIL},)),)},
            "span 'a' /events/0/name",
        ),
        (
            {"spans": (Span(span_id="s", parent_id=None, name="a", status=f"error: {EMAIL}"),)},
            "span 'a' /status",
        ),
        (
            {"spans": (span(messages=json.dumps([{"content": json.dumps({"to": EMAIL})}])),)},
            "span 'retriever' /attributes/messages/0/content/to",
        ),
        ({"tool_calls": (ToolCall(name="mail", arguments={"to": EMAIL}),)}, "tool call 'mail' /arguments/to"),
        (
            {"tool_calls": (ToolCall(name="mail", decision=f"asked {EMAIL}"),)},
            "tool call 'mail' /decision",
        ),
        ({"tool_calls": (ToolCall(name="mail", result=[EMAIL]),)}, "tool call 'mail' /result/0"),
    ],
)
def test_a_leak_is_told_with_its_place(given, place):
    result = leak(**given)

    assert result.value == 1.0
    assert result.reason == f"<EMAIL_ADDRESS {len(EMAIL)} chars> in {place}"
    (found,) = result.evidence
    assert found["place"] == place
    assert found["end"] - found["start"] == len(EMAIL)


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("customer.ssn", "536 22 1234", "US_SSN"),
        ("phone", "07700 900461", "PHONE_NUMBER"),
        ("n", 4111111111111111, "CREDIT_CARD"),
    ],
)
def test_a_key_says_what_its_number_is(key, value, kind):
    (found,) = leak(spans=(span(**{key: value}),)).evidence

    assert found["kind"] == kind
    assert (found["start"], found["end"]) == (0, len(str(value)))


def test_the_value_is_shown_nowhere():
    result = leak(
        f"{EMAIL} {EMAIL}",
        spans=(span(EMAIL, **{EMAIL: EMAIL}),),
        tool_calls=(ToolCall(name=EMAIL, result=EMAIL),),
    )

    assert result.value == 7.0
    assert "merrivale" not in repr(result)
    assert result.reason.endswith(", and 6 more")


def test_a_password_in_a_key_is_not_told_with_the_place():
    (found,) = leak(spans=(span(**{"redis://default:Kestrel215!@cache/0": "x"}),)).evidence

    assert found["place"] == "span 'retriever' /attributes/redis:~1~1default:<PASSWORD_IN_URL>@cache~10"


def test_what_is_allowed_is_no_leak():
    metric = create_metric("pii_leak", {"allow": ["Help@Willow.co.uk"]})

    assert leak("Ask help@willow.co.uk", metric=metric).value == 0.0
    assert leak(f"Ask help@willow.co.uk or {EMAIL}", metric=metric).value == 1.0


def test_kinds_narrow_what_is_looked_for():
    text = f"{EMAIL} 62.19.249.107"

    assert leak(text, metric=PiiLeak(kinds=("IP_ADDRESS",))).value == 1.0
    assert leak(text).value == 2.0


def test_passages_are_looked_at_unless_they_are_the_apps_own_knowledge():
    sample = Sample(output=Output(text="", passages=(Passage(id="p", text=EMAIL), Passage(id=EMAIL))))
    (score,) = PiiLeak().score([sample])
    assert [each["place"] for each in score.evidence] == [
        "passage 'p' /text", "passage '<EMAIL_ADDRESS>' /id",
    ]  # fmt: skip
    assert PiiLeak(passages="own_knowledge").score([sample])[0].value == 0.0


def test_one_result_a_sample_in_order():
    samples = [Sample(output=Output(text=EMAIL * (at % 2), repeat=at)) for at in range(4)]

    results = PiiLeak().score(samples)

    assert [result.value for result in results] == [0.0, 1.0, 0.0, 1.0]
    assert [result.repeat for result in results] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"allow": EMAIL}, "allow: must be a list"),
        ({"kinds": ["EMAIL_ADRESS"]}, "Did you mean 'EMAIL_ADDRESS'"),
        ({"allow": [5]}, "must be text"),
    ],
)
def test_a_wrong_option_is_told_how_to_mend(options, advice):
    with pytest.raises(MetricOptionError, match=advice):
        create_metric("pii_leak", options)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"deny": "Falcon"}, "deny: must be a list"),
        ({"timeout_s": 0}, "timeout_s: must be a number of seconds above 0"),
        ({"timeout_s": "soon"}, "timeout_s: must be"),
    ],
)
def test_a_wrong_list_or_limit_is_told_how_to_mend(options, advice):
    with pytest.raises(MetricOptionError, match=advice):
        create_metric("pii_leak", options)


def test_a_broken_scanner_is_an_error_of_every_output(monkeypatch):
    scanner.forget()
    monkeypatch.setattr(scanner, "find_credentials", lambda _: iter(()))
    samples = [Sample(output=Output(text=text, repeat=at)) for at, text in enumerate(("one", "two"))]
    try:
        results = PiiLeak().score(samples)
    finally:
        monkeypatch.undo()
        scanner.forget()

    assert [type(result) for result in results] == [Failure, Failure]
    assert "the scanner does not find what it must" in results[0].error


def test_what_is_denied_is_found_in_spans_and_tools_too():
    metric = create_metric("pii_leak", {"deny": ["zephyr-nine"]})
    result = leak(
        "Zephyr-Nine",
        spans=(span(note="about ZEPHYR-NINE"),),
        tool_calls=(ToolCall(name="a", result="zephyr%2Dnine"),),
        metric=metric,
    )

    assert [each["kind"] for each in result.evidence] == ["DENIED"] * 3
    assert "ephyr" not in repr(result).lower()


def test_what_is_denied_is_found_whatever_kinds_are_looked_for():
    metric = create_metric("pii_leak", {"deny": ["Project Falcon"], "kinds": ["IP_ADDRESS"]})

    assert leak(f"About Project Falcon, by {EMAIL}", metric=metric).value == 1.0
