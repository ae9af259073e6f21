"""The fresh draw, the doses and the tables of `benchmarks/adapter.py`, without a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from gguf import GGUFReader

from benchmarks.doses.drawing import HERE, choose, draw_committed, draw_fresh, load_refusals, of_task
from benchmarks.doses.gating import GateVerdict
from benchmarks.doses.golden import PATH, format_golden
from benchmarks.doses.measuring import ADAPTER, Response, Split
from benchmarks.doses.pages import PAGE, write_page
from benchmarks.doses.perturbing import ALPHA_KEY, DOSES, perturb
from benchmarks.doses.power import is_red, measure_power
from benchmarks.doses.scoring import is_served, measure_plans
from reference_app.models.adapter import check_adapter
from reference_app.training.evaluation.card import write_card
from reference_app.training.examples.corpus import DATA, PHRASINGS, build_corpus

BY_NAME = {dose.name: dose for dose in DOSES}
LABEL = {"name": "order_status", "arguments": {"order_id": "FW-1"}}


@pytest.fixture(scope="module")
def fresh():
    return draw_fresh()


def matrices(path):
    return {tensor.name: np.array(tensor.data) for tensor in GGUFReader(path).tensors}


def plan(*calls, route="tools"):
    return {
        "task": "plan",
        "phrasing": "a",
        "id": "a",
        "expected": json.dumps({"route": route, "calls": [*calls]}),
    }


def test_the_fresh_draw_shares_no_phrasing_with_training_and_no_question_with_the_test_split(fresh):
    committed, corpus = draw_committed(), build_corpus()
    trained = {one.phrasing for one in (*corpus.train, *corpus.validation)}
    assert not {one["phrasing"] for one in fresh} & trained
    asked = [{(one["passage"], one["question"]) for one in part} for part in (fresh, committed)]
    assert not asked[0] & asked[1]
    with_calls = [one for one in of_task(fresh, plan=True) if json.loads(one["expected"])["calls"]]
    assert len(with_calls) >= 150
    assert draw_fresh() == fresh


def test_the_names_of_the_fresh_draw_stand_nowhere_in_the_data():
    names = yaml.safe_load((HERE / "names.yaml").read_text(encoding="utf-8"))
    files = [*DATA.glob("*.jsonl"), *PHRASINGS.glob("*.yaml")]
    known = "".join(path.read_text(encoding="utf-8").lower() for path in files)
    assert [name for kind in names.values() for name in kind if name.lower() in known] == []


def test_more_chosen_questions_begin_with_the_same_ones(fresh):
    assert choose(fresh, 60)[:20] == choose(fresh, 20)


def test_the_golden_file_of_plans_is_what_the_script_makes(fresh):
    assert PATH.read_text(encoding="utf-8") == format_golden(fresh)


def test_each_dose_is_a_whole_adapter_of_the_same_base_and_changes_what_it_names(tmp_path):
    before = matrices(ADAPTER)
    assert perturb(ADAPTER, BY_NAME["none"], tmp_path) == ADAPTER
    changed = {}
    for name in ("noise-1", "noise-10", "layer-22", "scale-0.5"):
        path = perturb(ADAPTER, BY_NAME[name], tmp_path)
        check_adapter(path, base="SmolLM2-be9c6bc5")
        changed[name] = matrices(path)
    for name, share in (("noise-1", 0.01), ("noise-10", 0.1)):
        for each, matrix in before.items():
            spread = np.std(changed[name][each].astype(np.float64) - matrix) / np.std(
                matrix.astype(np.float64)
            )
            assert spread == pytest.approx(share, rel=0.2)
    layer = {each for each in before if not changed["layer-22"][each].any()}
    assert layer == {each for each in before if each.startswith("blk.22.")}
    assert all(np.array_equal(changed["scale-0.5"][each], matrix) for each, matrix in before.items())
    alpha = [GGUFReader(path).fields[ALPHA_KEY].contents() for path in (ADAPTER, tmp_path / "scale-0.5.gguf")]
    assert alpha[1] == alpha[0] / 2


REFUND = {"name": "request_refund", "arguments": {"order_id": "FW-1"}}


@pytest.mark.parametrize(
    ("wanted", "made", "served"),
    [
        ([LABEL], [LABEL], True),
        ([LABEL], [{**LABEL, "name": "shipment"}], True),
        ([LABEL], [{**LABEL, "name": "loyalty_points"}], False),
        ([LABEL], [REFUND], False),
        ([LABEL, REFUND], [REFUND], True),
        ([REFUND], [LABEL], False),
        ([REFUND], [{**REFUND, "arguments": {"order_id": "FW-2"}}], False),
    ],
)
def test_what_was_asked_for_is_done_where_lookup_and_actions_fit(wanted, made, served):
    assert is_served(plan(*wanted), {"calls": made, "routes": ["tools"]}) is served


def test_an_action_that_nobody_asked_for_is_counted_as_worded_and_as_made():
    text = json.dumps({"route": "tools", "calls": [REFUND]})
    answer = {"id": "a", "text": text, "calls": [LABEL], "routes": ["tools"]}
    shares = measure_plans([plan(LABEL)], {"a": answer})
    invented = [share.value for name, share in shares.items() if name.startswith("an action that nobody")]
    assert invented == [1.0, 0.0]
    assert "out of scope refused, as worded" not in shares


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"route": "tools", "calls": [3, {"name": 1}]}'])
def test_a_plan_that_is_none_is_wrong_and_breaks_nothing(text):
    answer = {"id": "a", "text": text, "calls": [], "routes": ["documents"]}
    shares = measure_plans([plan(LABEL)], {"a": answer})
    assert shares["calls and arguments exact, as worded"].value == 0
    assert shares["an action that nobody asked for, as worded (fewer is better)"].value == 0


@pytest.mark.parametrize(("lost", "red"), [(4, False), (5, True)])
def test_the_gate_calls_what_the_simulation_says(lost, red):
    before = np.arange(152) < 120
    after = before.copy()
    after[:lost] = False
    assert is_red(before, after, 0.03) is red


def test_150_cases_see_a_drop_of_5_points_four_times_in_five():
    chosen = next(each for each in measure_power() if (each.cases, each.max_drop) == (152, 0.03))
    assert chosen.falls >= 0.8
    assert chosen.both >= 0.79
    assert chosen.neutral <= 0.05


def test_tables_are_written_between_their_marks_and_nothing_else(tmp_path):
    page = tmp_path / "adapter.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    answers = {"a": {"id": "a", "text": plan(LABEL)["expected"], "calls": [LABEL], "routes": ["tools"]}}
    shares = measure_plans([plan(LABEL)], answers)
    verdict = GateVerdict(code=1, suite=("tool_calls",), cases=0, observed={"tool_calls": 0.5}, undecided=())
    responses = [
        Response(dose=BY_NAME["scale-0.5"], plans=shares, before=shares, changed=1, verdict=verdict),
        Response(dose=BY_NAME["noise-1"], plans={}, before={}, changed=0, verdict=None),
    ]
    write_page([Split(label="anew", adapter=shares, base={})], responses, [], page)

    written = page.read_text(encoding="utf-8")
    assert "| anew | calls and arguments exact, as worded | 1.000 | 0.21 to 1.00 | 1 | 0.90 |  |" in written
    assert "| scale 0.5 | 1.00 (1.00) | 1.00 (1.00) | 1 of 1 | **red** | `tool_calls` 0.50 |" in written
    assert "| noise of 1 % | not measured | not measured |  | not run |  |" in written
    assert _prose(written) == _prose(PAGE.read_text(encoding="utf-8"))


def _prose(text):
    return [line for line in text.splitlines() if line and not line.startswith("|")]


def test_the_card_is_what_the_summary_makes(tmp_path):
    summary = json.loads((ADAPTER.parent / "adapter.json").read_text(encoding="utf-8"))
    write_card(tmp_path / "README.md", summary)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card == (ADAPTER.parent / "README.md").read_text(encoding="utf-8")
    summary.pop("fresh", None)
    write_card(tmp_path / "README.md", summary)
    assert "drawn anew" not in Path(tmp_path / "README.md").read_text(encoding="utf-8")


def test_refusals_are_forty_questions_of_their_own():
    asked = [one["question"] for one in load_refusals()]
    assert len(set(asked)) == len(asked) == 40
