"""What is told of two signatures that differ, and of whom."""

from __future__ import annotations

import pytest

from pytest_llmops.gates.stamps import describe_changes, describe_unstamped, join_runs, stamped_kinds

BASE = {
    "pytest-llmops": "0.1.0",
    "repeats": "10",
    "golden:golden/shop.yaml": "aa",
    "app:golden/shop.yaml": "shop:answer",
    "prompt:prompts/planner.txt": "planner 1.0.0 11",
    "data:docs": "dd",
    "metric:bleu": "bleu|v1",
    "model:gpt": "gpt-1 fp_a",
    "tools:gpt": "t1",
}


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in BASE.items() if name not in names}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"prompt:prompts/planner.txt": "planner 1.1.0 22"},
            "prompt prompts/planner.txt: planner 1.0.0 → 1.1.0",
        ),
        (
            {"prompt:prompts/planner.txt": "planner 1.0.0 22"},
            "prompt prompts/planner.txt: planner 1.0.0 has other content",
        ),
        ({"prompt:prompts/new.txt": "new - 33"}, "prompt prompts/new.txt is new"),
        ({"model:gpt": "gpt-1 fp_b"}, "model gpt: gpt-1 fp_a → gpt-1 fp_b"),
        ({"model:other": "other-1"}, "model other: none → other-1"),
        ({"tools:gpt": "t2"}, "tools gpt: t1 → t2"),
        ({"data:docs": "ee"}, "data docs changed"),
        ({"golden:golden/shop.yaml": "bb"}, "golden file golden/shop.yaml changed"),
        ({"golden:golden/more.yaml": "cc"}, "golden file golden/more.yaml is new"),
        ({"app:golden/shop.yaml": "till:answer"}, "app golden/shop.yaml: shop:answer → till:answer"),
        ({"rival:golden/shop.yaml": "till:old"}, "rival golden/shop.yaml: none → till:old"),
        ({"metric:bleu": "bleu|v2"}, "metric bleu: bleu|v1 → bleu|v2"),
        ({"pytest-llmops": "0.2.0"}, "pytest-llmops: 0.1.0 → 0.2.0"),
    ],
)
def test_what_differs_is_a_line(changed, told):
    assert describe_changes(BASE, {**BASE, **changed}) == (told,)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"repeats": "auto"},
        {"partial": "1 of 2 cases"},
        {"metric:rouge_l": "rouge_l|v1"},
        {"tools:new": "t"},
    ],
)
def test_what_is_no_change_of_the_app_is_not_told(changed):
    assert describe_changes(BASE, {**BASE, **changed}) == ()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("prompt:prompts/planner.txt", ("prompt prompts/planner.txt is gone",)),
        ("data:docs", ("data docs is gone",)),
        ("model:gpt", ("model gpt: gpt-1 fp_a → none",)),
        ("metric:bleu", ()),
    ],
)
def test_what_is_gone_is_told_of_a_whole_run_alone(name, told):
    left = without(name)
    assert describe_changes(BASE, left) == told
    assert describe_changes(BASE, {**left, "partial": "1 of 9 cases"}) == ()


def test_a_golden_file_that_was_not_run_is_not_gone_nor_what_it_names():
    left = without(
        "golden:golden/shop.yaml",
        "app:golden/shop.yaml",
        "prompt:prompts/planner.txt",
        "model:gpt",
        "data:docs",
    )
    assert describe_changes(BASE, left) == ()
    assert describe_changes(BASE, {**left, "pytest-llmops": "9"}) == ("pytest-llmops: 0.1.0 → 9",)


BOTH = {**BASE, "model:gpt": "gpt-1 fp_a, gpt-1 fp_b", "metric:bleu": "bleu|v1|n=(1, 2), bleu|v1|n=4"}
PART = {"partial": "1 of 9 cases"}
OTHER_FILE = {name: value for name, value in BASE.items() if not name.startswith(("golden:", "app:"))} | {
    "golden:golden/more.yaml": "cc",
    "app:golden/more.yaml": "shop:answer",
}


@pytest.mark.parametrize("fewer", [PART, {"golden:golden/shop.yaml": None}])
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"model:gpt": "gpt-1 fp_b"}, ()),
        ({"model:gpt": None, "tools:gpt": None}, ()),
        ({"metric:bleu": "bleu|v1|n=(1, 2)"}, ()),
        ({"model:gpt": "gpt-2 fp_c"}, ("model gpt: gpt-1 fp_a, gpt-1 fp_b → gpt-2 fp_c",)),
        (
            {"model:gpt": "gpt-1 fp_a, gpt-2 fp_c"},
            ("model gpt: gpt-1 fp_a, gpt-1 fp_b → gpt-1 fp_a, gpt-2 fp_c",),
        ),
        ({"tools:gpt": "t2"}, ("tools gpt: t1 → t2",)),
        (
            {"prompt:prompts/planner.txt": "planner 1.1.0 22"},
            ("prompt prompts/planner.txt: planner 1.0.0 → 1.1.0",),
        ),
    ],
)
def test_what_fewer_cases_did_not_meet_has_not_changed(fewer, changed, told):
    """A model, schema or metric that they do meet, and that the baseline never met, has."""
    new = {name: value for name, value in {**BOTH, **changed, **fewer}.items() if value is not None}
    assert describe_changes(BOTH, new) == told


