from __future__ import annotations

import json

import pytest

from reference_app.errors import PromptError, SettingsError
from reference_app.models.prompt import MAX_SENTENCES, load_prompt
from reference_app.nodes.planner import fill_plan
from reference_app.settings import HERE, read_settings
from reference_app.state import ROUTES, Call, Plan
from reference_app.tools.plans import PlanError, read_plan

ORDER = {"name": "order_status", "arguments": {"order_id": "FW-20001"}}


def plan(route="tools", calls=(ORDER,)):
    return json.dumps({"route": route, "calls": list(calls)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (plan("documents", ()), Plan(route="documents")),
        (f" {plan('refuse', ())}\n", Plan(route="refuse", search=True)),
        (plan(), Plan(route="tools", calls=(Call(**ORDER),))),
        (plan(calls=[ORDER] * 4), Plan(route="tools", calls=(Call(**ORDER),))),
    ],
)
def test_the_model_s_words_become_a_plan(text, expected):
    assert read_plan(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("Sure! Here is a poem", "no JSON"),
        (plan() + plan(), "no JSON"),
        ('{"route": "refuse", "route": "refuse", "calls": []}', "no JSON"),
        (plan(calls=[{"name": "x", "arguments": {"points": float("nan")}}]), "no JSON"),
        ("[" * 100_000, "nested too deeply"),
        (plan(calls=[{"name": "x", "arguments": {"points": json.loads("[" * 61 + "]" * 61)}}]), "too deeply"),
        (plan(calls=[{"name": "x", "arguments": {"points": 10**20}}]), "no JSON"),
        ('{"route": "tools", "calls": [{"name": "x", "arguments": {"points": 1e999}}]}', "no JSON"),
        ("[]", "the keys route and calls"),
        ('{"route": "documents"}', "the keys route and calls"),
        ('{"route": "documents", "calls": [], "order_id": "FW-20001"}', "the keys route and calls"),
        (plan("order_status", ()), "the route is none of documents, tools, database, refuse"),
        (plan("tools", ()), "there are calls if the route is tools"),
        (plan("documents"), "there are calls if the route is tools"),
        (plan(calls=[ORDER] * 5), "at most 4"),
        ('{"route": "tools", "calls": {}}', "calls is a list"),
        (plan(calls=["order_status"]), "a call has a name and arguments"),
        (plan(calls=[{**ORDER, "role": "staff"}]), "a call has a name and arguments"),
        (plan(calls=[{"name": 1, "arguments": {}}]), "a call has a name and arguments"),
    ],
)
def test_what_is_no_plan_is_explained(text, said):
    with pytest.raises(PlanError, match=said):
        read_plan(text)


@pytest.mark.parametrize(
    ("label", "question", "expected"),
    [
        ('{"order_id":"{order_id}"}', "Where is fw-20001?", '{"order_id":"fw-20001"}'),
        ('{"postcode":"{postcode}"}', "Send FW-20001 to YO1 7HH", '{"postcode":"YO1 7HH"}'),
        ('{"points":"{points}"}', "Add 200 points to FW-20001", '{"points":200}'),
        ('{"store":"Alnbury"}', "In stock in Alnbury?", '{"store":"Alnbury"}'),
    ],
)
def test_an_example_s_plan_holds_what_the_example_names(label, question, expected):
    assert fill_plan(label, question) == expected


def test_the_shop_s_prompts_are_sound():
    planner = load_prompt(HERE / "prompts", "planner")
    answerer = load_prompt(HERE / "prompts", "answerer")

    plans = [read_plan(fill_plan(label, asked)) for asked, label in planner.examples]
    assert {each.route for each in plans} == set(ROUTES)
    assert 1 <= answerer.sentences <= MAX_SENTENCES
    assert len({asked for asked, _ in planner.examples}) == len(planner.examples)
    told = answerer.fill_turn({"passage": "{question}", "question": "{passage}"})
    assert told == "Passage: {question}\nQuestion: {passage}"  # what is filled in is not filled again


SOUND = "name: a, version: 1.0.0, kind: b, template: c"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is no YAML"),
        ("- a", "holds no mapping"),
        ("{name: a, version: 1.0.0, kind: b}", "no text in 'template'"),
        ("{name: a, version: '1', kind: b, template: c}", "version '1'"),
        ("{name: a, version: 1.0.0, kind: b, template: c}", "needs `examples`"),
        ("{name: a, version: 1.0.0, kind: b, template: c, examples: {x: [q], y: [q]}}", "needs `examples`"),
        ("{name: a, version: 1.0.0, kind: b, template: c, examples: {x: [q]}, shown: -1}", "needs `shown`"),
        ("{name: a, version: 1.0.0, kind: b, template: c, examples: {x: [q]}}", "needs `replies`"),
        *(
            (f"{{{SOUND}, examples: {{x: [q]}}, replies: {{r: s}}, sentences: {value}}}", "needs `sentences`")
            for value in ("0", "6", "-1", "1.5", "two", "[2]", "null")
        ),
        (f"{{{SOUND}, examples: {{x: [q]}}, replies: {{r: s}}, turns: [{{q: a}}]}}", "needs `turns`"),
    ],
)
def test_a_broken_prompt_is_explained(tmp_path, text, said):
    (tmp_path / "a.yaml").write_text(text)

    with pytest.raises(PromptError, match=said):
        load_prompt(tmp_path, "a", examples=["x"], replies=["r"])


def test_without_an_endpoint_the_embedded_models_answer():
    settings = read_settings({"REFERENCE_APP_MODEL": "x", "REFERENCE_APP_EMBEDDING_MODEL": "y"})

    assert (settings.model, settings.embedding_model) == (None, None)


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "OPENAI_BASE_URL"])
def test_either_variable_of_openai_points_the_app_there(name):
    settings = read_settings({name: "x"})

    assert (settings.model, settings.embedding_model) == ("gpt-4o-mini", None)


@pytest.mark.parametrize("value", ["mysql://ada:secret@host/shop", "shop.sqlite"])
def test_a_database_elsewhere_is_postgresql(value):
    with pytest.raises(SettingsError, match="must be like postgresql://") as raised:
        read_settings({"REFERENCE_APP_DATABASE_URL": value})
    assert value not in str(raised.value)


def test_settings_show_no_secret():
    secrets = {
        "OPENAI_API_KEY": "sk-hidden",
        "REFERENCE_APP_SHOP_TOKEN": "tok-hidden",
        "REFERENCE_APP_DATABASE_URL": "postgresql://u:hidden@host/shop",
    }

    assert "hidden" not in repr(read_settings(secrets))


@pytest.mark.parametrize("value", ["0", "21", "-1", "2.0", "\uff12", "many"])
def test_top_k_is_a_whole_number_in_range(value):
    with pytest.raises(SettingsError, match="REFERENCE_APP_TOP_K"):
        read_settings({"REFERENCE_APP_TOP_K": value})
