"""Libraries that masking imports are complete before the app is first called, however the run is started."""

from __future__ import annotations

import sys

import pytest

# Stands for a module that Presidio imports and the app's client looks up, as `openai` does `httpx`.
SHARED = """
    import meeting

    meeting.importing.set()
    if meeting.called.is_set():
        meeting.seen.wait(20)  # half made while the app runs
    Client = object
"""
PRESIDIO = """
    from types import SimpleNamespace

    import shared_client

    class EmailRecognizer:
        def analyze(self, text, entities, nlp_artifacts):
            return [SimpleNamespace(start=0, end=len(text), score=1.0)]
"""
MEETING = """
    import threading

    called, importing, seen = threading.Event(), threading.Event(), threading.Event()
"""
APP = """
    import sys

    import meeting

    def answer(question):
        loaded = "shared_client" in sys.modules
        with open("calls.txt", "a") as log:
            log.write(f"{question} {loaded}\\n")
        meeting.called.set()
        if question == "meanwhile":
            meeting.importing.wait(20)
            try:
                sys.modules["shared_client"].Client
            finally:
                meeting.seen.set()
        return "ask jane@corp-mail.com"
"""
GOLDEN = """
    version: 1
    app: desk:answer
    cases:
      - {id: first, input: first, checks: {keywords: {all: [ask]}}}
"""
MEANWHILE = "      - {id: meanwhile, input: meanwhile, checks: {keywords: {all: [ask]}}}\n"
FIXTURE = """
    import pytest
    from desk import answer

    @pytest.fixture
    def llm_app():
        return answer

    def test_it(llm):
        assert llm("first").text
"""
SCRIPT = "from pytest_llmops import load_golden, run_golden; run_golden(load_golden('golden/capitals.yaml'))"
COMMAND = "from pytest_llmops.cli import main; raise SystemExit(main(['run']))"


@pytest.fixture
def desk(project):
    """A process that has imported nothing, with packages in place of Presidio and what it imports."""
    project.environment.setenv("COLD", "1")
    project.environment.setenv("PYTEST_PLUGINS", "pytest_llmops.plugin")
    project.write("meeting.py", MEETING)
    project.write("shared_client.py", SHARED)
    project.write("presidio_analyzer/__init__.py", "")
    project.write("presidio_analyzer/predefined_recognizers.py", PRESIDIO)
    project.write("desk.py", APP)
    project.golden(GOLDEN)
    return project


def test_an_app_meets_no_library_that_masking_is_importing(desk):
    """One answer is masked while another case looks for a module that masking needs."""
    desk.golden(GOLDEN + MEANWHILE)
    result = desk.run()
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "arguments",
    [("-m", "pytest", "--llm-golden"), ("-m", "pytest", "test_it.py"), ("-c", SCRIPT), ("-c", COMMAND)],
    ids=["golden", "fixture", "script", "command"],
)
def test_masking_is_imported_before_the_first_call(desk, arguments):
    desk.write("test_it.py", FIXTURE)
    assert desk.pytester.run(sys.executable, *arguments).ret == 0
    assert (desk.path / "calls.txt").read_text() == "first True\n"
