"""Labels as people write them, and what cannot be told apart."""

from __future__ import annotations

import pytest

from pytest_llmops.features.calibrate.labels import LabelError, find_field, read_labels


def read(labels, name="label", positive=None, **fields):
    rows = [{"label": label, **fields} for label in labels]
    return read_labels(rows, [f"l.jsonl:{at}" for at in range(1, len(rows) + 1)], name, positive=positive)


PAIR = {"outputs": ["a", "b"]}


@pytest.mark.parametrize(
    ("labels", "options", "kind", "values", "told"),
    [
        ([True, False, None], {}, "good", (1, 0, None), "1 good, 1 bad"),
        ([1, 0, 1], {}, "good", (1, 0, 1), "2 good, 1 bad"),
        ([1, 1], {}, "good", (1, 1), "2 good, 0 bad"),
        ([1, 4, 5, None], {}, "rating", (1, 4, 5, None), "3 ratings from 1 to 5, higher is better"),
        ([0.5, 0.25], {}, "rating", (0.5, 0.25), "2 ratings from 0.25 to 0.5, higher is better"),
        (["yes", " no "], {"positive": "yes"}, "good", (1, 0), "1 good (yes), 1 bad"),
        (["A", "B", "C", None], {"positive": "A, B"}, "good", (1, 1, 0, None), "2 good (A, B), 1 bad"),
        ([1, 4, 5], {"positive": ">= 4"}, "good", (0, 1, 1), "2 good (>= 4), 1 bad"),
        ([1, 2, 3], {"positive": "2"}, "good", (0, 1, 0), "1 good (2), 2 bad"),
        ([1, 2, 0], PAIR, "pair", (1, 0, 0.5), "1 first better, 1 second better, 1 neither"),
        ([-2, 0, 1], PAIR, "pair", (1, 0.5, 0), "1 first better, 1 second better, 1 neither"),
        ([1, 0, 0.5], PAIR, "pair", (1, 0, 0.5), "1 first better, 1 second better, 1 neither"),
        ([1, 2, "tie"], PAIR, "pair", (1, 0, 0.5), "1 first better, 1 second better, 1 neither"),
        (
            ["A", "b", "Tie", None],
            PAIR,
            "pair",
            (1, 0, 0.5, None),
            "1 first better, 1 second better, 1 neither",
        ),
        (["first", "second"], PAIR, "pair", (1, 0), "1 first better, 1 second better, 0 neither"),
    ],
)
def test_labels_are_read_and_told(labels, options, kind, values, told):
    found = read(labels, **options)

    assert (found.kind, found.values, found.description) == (kind, values, told)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([None, None], {}, "no row has a value in 'label'. Fields: label"),
        ([1], {"name": "lable"}, "no row has a value in 'lable'. Did you mean 'label'?"),
        (["yes", "no"], {}, "label holds text: 'yes', 'no'. Say which mean good: --positive NAME[,NAME]"),
        (["yes", "no"], {"positive": "yess"}, "no label is 'yess'. Did you mean 'yes'? Labels: 'no', 'yes'"),
        ([1, "x"], {"positive": ">= 2"}, "l.jsonl:2: label is the text 'x', not a number"),
        ([{"a": 1, "b": 2}], {}, "label holds several labels; take one of them: label.a, label.b"),
        ([1, 3], PAIR, "l.jsonl:2: label is 3; of a pair write 1 or 2"),
        ([1, "better"], PAIR, "l.jsonl:2: label is 'better'; of a pair write 1 or 2"),
        ([1, 0.7], PAIR, "l.jsonl:2: label is 0.7; of a pair"),
        ([1, 2, 0.5], PAIR, "l.jsonl:3: label is 0.5; of a pair"),
        ([1, 2], {"outputs": ["a"]}, "l.jsonl:1: has no pair of outputs"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_remedy(labels, options, message):
    with pytest.raises(LabelError) as error:
        read(labels, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "label",
    [float("nan"), float("inf"), float("-inf"), 10**400, "nan", " NaN ", "-inf", "1e400", "Infinity"],
)
@pytest.mark.parametrize("options", [{}, {"positive": "yes"}, {"positive": ">= 4"}, PAIR])
def test_a_label_that_is_not_finite_is_refused_with_its_place(label, options):
    """It would count as bad, as better than every other label, or as no label at all."""
    with pytest.raises(LabelError) as error:
        read([1, label, 2, 0], **options)

    assert str(error.value).startswith("l.jsonl:2: label is ")
    assert "which is not a finite number; write null where nobody labelled the row" in str(error.value)


@pytest.mark.parametrize("labels", [[1, True, 5], [0, 1, True], [0.5, True, 1]])
@pytest.mark.parametrize("options", [{}, {"positive": ">= 1"}, {"positive": "1"}, PAIR])
def test_true_and_false_beside_numbers_are_refused(labels, options):
    with pytest.raises(LabelError) as error:
        read(labels, **options)

    at = [label is True for label in labels].index(True) + 1
    assert f"l.jsonl:{at}: label is true, and l.jsonl:1 has the number {labels[0]}" in str(error.value)


def test_of_many_labels_that_cannot_be_the_first_are_named():
    with pytest.raises(LabelError) as error:
        read([float("nan")] * 20)

    lines = str(error.value).splitlines()
    assert len(lines) == 9
    assert (lines[0][:10], lines[-1]) == ("l.jsonl:1:", "and 12 more")


def test_hostile_labels_are_shown_escaped():
    with pytest.raises(LabelError) as error:
        read(["\x1b[31mgood", "no"])
    assert "\x1b" not in str(error.value)


def test_a_field_within_a_field():
    rows = [{"label": {"overall": 1}}, {"label": {"overall": 2}}, {"label": None}, {}]

    assert find_field(rows, "label.overall") == [1, 2, None, None]
    assert find_field([{"a.b": 3}], "a.b") == [3]
