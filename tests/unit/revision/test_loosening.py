"""What a change loosened of golden files and settings, each thing once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llmops import load_golden
from pytest_llmops.golden.reviews import Review
from pytest_llmops.records import Attached, Check
from pytest_llmops.revision.loosening import GateFiles, Loosening, digest_of, list_loosened
from pytest_llmops.settings import Settings
from tests.unit.gates.golden_records import PATH, case_of, check_of, compare_goldens, golden_of, suite_of

REVIEWED = GateFiles(
    reviews=(
        Review(
            case=f"{PATH}::a",
            input_hash="",
            answer="0" * 16,
            verdict="good",
            who="ada",
            when="2026-01-31T09:15:00Z",
        ),
    )
)


def compare_checks(old: tuple[Check, ...], new: tuple[Check, ...]) -> list[tuple[str, str, str]]:
    found = compare_goldens([golden_of(case_of(*old))], [golden_of(case_of(*new))])
    assert all((each.place, each.case) == (f"{PATH}:7", f"{PATH}::a") for each in found)
    return [(each.what, each.before, each.after) for each in found]


def test_what_became_of_a_check_is_told():
    both = (check_of(">= 0.2"), check_of("<= 0.9"))

    assert compare_checks((check_of(">= 0.8"),), ()) == [("no longer checks bleu", "bleu >= 0.8", "")]
    assert compare_checks((check_of(">= 0.123456789"),), (check_of(">= 0.123456788"),)) == [
        ("bleu: bound changed", ">= 0.123456789", ">= 0.123456788")
    ]
    assert compare_checks((check_of(">= 0.8"),), (check_of("< 0.8"),)) == [
        ("bleu: bound changed", ">= 0.8", "< 0.8")
    ]
    assert compare_checks(both, both[:1]) == [("bleu: bound changed", "<= 0.9", ">= 0.2")]
    assert compare_checks(both[:1], both) == []
    assert compare_checks(
        (check_of(">= 0.5", "keywords", all=["a"]),),
        (check_of("<= 0.9", "keywords", all=["a"]), check_of(">= 0.5", "keywords", all=["b"])),
    ) == [("keywords: options changed: all", "", "")], "the check of the same side"
    assert compare_checks(
        (check_of(">= 1", "judge", rubric="s3cret", min=1),),
        (check_of(">= 1", "judge", rubric="other", top=2),),
    ) == [("judge: options changed: rubric, min, top", "", "")]
    assert compare_checks((check_of(">= 1", "\x1b[2J"),), ()) == [
        ("no longer checks \\x1b[2J", "\\x1b[2J >= 1", "")
    ]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"input": "Why?"}, "input"),
        ({"reference": "Other."}, "reference"),
        ({"relevant": ("x", "y")}, "relevant"),
        ({"attached": (Attached(path="a.png", sha256="0"),)}, "a file of its input"),
    ],
)
def test_a_case_that_was_edited_is_another(change, parts):
    case = case_of(reference="Within 60 days.", relevant=("x",), tags=("t",))
    old, new = golden_of(case), golden_of(replace(case, tags=(), **change))

    assert compare_goldens([old], [new]) == (
        Loosening(place=f"{PATH}:7", case=f"{PATH}::a", what=f"{parts} changed"),
    )


def test_cases_and_files_that_went_are_told_once():
    one, two = case_of(check_of(">= 1"), id="one"), case_of(check_of(">= 1"), id="two")
    other = replace(golden_of(one, two, suite=(suite_of(">= 0.9"),)), path="golden/a.yaml")

    assert compare_goldens([golden_of(one, two), other], [golden_of(two, case_of(id="three"))]) == (
        Loosening(place="golden/a.yaml", what="the golden file was removed", before="2 cases"),
        Loosening(place=PATH, case=f"{PATH}::one", what="the case was removed"),
    )


@pytest.mark.parametrize(
    ("old", "new", "defaults", "expected"),
    [
        (3, 3, (1, 1), []),
        (3, 5, (1, 1), []),
        (5, 3, (1, 1), [(f"{PATH}:7", "repeats 5", "repeats 3")]),
        (5, None, (1, 1), [(f"{PATH}:7", "repeats 5", "repeats 1")]),
        (5, None, (1, 5), []),
        (None, 3, (5, 5), [(f"{PATH}:7", "repeats 5", "repeats 3")]),
        (None, None, (5, 3), [("pyproject.toml", "repeats 5", "repeats 3")]),
        (None, None, (1, 3), []),
        (5, "auto", (1, 1), []),
        ("auto", "auto", (1, 1), []),
        ("auto", 8, (1, 1), [(f"{PATH}:7", "repeats auto", "repeats 8")]),
        (None, None, ("auto", 2), [("pyproject.toml", "repeats auto", "repeats 2")]),
    ],
)
def test_repeats_that_became_fewer(old, new, defaults, expected):
    before, after = (
        GateFiles(goldens=[golden_of(case_of(repeats=repeats))], settings=Settings(repeats=default))
        for repeats, default in zip((old, new), defaults, strict=True)
    )

    found = list_loosened(before, after, Settings())

    assert [(each.place, each.before, each.after) for each in found] == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param([suite_of(">= 0.9")], [suite_of(">= 0.9")], [], id="as it was"),
        pytest.param(
            [suite_of(">= 0.9")], [suite_of(">= 0.95"), suite_of("<= 2", "latency_s")], [], id="more"
        ),
        pytest.param(
            [suite_of("<= 2", "latency_s", "p95")], [suite_of("<= 1", "latency_s", "p95")], [], id="less time"
        ),
        pytest.param(
            [suite_of(">= 0.9")],
            [],
            [("the suite is no longer judged by recall@5 mean", "recall@5 mean >= 0.9", "")],
            id="removed",
        ),
        pytest.param(
            [suite_of(">= 0.9")],
            [suite_of(">= 0.95", statistic="max")],
            [
                (
                    "the suite is no longer judged by recall@5 mean",
                    "recall@5 mean >= 0.9",
                    "",
                )
            ],
            id="another statistic",
        ),
        pytest.param(
            [suite_of(">= 0.9"), suite_of(">= 0.5", statistic="min")],
            [suite_of(">= 0.9")],
            [
                (
                    "the suite is no longer judged by recall@5 min",
                    "recall@5 min >= 0.5",
                    "",
                )
            ],
            id="one of two",
        ),
        pytest.param(
            [suite_of(">= 0.9")],
            [suite_of(">= 0.8")],
            [("the suite's recall@5 mean: bound changed", ">= 0.9", ">= 0.8")],
            id="lowered",
        ),
        pytest.param(
            [suite_of("<= 0.1", "cost_usd", "sum")],
            [suite_of("<= 0.2", "cost_usd", "sum")],
            [("the suite's cost_usd sum: bound changed", "<= 0.1", "<= 0.2")],
            id="dearer",
        ),
        pytest.param(
            [suite_of(">= 0.9", drop=0.05)],
            [suite_of(drop=0.05)],
            [("the suite's recall@5 mean: bound changed", ">= 0.9", "")],
            id="bound gone",
        ),
        pytest.param(
            [suite_of(">= 0.9", drop=0.05)],
            [suite_of(">= 0.9", drop=0.1)],
            [("the suite's recall@5 mean: max_drop changed", "max_drop 0.05", "max_drop 0.1")],
            id="max_drop raised",
        ),
        pytest.param(
            [suite_of(drop=0.05)],
            [suite_of(">= 0.9")],
            [("the suite's recall@5 mean: max_drop changed", "max_drop 0.05", "")],
            id="max_drop gone",
        ),
        pytest.param([suite_of(drop=0.05)], [suite_of(drop=0.01)], [], id="max_drop lowered"),
        pytest.param(
            [suite_of(">= 0.9")],
            [suite_of(">= 0.9", drop=0.1)],
            [("the suite's recall@5 mean: max_drop changed", "", "max_drop 0.1")],
            id="any drop counted before",
        ),
        pytest.param([suite_of(">= 0.9")], [suite_of(">= 0.9", drop=0)], [], id="any drop counts still"),
        pytest.param(
            [suite_of("<= 2", "latency_s")],
            [suite_of("<= 2", "latency_s", drop=1)],
            [],
            id="a drop is watched now",
        ),
        pytest.param(
            [suite_of(">= 0.9", "unheard_of")],
            [suite_of(">= 0.9", "unheard_of", drop=0.1)],
            [("the suite's unheard_of mean: max_drop changed", "", "max_drop 0.1")],
            id="max_drop of nobody knows what",
        ),
        pytest.param(
            [suite_of(">= 0.9", "semantic", encoder="mine")],
            [suite_of(">= 0.95", "semantic")],
            [
                (
                    "the suite's semantic mean: options changed: encoder",
                    "",
                    "",
                )
            ],
            id="another encoder",
        ),
        pytest.param(
            [suite_of(">= 0.9", "semantic")],
            [suite_of(">= 0.9", "semantic", encoder="default")],
            [],
            id="default said",
        ),
        pytest.param(
            [suite_of(">= 0.1", statistic="gain")],
            [suite_of(">= 0.05", statistic="gain")],
            [
                (
                    "the suite's recall@5 gain: bound changed",
                    ">= 0.1",
                    ">= 0.05",
                )
            ],
            id="a smaller gain",
        ),
    ],
)
def test_suite_checks(old, new, expected):
    found = compare_goldens([golden_of(suite=tuple(old))], [golden_of(suite=tuple(new))])

    assert all((each.place, each.case) == (PATH, None) for each in found)
    assert [(each.what, each.before, each.after) for each in found] == expected


def test_prompts_and_data_that_no_longer_stamp_a_run():
    old = golden_of(prompts=("app/prompts", "app/more"), data=("docs/a.md", "index"))
    new = golden_of(prompts=("app/prompts",), data=("docs/a.md",))

    assert [golden.what for golden in compare_goldens([old], [new])] == [
        "the golden file's data changed: index",
        "the golden file's prompts changed: app/more",
    ]
    assert compare_goldens([old], [golden_of(prompts=("app",), data=(".",))]) == ()


@pytest.mark.parametrize("name", ["undecided", "known_failures"])
@pytest.mark.parametrize(
    ("old", "new", "loosened"),
    [
        ("fail", "warn", True),
        ("warn", "pass", True),
        ("fail", "pass", True),
        ("pass", "fail", False),
        ("warn", "warn", False),
        (None, "warn", False),
        (None, "pass", True),
        ("fail", None, True),
    ],
)
def test_settings(name, old, new, loosened):
    before, after = (
        GateFiles(settings=Settings(**({name: value} if value else {})), settings_file="pytest.ini")
        for value in (old, new)
    )

    found = list_loosened(before, after, Settings())

    assert (
        found
        == (
            Loosening(
                place="pytest.ini",
                what=f"the setting {name} changed",
                before=f"{name} {old or 'warn'}",
                after=f"{name} {new or 'warn'}",
            ),
        )
        * loosened
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"app": "mine:app"}, ("the setting app changed", "", "app mine:app")),
        (
            {"app": "a:b"},
            {"app": "c:d"},
            ("the setting app changed", "app a:b", "app c:d"),
        ),
        ({"app": "a:b"}, {}, ("the setting app changed", "app a:b", "")),
        ({"app": "a:b"}, {"app": "a:b"}, None),
        (
            {},
            {"max_repeats": 8},
            ("the setting max_repeats changed", "max_repeats 64", "max_repeats 8"),
        ),
        ({"max_repeats": 8}, {}, None),
        ({"prices": {"large": (1.0, 2.0)}}, {"prices": {"large": (0.5, 2.0)}}, None),
        ({"metrics": ("a.py",)}, {"metrics": ("b.py",)}, None),
        ({}, {"judge": {"model": "first"}}, None),
        (
            {"judge": {"model": "strict"}},
            {"judge": {"model": "kind"}},
            ("the setting judge changed: model", "judge strict", "judge kind"),
        ),
        ({"timeout_s": 9, "budget": "1"}, {"timeout_s": 1, "budget": None}, None),
        ({"receive": ("otlp",)}, {"receive": ("langsmith", "otlp"), "export": ("otlp",)}, None),
        (
            {"receive": ("otlp", "langsmith")},
            {"receive": ("otlp",)},
            ("the setting receive changed", "receive otlp, langsmith", "receive otlp"),
        ),
        ({"langsmith_forward": "forward"}, {"langsmith_forward": "masked"}, None),
        (
            {},
            {"langsmith_forward": "masked"},
            (
                "the setting langsmith_forward changed",
                "langsmith_forward refuse",
                "langsmith_forward masked",
            ),
        ),
    ],
)
def test_settings_that_choose_what_is_judged(old, new, expected):
    before, after = (GateFiles(settings=Settings(**each)) for each in (old, new))

    found = list_loosened(before, after, Settings())

    assert [(each.what, each.before, each.after) for each in found] == ([expected] if expected else [])


def test_another_app_or_encoder_of_a_golden_file():
    old, new = golden_of(app="shop:answer"), golden_of(app="mine:\x1b[2J", encoder="mine")

    assert compare_goldens([old], [new]) == (
        Loosening(
            place=PATH,
            what="the golden file's app changed",
            before="app shop:answer",
            after="app mine:\\x1b[2J",
        ),
        Loosening(
            place=PATH,
            what="the golden file's encoder changed",
            before="encoder default",
            after="encoder mine",
        ),
    )
    assert compare_goldens([golden_of()], [old])[0].before == ""
    assert compare_goldens([old], [old]) == ()


@pytest.mark.parametrize(
    ("old", "rival", "loosened"),
    [
        (golden_of(rival="shop:base", suite=(suite_of(">= 0", statistic="gain"),)), "shop:worse", True),
        (golden_of(rival="shop:base", suite=(suite_of(">= 0"),)), "shop:worse", False),
        (golden_of(case_of(check_of(">= 0.5", "pairwise"))), "shop:worse", True),
        (golden_of(case_of(check_of(">= 0.5"))), "shop:worse", False),
    ],
)
def test_another_rival_counts_where_a_check_rests_on_it(old, rival, loosened):
    found = [golden.what for golden in compare_goldens([old], [replace(old, rival=rival)])]

    assert found == (["the golden file's rival changed"] if loosened else [])


def test_flags_of_pytest_that_changed():
    before, after = GateFiles(addopts=()), GateFiles(addopts=("-k", "a"), addopts_file="tox.ini")

    (found,) = list_loosened(before, after, Settings())

    assert (found.place, found.what) == ("tox.ini", "pytest's addopts changed, which may leave cases out")


def test_what_was_found_in_other_files_is_listed_in_its_place():
    further = [Loosening(place=place, what="is not what it was") for place in ("prompts.lock", "a.json")]

    assert list_loosened(REVIEWED, GateFiles(), Settings(), further=further) == (
        further[1],
        Loosening(
            place="golden/reviews.jsonl",
            what="the log of reviews is not the old one, continued",
            digest=digest_of(()),
        ),
        further[0],
    )
    assert (
        list_loosened(REVIEWED, REVIEWED, Settings())
        == list_loosened(GateFiles(), REVIEWED, Settings())
        == ()
    )


def test_the_order_is_file_line_case():
    old = golden_of(
        case_of(check_of(">= 1"), id="late", line=3),
        case_of(check_of(">= 1"), id="early", line=20),
        case_of(id="gone"),
        suite=(suite_of(">= 1"),),
    )
    new = golden_of(case_of(id="early", line=5), case_of(id="late", line=10))
    other = replace(old, path="golden/z.yaml")

    found = list_loosened(replace(REVIEWED, goldens=[other, old]), GateFiles(goldens=[new]), Settings())

    assert [(each.place, (each.case or "").partition("::")[2]) for each in found] == [
        ("golden/reviews.jsonl", ""),
        (PATH, ""),
        (PATH, "gone"),
        (f"{PATH}:5", "early"),
        (f"{PATH}:10", "late"),
        ("golden/z.yaml", ""),
    ]


def test_golden_files_as_they_are_written(tmp_path: Path):
    """A check of every case that is dropped is told of each case, at the line where the case stands now."""
    (tmp_path / "shop.yaml").write_text(
        "checks: {keywords: {any: [days]}}\n"
        "cases:\n- {id: a, input: x, checks: {latency_s: none}}\n- {id: b, input: y}\n"
    )
    old = load_golden("shop.yaml", root=tmp_path)
    (tmp_path / "shop.yaml").write_text(
        "cases:\n- {id: b, input: y}\n\n- {id: a, input: x, checks: {latency_s: none}}\n"
    )
    new = load_golden("shop.yaml", root=tmp_path)

    assert [(golden.place, golden.case, golden.what) for golden in compare_goldens([old], [new])] == [
        ("shop.yaml:2", "shop.yaml::b", "no longer checks keywords"),
        ("shop.yaml:4", "shop.yaml::a", "no longer checks keywords"),
    ]
