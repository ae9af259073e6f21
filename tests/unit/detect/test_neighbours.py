"""Values that are cut over neighbouring texts, and lists that only look like one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import scan
from pytest_llmops.detect.neighbours import Neighbour, group_of, scan_neighbours
from pytest_llmops.detect.seal import seal_result
from pytest_llmops.metrics.pii_leak import PiiLeak
from pytest_llmops.records import CaseResult, Output, Sample, Score, Span, ToolCall
from tests.unit.detect.samples import VALUES

KEY = "sk-" + "proj-a1B2" * 4


def cut_kinds(parts: list[str]) -> list[str]:
    return [
        neighbour.finding.kind for neighbour in scan_neighbours([Neighbour("/*", "", part) for part in parts])
    ]


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (["+1 202-555", "-0143"], "PHONE_NUMBER"),
        (["+1", " 202", "-555", "-01", "43"], "PHONE_NUMBER"),
        (["Write to mira.holt@exam", "ple.org soon"], "EMAIL_ADDRESS"),
        (["mira.holt", "@", "example.org"], "EMAIL_ADDRESS"),
        (["card 4629 1830", " 5577 1940 is mine"], "CREDIT_CARD"),
        (["DE89 3704 0044 ", "0532 0130 00"], "IBAN_CODE"),
        (["my key is ", KEY[:12], KEY[12:], " ok"], "API_KEY"),
        (["536-22", "-1234"], "US_SSN"),
    ],
)
def test_a_value_is_found_over_its_parts(parts, kind):
    assert cut_kinds(parts) == [kind]


@pytest.mark.parametrize(
    "parts",
    [
        ["4629", "1830", "5577", "1940"],
        ["4111111111111111", "4222222222222"],
        ["1", "2", "3", "4", "5", "6", "7", "8", "9"],
        ["1.2.3", ".4.5", "62.19", ".249.107"],
        ["mira.holt@example.org", "tobias@willow.net"],
        ["Maja", "Lindqvist", "12 Main Street"],
        ["2026-11", "-25", "T13:05", ":04"],
        ["size 36", "size 37", "EUR 129.95", "4711-0815"],
        ["user@host", "see above", "http://a.example", "/b"],
        ["", " ", "\n"],
    ],
)
def test_an_ordinary_list_is_one(parts):
    assert cut_kinds(parts) == []


@given(st.lists(st.integers(-(10**9), 10**9) | st.floats(allow_nan=False), max_size=30))
def test_numbers_are_never_joined(numbers):
    assert cut_kinds([str(number) for number in numbers]) == []


@given(
    st.sampled_from([*VALUES["EMAIL_ADDRESS"][:2], *VALUES["IBAN_CODE"], KEY]),
    st.integers(1, 8),
)
def test_wherever_a_value_is_cut_it_is_found_once(value, length):
    parts = [value[at : at + length] for at in range(0, len(value), length)]

    (cut,) = scan_neighbours([Neighbour("a", "", part) for part in ["see ", *parts, " there"]])

    assert cut.finding.cut
    assert "".join(["see ", *parts, " there"][part.at][part.start : part.end] for part in cut.parts) == value


def test_texts_of_another_group_are_no_neighbours():
    texts = [Neighbour("a", "", "+1 202-555"), Neighbour("b", "", "-0143")]

    assert scan_neighbours(texts) == []
    assert group_of("/0/text/1", "text", "a") == group_of("/12/text/0", "text", "b")
    assert group_of("/0/value", "ssn", "a") != group_of("/0/value", "phone", "a")
    assert group_of("/0/a~1b", "", "a/b") == ""


@pytest.mark.parametrize(
    "sample",
    [
        Sample(output=Output(text='["+1 202-555", "-0143"]')),
        Sample(output=Output(text='[{"delta": "+1 202-555"}, {"delta": "-0143"}]')),
        Sample(output=Output(text="", tool_calls=(ToolCall(name="a", result=["+1 202-555", "-0143"]),))),
        Sample(
            output=Output(text=""),
            spans=tuple(
                Span(span_id=str(at), parent_id=None, name="chunk", attributes={"text": text})
                for at, text in enumerate(("+1 202-555", "-0143"))
            ),
        ),
    ],
)
def test_the_metric_reports_it_once_at_its_first_part(sample):
    (result,) = PiiLeak().score([sample])

    assert result.value == 1
    assert result.evidence[0]["kind"] == "PHONE_NUMBER"
    assert result.evidence[0]["place"].endswith(" and the next")


def test_the_parts_are_sealed():
    output = Output(text="", tool_calls=(ToolCall(name="a", result=["call +1 202-555", "-0143 now"]),))
    result = CaseResult(
        case="a", input_hash="", outputs=(output,), scores=(Score(metric="pii_leak", value=1),)
    )

    sealed = seal_result(result)

    assert sealed.outputs[0].tool_calls[0].result == ["call <…>", "<…> now"]


def test_files_are_read_so_too(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"delta": part}) + "\n" for part in ("call +1 202-555", "-0143")))

    (found,) = scan(path)

    assert (found.kind, found.pointer, found.start, found.cut) == ("PHONE_NUMBER", "/0/delta", 5, True)
