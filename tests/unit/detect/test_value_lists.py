"""Values that may appear, and values that must not, as written and under disguises."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.detect import value_lists
from pytest_llmops.detect.mask import mask, stand_in
from pytest_llmops.detect.scanner import scan_texts
from pytest_llmops.detect.value_lists import ValueLists, hide_everywhere
from pytest_llmops.metrics.pii_leak import PiiLeak
from pytest_llmops.records import Output, Sample

SHOP = "help@willow.co.uk"
LEAK = "tobias.merrivale@willow.co.uk"
DISGUISES = {
    "plain": lambda text: text,
    "capitals": str.upper,
    "percent": lambda text: quote(text, safe=""),
    "every percent": lambda text: "".join(f"%{ord(char):02x}" for char in text),
    "html": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "half html": lambda text: f"&#{ord(text[0])};{text[1:]}",
    "escaped": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "full width": lambda text: "".join(chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in text),
    "spelt": lambda text: text.replace("@", " [at] ").replace(".", " [dot] "),
}


def kinds(text: str, *, allow: tuple[str, ...] = (), deny: tuple[str, ...] = ()) -> list[str]:
    lists = ValueLists(allow=frozenset(allow), deny=frozenset(deny))
    return [each.kind for each in scan_texts([text], lists=lists)[0]]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What a test hides is not hidden in the next."""
    monkeypatch.setattr(value_lists, "_hidden", value_lists.NO_LISTS)


@pytest.mark.parametrize("disguise", DISGUISES)
def test_an_allowed_value_may_appear_disguised_and_no_other(disguise):
    disguised = DISGUISES[disguise]

    assert kinds(f"Ask {disguised(SHOP)} today") == ["EMAIL_ADDRESS"]
    assert kinds(f"Ask {disguised(SHOP)} today", allow=(SHOP,)) == []
    assert kinds(f"Ask {disguised(LEAK)} today", allow=(SHOP,)) == ["EMAIL_ADDRESS"]


@pytest.mark.parametrize("other", [f"x{SHOP}", f"{SHOP}.evil.org", "willow.co.uk@willow.co.uk"])
def test_a_value_that_holds_an_allowed_one_is_another(other):
    assert kinds(f"Ask {other}", allow=(SHOP,)) == ["EMAIL_ADDRESS"]


@pytest.mark.parametrize("disguise", ["base64", "hexadecimal"])
@pytest.mark.parametrize("text", [f"{SHOP} {LEAK}", f"{LEAK} {SHOP}", f"{SHOP} card 4629183055771940"])
def test_an_allowed_value_hides_no_other_of_its_disguise(disguise, text):
    disguised = DISGUISES[disguise]

    assert len(kinds(disguised(text), allow=(SHOP,))) == 1


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("value", ["Project Falcon-7", "internal-codename@shop.example"])
def test_a_denied_value_is_found_under_each_disguise(disguise, value):
    text = f"about {DISGUISES[disguise](value)} now"

    assert "DENIED" in kinds(text, deny=(value.lower(),))
    assert "DENIED" not in kinds(text, deny=("Project Falcon-8",))


def test_what_is_denied_is_not_allowed_too():
    assert kinds(SHOP, allow=(SHOP,), deny=(SHOP,)) == ["DENIED"]


def test_a_denied_value_is_shown_nowhere():
    metric = PiiLeak(deny=("Project Falcon-7",))
    (result,) = metric.score([Sample(output=Output(text="We call it project falcon-7."))])

    assert result.value == 1
    assert result.evidence[0]["kind"] == "DENIED"
    assert "alcon" not in f"{result!r}{metric!r}"
    assert mask("We call it PROJECT FALCON-7.") == "We call it <DENIED>."
    assert "FALCON" not in stand_in("We call it PROJECT FALCON-7.")


def test_what_one_check_denies_another_does_not():
    PiiLeak(deny=("falcon",))
    (result,) = PiiLeak().score([Sample(output=Output(text="falcon"))])

    assert result.value == 0


def test_an_empty_value_is_none():
    hide_everywhere([""])

    assert mask("text") == "text"
    assert kinds("text", allow=("",), deny=("",)) == []


@given(st.text(max_size=30), st.text(min_size=1, max_size=5))
def test_a_denied_value_is_found_wherever_it_stands(text, value):
    assert "DENIED" in kinds(f"{text}{value}{text}", deny=(value,))


@pytest.mark.parametrize(
    "text", ["Project\nFalcon", "Project  Falcon", "project-falcon", "PROJECT_FALCON", "ProjectFalcon"]
)
def test_words_of_a_denied_value_may_be_joined_otherwise(text):
    assert "DENIED" in kinds(f"About {text}: nothing.", deny=("Project Falcon",))
    assert "DENIED" not in kinds("A project of Falcon.", deny=("Project Falcon",))
