"""An app that ends the process, or tries to: an error of its case, every other case goes on, never exit 0."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ENDS = """
    import os
    {before}

    def answer(question):
        if question == "capital of Spain?":
            {deed}
        return "Paris"
"""
DEEDS = [
    ("", "os._exit(0)", "os._exit(0)"),
    ("", "__import__('posix')._exit(0)", "os._exit(0)"),
    ("from os import _exit as leave", "leave(status=0)", "os._exit(0)"),
    ("", "os.abort()", "os.abort()"),
    ("", "os.execv('/bin/true', ['true'])", "os.execv('/bin/true')"),
    ("", "os.execlp('true', 'true')", "os.execv"),
    ("import sys", "sys.exit(0)", "SystemExit"),
    ("", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("", "raise GeneratorExit", "GeneratorExit"),
    ("", "raise MemoryError", "MemoryError"),
    ("", "raise RecursionError", "RecursionError"),
    ("import pytest", "pytest.exit('done', returncode=0)", "Exit"),
    ("import pytest", "pytest.skip('later')", "Skipped"),
    ("import asyncio", "raise asyncio.CancelledError", "CancelledError"),
]


def errors(project) -> dict[str, list[str]]:
    run = json.loads((project.path / "run.json").read_text())
    return {
        each["case"].split("::")[1]: [each["error"] for each in each["failures"]] for each in run["results"]
    }


def check_one_error(project, result, message):
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 passed*1 error*"])
    found = errors(project)
    assert found["france"] == []
    assert message in found["spain"][0]


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(("before", "deed", "message"), DEEDS, ids=[deed for _, deed, _ in DEEDS])
def test_a_case_that_ends_the_process_is_an_error(project, before, deed, message, kind):
    project.app(ENDS.format(before=before, deed=deed).replace("def", kind))
    check_one_error(project, project.run_here("--llm-out", "run.json"), message)


def test_an_app_that_stops_its_loop_costs_no_other_case(project):
    project.app("""
        import asyncio

        async def answer(question):
            if question == "capital of Spain?":
                asyncio.get_running_loop().stop()
                asyncio.create_task(leave())
            await asyncio.sleep(0.2)
            return "Paris and Madrid"

        async def leave():
            raise SystemExit(0)
    """)
    assert project.run_here("--llm-timeout-s", "10").ret == 0


def test_an_app_that_cancels_itself_is_an_error(project):
    project.app("""
        import asyncio

        async def answer(question):
            if question == "capital of Spain?":
                asyncio.current_task().cancel()
            await asyncio.sleep(0)
            return "Paris"
    """)
    check_one_error(project, project.run_here("--llm-out", "run.json"), "CancelledError")


def test_what_the_app_swallows_is_an_error_all_the_same(project):
    project.app(ENDS.format(before="", deed="""
            try:
                os._exit(0)
            except BaseException:
                return "Madrid"
    """.strip()))  # fmt: skip
    check_one_error(project, project.run_here("--llm-out", "run.json"), "os._exit(0)")


def test_a_name_that_was_imported_before_the_run_is_guarded(project):
    project.app(ENDS.format(before="from os import _exit", deed="_exit(0)"))
    project.write("conftest.py", "import capitals\n")
    result = project.run("--llm-out", "run.json")
    check_one_error(project, result, "os._exit(0)")


@pytest.mark.parametrize(
    "start", ["os.fork() or os._exit(0)", "multiprocessing.get_context('fork').Process(target=print).start()"]
)
def test_a_child_of_the_app_ends_as_it_likes(project, start):
    project.app(f"""
        import multiprocessing, os, warnings
        warnings.simplefilter("ignore")

        def answer(question):
            {start}
            return "Paris and Madrid"
    """)
    assert project.run().ret == 0


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "worker"])
def test_a_thread_of_no_case_that_would_end_the_process_is_red(project, workers):
    project.app("""
        import contextvars, os, threading

        def answer(question):
            thread = threading.Thread(target=lambda: contextvars.Context().run(os._exit, 0))
            thread.start()
            thread.join()
            return "Paris and Madrid"
    """)
    result = project.run(*workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*would have ended the process by os._exit(0)*",
            "*2 passed*1 error*",
        ]
    )


@pytest.mark.parametrize(
    "deed", ["os._exit(0)", "raise SystemExit(0)", "pytest.skip('no key', allow_module_level=True)"]
)
def test_an_app_module_that_ends_the_run_is_one_message(project, deed):
    project.app(f"import os, pytest\n{deed}\ndef answer(question): return 'Paris'\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the app 'capitals:answer' cannot be imported: *capitals.py:2"])


def test_an_app_module_that_swallows_its_end_is_one_message(project):
    project.app("""
        import os
        try:
            os._exit(0)
        except BaseException:
            pass
        def answer(question): return 'Paris'
    """)
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *cannot be imported: the app called os._exit(0), which ends*"])


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "worker"])
@pytest.mark.parametrize(
    "deed",
    [
        "pytest.skip('no key')",
        "pytest.xfail('no key')",
        "os._exit(0)",
        "sys.exit(0)",
        "raise unittest.SkipTest('no key')",
        "raise ValueError('no key')",
    ],
)  # fmt: skip
def test_a_fixture_without_an_app_is_an_error_of_each_case(project, deed, workers):
    project.write("conftest.py", f"""
        import os, sys, unittest
        import pytest

        @pytest.fixture(scope="session")
        def llm_app():
            {deed}
    """)  # fmt: skip
    result = project.run("--llm-out", "run.json", *workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*2 errors*"])
    assert len(errors(project)) == 2
    assert all(error for error in errors(project).values())


@pytest.mark.parametrize(
    "deed", ["ctypes.CDLL(None)._exit(0)", "signal.raise_signal(signal.SIGSEGV)", "os._exit(0)"]
)
def test_isolated_what_python_cannot_guard_is_an_error_of_one_case(project, deed):
    project.app(ENDS.format(before="import ctypes, signal", deed=deed))
    result = project.run("--llm-isolate", "--llm-out", "run.json")
    check_one_error(project, result, "end")


@pytest.mark.parametrize("side", ["app", "rival"])
def test_isolated_an_import_that_ends_every_process_is_one_message(project, side):
    project.write("deadly.py", "import ctypes\nctypes.CDLL(None)._exit(0)\n")
    if side == "app":
        project.app("from deadly import answer\n")
    else:
        golden = (project.path / "golden" / "capitals.yaml").read_text()
        project.golden(golden.replace("cases:", "rival: deadly:answer\ncases:"))
    result = project.run("--llm-isolate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *importing capitals:answer* ended the process 2 times*"])


def test_isolated_without_xdist_says_what_to_install(project):
    for name in ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_PLUGINS"):
        project.environment.delenv(name)
    result = project.run("--llm-isolate", "-p", "no:xdist")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--llm-isolate needs: pip install*pytest-llmops[[]xdist[]]*"])


def test_isolated_many_deadly_cases_are_errors_and_no_other_is(project):
    project.app("""
        import os, signal
        def answer(question):
            if question in {"question 1", "question 4", "question 6"}:
                os.kill(os.getpid(), signal.SIGKILL)
            return "an answer"
    """)
    lines = [
        f"  - {{id: c{at}, input: question {at}, checks: {{keywords: {{all: [answer]}}}}}}\n"
        for at in range(9)
    ]
    project.golden("version: 1\napp: capitals:answer\ncases:\n" + "".join(lines))
    result = project.run("--llm-isolate", "--llm-out", "run.json")
    result.stdout.fnmatch_lines(["*6 passed*3 errors*"])
    assert [case for case, each in errors(project).items() if each] == ["c1", "c4", "c6"]


LATE = [
    "import atexit, os\natexit.register(os._exit, 0)",
    "import os, threading\nthreading.Timer(0.5, os._exit, (0,)).start()",
    "import atexit, os\natexit.register(os.execv, '/bin/true', ['true'])",
]


@pytest.mark.parametrize("door", ["pytest", "llmops"])
@pytest.mark.parametrize("late", LATE, ids=["atexit", "timer", "execv"])
def test_an_app_that_ends_the_process_after_the_run_does_not_end_it_well(project, late, door):
    project.app(f"{late}\ndef answer(question):\n    return 'Rome'\n")
    llmops = Path(sys.executable).with_name("llmops")
    result = project.run() if door == "pytest" else project.pytester.run(llmops, "run")
    assert result.ret == 1


def test_a_thread_that_ends_the_process_after_its_case_is_an_error_of_the_suite(project):
    project.app("""
        import os, threading, time

        def answer(question):
            if question == "capital of France?":
                threading.Timer(0.2, os._exit, (0,)).start()
            else:
                time.sleep(0.6)
            return "Paris Madrid"
    """)
    result = project.run("--llm-concurrency", "2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*os._exit(0)*", "*2 passed*1 error*"])


def test_a_signal_that_the_app_ends_by_is_no_success_of_the_command(project):
    project.app("""
        import os, signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

        def answer(question):
            os.kill(os.getpid(), signal.SIGTERM)
            return "Paris Madrid"
    """)
    result = project.pytester.run(Path(sys.executable).with_name("llmops"), "run")
    assert result.ret == 3
    result.stderr.fnmatch_lines(["the app ended the run by SystemExit(0), before it was over"])
