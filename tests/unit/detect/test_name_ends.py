from __future__ import annotations

import pytest

from pytest_llmops.detect.recognizers.people import find_name


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Anna Lee.", 8),
        ("J. R. Okonkwo said", 13),
        ("Anna", None),
        ("anna lee", None),
        ("Support Team", None),
        ("Ludwig van der Rohe of", 19),
        ("London W2 4", None),
        ("Can I pay later?", None),
        ("How do I pay?", None),
        ("Mein Kocher", None),
        ("Does Ashcombe have", None),
        ("Does Anna Lee have an order?", 13),
        ("Is Anna", None),
        ("Ann Does", 8),
        ("Anna Lee I want", 8),
        ("Anna Lee How do", 8),
        ("Maria I Lopez", 13),
        ("My Andersson", 12),
        ("Nguyen Thi My", 13),
        ("Michelle Wie", 12),
        ("Are Hansen said", 10),
        ("I. R. Okonkwo said", 13),
    ],
)
def test_a_name_ends_where_its_words_end(text, end):
    assert find_name(text, 0, 2) == end
