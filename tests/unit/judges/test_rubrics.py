from __future__ import annotations

import pickle

import pytest

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.judges.rubric import Judge
from pytest_llmops.judges.rubric_file import _BUILT_IN, find_rubric

OWN = """\
version: 2.1.0
criteria:
  brevity:
    asks: Is it brief?
    weight: 2
    anchors:
      "1": a page
      "2": half a page
      "3": some sentences
      "4": a sentence
      "5": a word
  warmth:
    asks: Is it warm?
    yes_no: Is it warm?
    anchors: {"1": ice, "2": cold, "3": mild, "4": warm, "5": a hug}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "golden/rubrics").mkdir(parents=True)
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    return tmp_path


@pytest.mark.parametrize("path", sorted(_BUILT_IN.glob("*.yaml")), ids=lambda path: path.stem)
def test_our_rubrics_say_what_each_step_means_and_can_be_asked_yes_or_no(path):
    rubric = find_rubric(path.stem, "judge")

    assert rubric.name == path.stem
    for criterion in rubric.criteria:
        assert len(set(criterion.anchors)) == 5
        assert criterion.yes_no.endswith("?")


def test_the_default_rubric():
    assert [each.name for each in find_rubric("default", "judge").criteria] == [
        "accuracy", "completeness", "hallucination",
    ]  # fmt: skip


@pytest.mark.parametrize("written", ["own", "golden/rubrics/own.yaml"])
def test_a_rubric_of_ones_own(project, written):
    (project / "golden/rubrics/own.yaml").write_text(OWN)

    rubric = find_rubric(written, "judge")

    assert (rubric.name, rubric.version) == ("own", "2.1.0")
    assert [(each.name, each.weight) for each in rubric.criteria] == [("brevity", 2.0), ("warmth", 1.0)]
    assert rubric.criteria[0].anchors == ("a page", "half a page", "some sentences", "a sentence", "a word")


def test_a_metric_holds_its_rubric_so_that_another_process_needs_no_file(project):
    path = project / "golden/rubrics/own.yaml"
    path.write_text(OWN)
    metric = Judge(judge="small", rubric="own")
    path.unlink()

    assert pickle.loads(pickle.dumps(metric)) == metric  # noqa: S301
    assert hash(metric) == hash(pickle.loads(pickle.dumps(metric)))  # noqa: S301


def test_a_changed_rubric_changes_the_signature(project):
    path = project / "golden/rubrics/own.yaml"
    path.write_text(OWN)
    before = Judge(judge="small", rubric="own").made
    path.write_text(OWN.replace("a hug", "an embrace"))

    assert Judge(judge="small", rubric="own").made != before


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("version: 2.1.0\n", "", 1, "version is missing"),
        ("criteria:", "criterea:", 2, "unknown key 'criterea'. Did you mean 'criteria'?"),
        ("    asks: Is it brief?\n", "", 3, "criteria.brevity: asks is missing"),
        (
            "asks: Is it brief?",
            "ask: Is it brief?",
            4,
            "criteria.brevity: unknown key 'ask'. Did you mean",
        ),
        ("weight: 2", "weight: 0", 5, "criteria.brevity.weight: must be a number above 0, not 0"),
        ("weight: 2", "weight: heavy", 5, "criteria.brevity.weight: must be a number above 0"),
        (
            '      "5": a word\n',
            "",
            6,
            "criteria.brevity.anchors: say in words what each of '1', '2', '3', '4', '5' means",
        ),
        ('      "5": a word\n', '      "6": a word\n', 6, "criteria.brevity.anchors: say in words"),
        ('"3": some sentences', '"3": []', 9, "criteria.brevity.anchors.3: must be text"),
        ("  warmth:", "  warm-th:", 12, "criteria.warm-th: a criterion's name is one word"),
        ("  warmth:", "  brevity:", 12, ""),
        ("    asks: Is it warm?", "\tasks: Is it warm?", 13, ""),
    ],
)
def test_a_wrong_rubric_is_refused_with_its_line(project, old, new, line, message):
    assert old in OWN
    (project / "golden/rubrics/own.yaml").write_text(OWN.replace(old, new, 1))

    with pytest.raises(MetricOptionError) as caught:
        find_rubric("own", "judge")

    assert str(caught.value).startswith(f"judge: golden/rubrics/own.yaml:{line}: {message}")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "defualt",
            "no rubric is named 'defualt'. Did you mean 'default'? Known rubrics: default, own, support;",
        ),
        ("no/such.yaml", "no/such.yaml cannot be read"),
        ("no\0thing.yaml", "cannot be read"),
        (3, "rubric is a name or a path"),
        ("golden/rubrics/bytes.yaml", "bytes.yaml:1: not UTF-8 text"),
    ],
)
def test_a_rubric_that_is_not_there(project, written, message):
    (project / "golden/rubrics/own.yaml").write_text(OWN)
    (project / "golden/rubrics/bytes.yaml").write_bytes(b"\xff\xfe")
    if written == "defualt":
        (project / "golden/rubrics/bytes.yaml").unlink()

    with pytest.raises(MetricOptionError) as caught:
        find_rubric(written, "judge")

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ("acuracy", "has no criterion 'acuracy'. Did you mean 'accuracy'?"),
        (("accuracy", "tone"), "has no criterion 'tone'"),
        ({"accuracy": -1}, "the weight of accuracy: must be a number above 0"),
        ({"accuracy": True}, "the weight of accuracy: must be a number above 0"),
        ((), "criteria names none"),
        (({"name": "tone"},), "criteria is a name, a list of names, or names with weights"),
    ],
)
def test_criteria_that_cannot_be(criteria, message):
    with pytest.raises(MetricOptionError) as caught:
        Judge(judge="small", criteria=criteria)

    assert message in str(caught.value)