def test_a_whole_run_that_meets_less_has_changed():
    changed = {**BOTH, "model:gpt": "gpt-1 fp_b"}
    assert describe_changes(BOTH, changed) == ("model gpt: gpt-1 fp_a, gpt-1 fp_b → gpt-1 fp_b",)


def test_a_baseline_of_fewer_cases_did_not_meet_everything_either():
    few = {**without("model:gpt", "tools:gpt"), **PART, "metric:bleu": "bleu|v1|n=4"}
    assert describe_changes(few, BOTH) == ()
    assert describe_changes({**few, "metric:bleu": "bleu|v0"}, BASE) == ("metric bleu: bleu|v0 → bleu|v1",)


def test_a_golden_file_that_is_new_to_the_baseline_is_told_as_one_line():
    told = ("golden file golden/more.yaml is new",)
    assert describe_changes(BASE, OTHER_FILE) == told
    assert (
        describe_changes(BASE, {**OTHER_FILE, "model:other": "other-1", "metric:bleu": "bleu|v1|n=7"}) == told
    )
    assert describe_changes(BASE, {**OTHER_FILE, "data:docs": "ee"}) == ("data docs changed", *told)
    swapped = {**BASE, **OTHER_FILE, "model:other": "other-1"}
    del swapped["model:gpt"]
    changed = ("model gpt: gpt-1 fp_a → none", "model other: none → other-1")
    assert describe_changes(BASE, swapped) == (*changed, *told)


def test_prompts_come_first_and_models_before_files():
    new = {name: f"{value}x" for name, value in BASE.items()}
    kinds = [line.split(" ")[0] for line in describe_changes(BASE, new)]
    assert kinds == ["prompt", "model", "tools", "data", "golden", "app", "metric", "pytest-llmops:"]


@pytest.mark.parametrize("value", ["", "planner", "planner 1.0.0", "planner  11", "a b c d"])
def test_a_stamp_that_was_edited_by_hand_is_told_and_breaks_nothing(value):
    (line,) = describe_changes({**BASE, "prompt:prompts/planner.txt": value}, BASE)
    assert line.startswith("prompt prompts/planner.txt")


STAMPED = {
    **BASE,
    "stamped": "code environment file setting",
    "code:shop.py": "c1",
    "file:docs/a.md": "f1",
    "setting:temperature:gpt": "0",
    "system:gpt": "s1, s2",
}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"code:shop.py": "c2"}, "code shop.py changed"),
        ({"code:shop.py": "c2, changed meanwhile"}, "code shop.py changed while the run was under way"),
        ({"code:new.py": "c3"}, "code new.py is new"),
        ({"environment:TONE": "1f0"}, "environment TONE is set now"),
        ({"environment:A": "1", "environment:B": "2"}, "environment is set now: A, B"),
        ({"setting:temperature:gpt": "1"}, "temperature of gpt: 0 → 1"),
        ({"setting:stop:gpt": "#ab"}, "stop of gpt: unset → a text"),
        ({"system:gpt": "s3"}, "system prompt of gpt changed (1 of 1 texts are new)"),
        ({"system:gpt": "varies"}, "system prompt of gpt changed (1 of 1 texts are new)"),
        ({"file:docs/b.md": "f2"}, "file docs/b.md is read now"),
        ({"weights:org/model": "abc"}, "weights org/model: none → abc"),
    ],
)
def test_what_answers_is_named(changed, told):
    assert describe_changes(STAMPED, {**STAMPED, **changed}) == (told,)


def test_a_tool_server_of_which_a_definition_changed_is_named():
    before = {**STAMPED, "stamped": "code mcp", "mcp:fellwind-shop": "m1"}
    lines = ("MCP server fellwind-shop changed",)
    assert describe_changes(before, {**before, "mcp:fellwind-shop": "m2"}) == lines


def test_settings_of_a_new_model_are_not_named_beside_it():
    new = {**STAMPED, "model:new": "new-1", "setting:temperature:new": "1"}
    assert describe_changes(STAMPED, new) == ("model new: none → new-1",)


