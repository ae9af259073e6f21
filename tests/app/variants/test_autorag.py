"""What of the AutoRAG variant needs no AutoRAG: its tables, configuration, golden file and errors."""

from __future__ import annotations

import datetime as dt
from functools import partial

import pytest
import yaml

from benchmarks.questions.document_cases import AUTORAG, list_cases, render
from reference_app.documents.knowledge import Section, load_knowledge
from reference_app.errors import KnowledgeError
from reference_app.settings import read_settings
from reference_app.variants.autorag import trial
from reference_app.variants.autorag.__main__ import main
from reference_app.variants.autorag.app import GOLDEN
from reference_app.variants.autorag.tables import list_questions, list_texts, load_cases
from reference_app.variants.autorag.trial import AutoRAGError, Trial, check_package
from tests.app.variants.stand_ins import encoders, set_installed


def section(name="care-tents#dry", **changed):
    document, _, heading = name.partition("#")
    sound = {"title": document, "heading": heading, "text": f"It is about {heading}.", "status": "current"}
    return Section(id=name, updated="2026-01-02", **{**sound, **changed})


def case(**changed):
    sound = {"id": "dry", "input": "Must it dry?", "relevant": ["care-tents#dry"], "reference": "Yes."}
    return {**sound, **changed}


TEXTS = list_texts([section(), section("warranty-tents#time")])
QUESTIONS = list_questions([case()], TEXTS)


installed = partial(set_installed, trial)


@pytest.fixture
def runs(monkeypatch):
    """The trials that were run, and errors that the next ones raise instead."""
    installed(monkeypatch, "0.3.27")
    found, errors = [], []

    def run(self):
        if errors:
            raise errors.pop()
        found.append(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(Trial, "_run", run)
    return found, errors


def test_a_section_is_a_row_under_its_id():
    assert TEXTS["doc_id"] == ["care-tents#dry", "warranty-tents#time"]
    assert TEXTS["contents"][0] == "care-tents: dry. It is about dry."
    assert TEXTS["metadata"][0] == {"last_modified_datetime": dt.datetime(2026, 1, 2)}  # noqa: DTZ001


def test_each_relevant_section_is_a_need_of_its_own():
    rows = list_questions([case(relevant=["care-tents#dry", "warranty-tents#time"])], TEXTS)

    assert rows["retrieval_gt"] == [[["care-tents#dry"], ["warranty-tents#time"]]]
    assert (rows["qid"], rows["query"], rows["generation_gt"]) == (["dry"], ["Must it dry?"], [["Yes."]])


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([], "no section for AutoRAG to search"),
        ([section(), section(text="Other.")], "'care-tents#dry' is there twice"),
        ([section(text=" ")], "'care-tents#dry' has no text"),
    ],
)
def test_sections_that_autorag_would_fail_on_or_lose_are_refused(sections, message):
    with pytest.raises(KnowledgeError, match=message):
        list_texts(sections)


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([], "no question for AutoRAG to choose by"),
        ([case(relevant=["refunds#time"])], "'dry' needs refunds#time, which no document has"),
    ],
)
def test_questions_that_no_section_answers_are_refused(cases, message):
    with pytest.raises(KnowledgeError, match=message):
        list_questions(cases, TEXTS)


def test_the_tables_of_the_shop_are_whole():
    texts = list_texts(load_knowledge(read_settings({}).knowledge))
    questions = list_questions(load_cases(GOLDEN), texts)

    assert len(texts["doc_id"]) == len(set(texts["contents"])) > 200
    assert len(questions["qid"]) == 43
    assert questions["qid"] == [one["id"] for one in list_cases(AUTORAG)]


def test_no_module_of_the_configuration_has_a_list():
    """AutoRAG puts the values of a list through a set, so the numbers of its files would be chance."""
    config = yaml.safe_load(trial.CONFIG.read_text(encoding="utf-8"))
    modules = [
        module for line in config["node_lines"] for node in line["nodes"] for module in node["modules"]
    ]

    assert len(modules) > 10
    assert [one for one in modules if any(isinstance(value, list) for value in one.values())] == []


@pytest.mark.parametrize("found", ["0.3.27", "0.3.28", "0.3.100"])
def test_the_version_that_is_needed_is_taken(monkeypatch, found):
    installed(monkeypatch, found)

    assert check_package() == found


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "AutoRAG is not installed; run `make variant NAME=autorag`"),
        ("0.2.18", r"AutoRAG 0\.2\.18 is installed, and 0\.3\.27 is needed"),
        ("0.3.9", r"AutoRAG 0\.3\.9 is installed, and 0\.3\.27 is needed"),
        ("0.4.0", r"AutoRAG 0\.4\.0 is installed, and 0\.3\.27 is needed"),
        ("1.3.30", r"AutoRAG 1\.3\.30 is installed, and 0\.3\.27 is needed"),
    ],
)
def test_another_package_is_named_before_anything_is_run(monkeypatch, tmp_path, found, message):
    installed(monkeypatch, found)

    with pytest.raises(AutoRAGError, match=message):
        Trial(TEXTS, QUESTIONS, encoders(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_trial_is_run_once_and_found_again(runs, tmp_path):
    done, _ = runs
    folders = {Trial(TEXTS, QUESTIONS, encoders(), tmp_path).folder for _ in range(2)}
    assert folders == set(done)
    assert len(done) == 1

    Trial(TEXTS, QUESTIONS, encoders(), tmp_path, rebuild=True)
    assert len(done) == 2
    Trial(TEXTS, list_questions([case(input="Dry?")], TEXTS), encoders(), tmp_path)
    assert len(set(done)) == 2


def test_a_trial_that_failed_is_one_line_and_is_run_anew(runs, tmp_path):
    done, errors = runs
    errors.append(AssertionError("2 doc_ids do not exist.\nin corpus_df"))

    with pytest.raises(AutoRAGError, match=r"^AutoRAG failed: AssertionError: 2 doc_ids do not exist\.$"):
        Trial(TEXTS, QUESTIONS, encoders(), tmp_path)
    Trial(TEXTS, QUESTIONS, encoders(), tmp_path)
    assert len(done) == 1


@pytest.mark.usefixtures("runs")
def test_vectors_of_another_size_name_the_command_that_runs_it_anew(tmp_path):
    """A model behind an unchanged name may give other vectors."""
    Trial(TEXTS, QUESTIONS, encoders(768), tmp_path)

    with pytest.raises(
        AutoRAGError, match=r"768 dimensions, and ones gives 4; run `.*python -m .* --rebuild`"
    ):
        Trial(TEXTS, QUESTIONS, encoders(4), tmp_path)
    Trial(TEXTS, QUESTIONS, encoders(4), tmp_path, rebuild=True)
    Trial(TEXTS, QUESTIONS, encoders(4), tmp_path)


def test_the_command_says_what_is_missing_in_one_line(monkeypatch, capsys):
    installed(monkeypatch, None)

    assert main(["How long?"]) == 1
    assert capsys.readouterr().err == "AutoRAG is not installed; run `make variant NAME=autorag`.\n"


def test_the_golden_file_is_in_accord_with_the_support_set():
    written = AUTORAG.path.read_text(encoding="utf-8")

    assert written == render(AUTORAG, list_cases(AUTORAG))
    cases = {one["id"]: one["checks"] for one in yaml.safe_load(written)["cases"]}
    assert len(cases) == 43
    waiting = {
        (name, check)
        for name, checks in cases.items()
        for check, value in checks.items()
        if isinstance(value, dict) and value.get("record_only")
    }
    assert waiting == {(name, check) for name, checks in AUTORAG.waiting.items() for check in checks}
