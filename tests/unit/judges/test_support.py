from __future__ import annotations

import pytest

from pytest_llmops.judges.faithfulness import Support, judge_support, support_identity
from pytest_llmops.judges.model import read_judge
from pytest_llmops.records import Failure

PASSAGES = ["Boots can be returned within 60 days of delivery.", "Shipping costs “£5” \u2013 always."]


def entry(label, evidence="", *, claim=1, reason="r"):
    return {"claim": claim, "evidence": evidence, "reason": reason, "label": label}


def check(judge, sample, claims=("c",), passages=PASSAGES):
    (found,) = judge_support(judge, [sample(passages=passages)], [list(claims)])
    return found


@pytest.mark.parametrize("label", ["supported", "contradicted"])
@pytest.mark.parametrize(
    "quotation",
    [
        "within 60 days of delivery",
        "WITHIN  60 days\nof delivery.",
        '"within 60 days"',
        "Boots … 60 days",
        "Boots can be [...] delivery",
        'costs "£5" - always',
        "60",
    ],
)
def test_a_label_is_believed_where_its_quotation_stands_in_a_passage(server, judge, sample, label, quotation):
    server.verdict = lambda _: {"claims": [entry(label, quotation)]}

    (found,) = check(judge(), sample)

    assert found == Support(label, quotation, "r")


@pytest.mark.parametrize("label", ["supported", "contradicted"])
@pytest.mark.parametrize(
    "quotation",
    ["", " … ", "...", '""', "within 30 days", "Boots … 30 days", "Boots … costs", "delivery. Shipping"],
)
def test_a_label_without_a_true_quotation_is_absent(server, judge, sample, label, quotation):
    server.verdict = lambda _: {"claims": [entry(label, quotation)]}

    (found,) = check(judge(), sample)

    assert (found.label, found.evidence) == ("absent", "")
    assert found.reason == f"called {label}, but what it quotes stands in no passage: r"


def test_one_request_holds_all_claims_of_a_sample_and_the_answer_comes_in_their_order(server, judge, sample):
    server.verdict = lambda _: {
        "claims": [entry("absent", claim=2), entry("supported", "60 days", claim=1), entry("absent", claim=3)]
    }

    found = check(judge(), sample, ["You have 60 days.", "It is free.", "It is fun."])

    assert [each.label for each in found] == ["supported", "absent", "absent"]
    assert len(server.requests) == 1
    user = server.requests[0]["messages"][-1]["content"]
    assert "1. You have 60 days.\n2. It is free.\n3. It is fun." in user
    assert "(2) Shipping costs" in user


@pytest.mark.parametrize("claims", [[], [1], [1, 1], [1, 2, 2]])
def test_claims_that_are_not_each_labelled_once_are_a_failure(server, judge, sample, claims):
    server.verdict = lambda _: {"claims": [entry("absent", claim=number) for number in claims]}

    found = check(judge(), sample, ["a", "b"])

    assert isinstance(found, Failure)
    assert "did not label each of 2 claims once" in found.error


def test_a_quotation_is_found_as_it_stands_and_a_reason_is_masked_before_it_is_cut(server, judge, sample):
    mail, key = "anna.lee@willow.net", "sk-proj-abcdEFGH1234567890abcdEFGH1234567890"
    said = f"{'x ' * 495}{mail} {key}"
    server.verdict = lambda _: {"claims": [entry("supported", f"Ask {mail}", reason=said)]}

    (found,) = check(judge(), sample, passages=[f"Ask {mail} first."])

    assert (found.label, found.evidence) == ("supported", f"Ask {mail}")
    assert "anna" not in found.reason
    assert "sk-" not in found.reason


def test_what_needs_no_judge_costs_no_request(server, judge, sample):
    assert check(judge(), sample, []) == []
    assert [each.label for each in check(judge(), sample, ["a", "b"], passages=[])] == ["absent", "absent"]
    assert judge_support(judge(), [], []) == []
    assert server.requests == []


def test_a_sample_without_passages_or_a_judge_without_a_verdict_is_a_failure(server, judge, sample):
    server.meet = lambda *_: "refusal"
    bare, asked = judge_support(judge(), [sample(repeat=3), sample(passages=PASSAGES)], [["a"], ["a"]])

    assert (bare.metric, bare.repeat) == ("faithfulness", 3)
    assert "passages" in bare.error
    assert "refused" in asked.error


def test_the_embedded_judge_cannot_check_claims(sample):
    (found,) = judge_support(read_judge("embedded", "faithfulness"), [sample(passages=PASSAGES)], [["a"]])

    assert "name another judge" in found.error


def test_identity(judge):
    assert support_identity(judge()) != support_identity(judge(model="other"))
    assert "judge-support-1.0.0-" in support_identity(judge())