@pytest.mark.parametrize("side", [0, 1])
def test_a_kind_that_one_run_lacks_is_neither_changed_nor_unchanged(side):
    runs = [{**STAMPED}, {**STAMPED, "code:shop.py": "c2", "file:docs/a.md": "f2"}]
    runs[side] = {name: value for name, value in runs[side].items() if name != "stamped"}
    which = ("the baseline", "this run")[side]
    unknown = f"not stamped in {which}, so whether it changed is unknown: "
    assert describe_changes(*runs) == ()
    assert describe_unstamped(*runs) == (f"{unknown}code, environment, files, model requests",)
    assert stamped_kinds(*runs) == ()


def test_fewer_cases_read_fewer_files_and_make_fewer_requests():
    met = {
        name: value for name, value in STAMPED.items() if not name.startswith(("file:", "model:", "setting:"))
    }
    assert describe_changes(STAMPED, {**met, **PART, "system:gpt": "s1"}) == ()
    assert describe_changes(STAMPED, {**STAMPED, **PART, "system:gpt": "s1"}) == ()
    assert describe_changes(STAMPED, {**STAMPED, **PART, "system:gpt": "s3"}) != ()


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("docs/b.md", ()),
        ("prompts/planner.txt", ()),
        ("else/b.md", ("file else/b.md is read now",)),
    ],
)
def test_a_file_that_a_golden_file_names_is_not_news_where_that_one_was_not_run(name, named):
    base = {**STAMPED, "golden:golden/more.yaml": "cc", "app:golden/more.yaml": "shop:answer"}
    of_more = {"golden:golden/more.yaml", "data:docs", "prompt:prompts/planner.txt"}
    new = {stamp: value for stamp, value in base.items() if stamp not in of_more} | {f"file:{name}": "f2"}
    assert describe_changes(base, new) == named
    gone = {line.replace("read now", "not read any more") for line in named}
    assert {line for line in describe_changes(new, base) if line.startswith("file")} == gone


def test_cases_without_a_model_call_leave_the_settings_of_the_others():
    """A stub that is no recorded model has no requests, and what is known of the app's own stays known."""
    of_gpt = {"model:gpt", "tools:gpt", "setting:temperature:gpt", "system:gpt"}
    stub = {name: value for name, value in STAMPED.items() if name not in of_gpt}
    stub |= {"stamped": "code environment file", "model:stub": "stub"}
    warmer = {**STAMPED, **stub, "stamped": STAMPED["stamped"], "setting:temperature:gpt": "1"}
    for sides in ((STAMPED, stub), (stub, STAMPED)):
        assert describe_changes(join_runs({**STAMPED, **stub}, *sides), warmer) == (
            "temperature of gpt: 0 → 1",
        )


def test_a_baseline_of_two_runs_has_the_stamps_of_both():
    new = {**STAMPED, "code:shop.py": "c2", "environment:TONE": "1f0", "setting:seed:gpt": "7"}
    joined = join_runs({**STAMPED, "data:more": "bb"}, STAMPED, new)
    assert joined["code:shop.py"] == "c1, c2"
    assert joined["environment:TONE"] == "1f0, unset"
    assert joined["setting:seed:gpt"] == "7, unset"
    assert joined.pop("data:more") == "bb"
    assert describe_changes(joined, new) == (
        "seed of gpt: 7, unset → 7",
        "environment TONE changed",
        "code shop.py changed",
    )
    unknown = join_runs(BASE, BASE, new)
    assert "code:shop.py" not in unknown
    assert describe_unstamped(unknown, new) != ()


def test_golden_files_of_two_apps_are_no_change_of_each_other():
    """The second app asks for no variable of the first, and its checks have other options."""
    shop = {**STAMPED, "environment:TONE": "1f0"}
    of_shop = {"golden:golden/shop.yaml", "app:golden/shop.yaml", "prompt:prompts/planner.txt", "data:docs"}
    till = {name: value for name, value in STAMPED.items() if name not in of_shop}
    till |= {
        "golden:golden/till.yaml": "cc",
        "app:golden/till.yaml": "till:answer",
        "metric:bleu": "bleu|v1|lower",
    }
    for old, new in ((shop, till), (till, shop)):
        joined = join_runs({**old, **new}, old, new)
        again = join_runs({**joined, **till}, joined, till)
        whole = {**shop, **till, "metric:bleu": "bleu|v1, bleu|v1|lower"}
        assert describe_changes(again, whole) == describe_changes(again, shop) == ()
        assert describe_changes(joined, shop) == ()
        assert describe_changes(joined, till) == ()
        assert describe_changes(joined, {**shop, "environment:TONE": "2e1"}) == ("environment TONE changed",)
        assert describe_changes(joined, {**shop, "metric:bleu": "bleu|v2"}) == (
            "metric bleu: bleu|v1, bleu|v1|lower → bleu|v2",
        )
