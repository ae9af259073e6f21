from __future__ import annotations

import json
import re

import pytest

from reference_app.printable import printable

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("weights")]  # skipped where they are missing


QUESTION = "How heavy is the Kestrel tent?"


def test_the_steps_and_the_answer_are_shown(ask, shop):
    code, output, errors = ask(QUESTION, **shop)

    assert code == 0
    assert output.startswith("The Kestrel tent weighs 3.4 kg")
    assert output.endswith(". [Tents > Weight]\n")
    lines = errors.splitlines()
    assert lines[0].startswith("reference_app: serving the embedded models on http://127.0.0.1:")
    assert lines[1] == "planner: documents"
    assert lines[2].startswith("retriever: 0.")
    assert lines[-1] == "source: Tents > Weight"


def test_an_order_is_looked_up_without_its_customer(ask_here, shop):
    code, output, errors = ask_here("--json", "Where is my order FW-20001?", **shop)
    answer = json.loads(output)

    assert code == 0, errors
    for fact in ("FW-20001", "shipped", "5 January 2026", "Test Post", "TP-1"):
        assert fact in answer["text"]
    (call,) = answer["tool_calls"]
    assert (call["name"], call["arguments"], call["decision"]) == (
        "order_status", {"order_id": "FW-20001"}, "allowed",
    )  # fmt: skip
    assert "Quimby" not in output + errors


@pytest.mark.parametrize("asked", ["serve", "Where is order FW-20001?"])
@pytest.mark.parametrize(
    ("name", "file", "text", "said"),
    [
        ("OPENAPI", "openapi.json", '{"paths": {"/a": {"get": {}}}}', "GET /a: it has no 'operationId'."),
        (
            "POLICY",
            "policy.yaml",
            "order_status: {customer: alow}",
            "'alow' is none of allow, confirm, deny.",
        ),
    ],
)
def test_a_broken_tool_keeps_the_app_from_starting_and_is_named(  # noqa: PLR0913, PLR0917 - two files, two doors
    ask_here, shop, tmp_path, asked, name, file, text, said
):
    (tmp_path / file).write_text(text)
    code, output, errors = ask_here(asked, **{**shop, f"REFERENCE_APP_{name}": str(tmp_path / file)})

    (line,) = [each for each in errors.splitlines() if "serving the embedded models" not in each]
    assert (code, output) == (1, "")
    assert line.startswith("reference_app: ")
    assert str(tmp_path / file) in line
    assert line.endswith(said)


def test_an_unknown_order_is_no_error(ask_here, shop):
    code, output, _ = ask_here("Where is order FW-99999?", **shop)

    assert (code, output.startswith("There is no order FW-99999.")) == (0, True)


def test_the_trace_is_a_tree_without_personal_data(ask, shop):
    question = "I'm Ada Quimby, ada@example.com, 07700 900461. How heavy is the Kestrel tent?"

    code, output, errors = ask("--trace", question, **shop)

    assert code == 0
    waterfall = errors.split("\n\n")[0].splitlines()
    (root,) = [line for line in waterfall if line.startswith("invoke_agent support")]
    (answering,) = [line for line in waterfall if "adapter-answerer" in line]
    assert re.search(r"█{24} +\d+ ms  \d+ → \d+ tokens$", root)
    assert re.search(
        r"^    chat .* +█+ +\d+ ms  \d+ → \d+ tokens  adapter-answerer \d\.\d\.\d$", answering
    )
    for name in (
        "invoke_agent support",
        "  planner",
        "    embeddings ",
        "    chat ",
        "    retrieval knowledge",
    ):
        assert f"\n{name}" in errors
    assert "reference_app.prompt.version = " in errors
    assert not [text for text in ("Quimby", "ada@", "900461") if text in output + errors]


@pytest.mark.parametrize(
    ("question", "changed", "code", "said"),
    [
        ("   ", {}, 2, "The question is empty."),
        ("x" * 2001, {}, 2, "The question has 2001 characters; at most 2000 are read."),
        ("x", {"REFERENCE_APP_TOP_K": "many"}, 1, "REFERENCE_APP_TOP_K is 'many'"),
        ("x", {"REFERENCE_APP_WEIGHTS": "/nowhere"}, 1, "Run `llmops models pull`"),
        ("x", {"REFERENCE_APP_ORDERS": "/nowhere.yaml"}, 1, "/nowhere.yaml"),
        ("x", {"REFERENCE_APP_KNOWLEDGE": "/nowhere"}, 1, "/nowhere holds no document"),
        ("x", {"REFERENCE_APP_PROMPTS": "/nowhere"}, 1, "/nowhere/answerer.yaml cannot be read"),
    ],
)
def test_a_mistake_is_one_clear_line(ask_here, shop, question, changed, code, said):  # noqa: PLR0913, PLR0917
    answered, output, errors = ask_here(question, **{**shop, **changed})

    assert (answered, output) == (code, "")
    assert errors.startswith("reference_app: ")
    assert said in errors
    assert errors.count("\n") == 1


def test_weights_that_are_no_model_are_one_clear_line(ask, shop, weights, tmp_path):
    search = weights.search
    for path in (
        weights.tokenizer, weights.encoder, *([search.model, search.engine, search.openmp] if search else []),
    ):  # fmt: skip
        link = tmp_path / "weights" / path.relative_to(weights.chat.parents[1])
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    broken = tmp_path / "weights" / weights.chat.relative_to(weights.chat.parents[1])
    broken.parent.mkdir()
    broken.write_bytes(b"GGUF" + bytes(100_000))

    broken_alone = {"REFERENCE_APP_WEIGHTS": str(tmp_path / "weights"), "REFERENCE_APP_ADAPTER": "none"}
    code, output, errors = ask("How heavy is it?", **shop, **broken_alone)

    assert (code, output) == (1, "")
    assert "The chat model cannot be loaded" in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_what_cannot_be_printed_is_written_out():
    assert printable("tent \x1b[2J\r\n\u202e£") == "tent \\x1b[2J\\r\\n\\u202e£"
    assert printable("a\nb", keep="\n") == "a\nb"
