from __future__ import annotations

import pytest

from reference_app.errors import PromptError, SettingsError
from reference_app.nodes.planner import read_plan
from reference_app.nodes.prompt import load_prompt
from reference_app.settings import HERE, read_settings
from reference_app.state import ROUTES, Plan


@pytest.mark.parametrize(
    ("text", "question", "plan"),
    [
        ("documents", "x", Plan(route="documents")),
        (" Refuse.\n", "x", Plan(route="refuse")),
        ("order_status", "where is fw-20001?", Plan(route="order_status", order_id="FW-20001")),
        ("order_status FW-66666", "where is FW-20001?", Plan(route="order_status", order_id="FW-20001")),
        ("order_status", "where is FW-200011?", Plan(route="documents")),
        ("order_status", "where is it?", Plan(route="documents")),
        ("documents", "May I return FW-20001?", Plan(route="documents")),
        ("Sure! Here is a poem", "x", Plan(route="documents")),
        ("", "x", Plan(route="documents")),
    ],
)
def test_the_model_s_words_become_a_plan(text, question, plan):
    assert read_plan(text, question) == plan


def test_the_shop_s_prompts_are_sound():
    planner = load_prompt(HERE / "prompts", "planner", examples=ROUTES)
    answerer = load_prompt(HERE / "prompts", "answerer")

    assert {label for _, label in planner.examples} == set(ROUTES)
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


@pytest.mark.parametrize("value", ["0", "21", "-1", "2.0", "\uff12", "many"])
def test_top_k_is_a_whole_number_in_range(value):
    with pytest.raises(SettingsError, match="REFERENCE_APP_TOP_K"):
        read_settings({"REFERENCE_APP_TOP_K": value})
