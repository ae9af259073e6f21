"""`runs_on`: apps that need the main thread, or the event loop of the tests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from pytest_llmops import load_golden, run_golden
from tests.openai_server import OpenAIServer

ASYNC_PLUGIN = ("-p", "anyio.pytest_plugin")
BOUND = {
    "sqlite": """
        import sqlite3

        DATABASE = sqlite3.connect(":memory:")
        DATABASE.execute("create table capitals (country, capital)")
        DATABASE.execute("insert into capitals values ('France', 'Paris')")

        def answer(question):
            query = "select capital from capitals where ? like '%' || country || '%'"
            return DATABASE.execute(query, (question,)).fetchone()[0]
    """,
    "alarm": """
        import signal

        def give_up(signum, frame):
            raise TimeoutError("took too long")

        def answer(question):
            signal.signal(signal.SIGALRM, give_up)
            signal.alarm(5)
            try:
                return "Paris"
            finally:
                signal.alarm(0)
    """,
    "loop": """
        import asyncio

        async def think(question):
            await asyncio.sleep(0.001)
            return "Paris"

        def answer(question):
            return asyncio.get_event_loop().run_until_complete(think(question))
    """,
}
GOLDEN = """
    app: capitals:answer
    runs_on: {place}
    checks: {{keywords: {{all: [Paris]}}}}
    cases:
      - {{id: a, input: capital of France?}}
      - {{id: b, input: "France, capital?"}}
      - {{id: c, input: And France?}}
"""


def write(project, app, place="main_thread"):
    project.app(app)
    project.golden(GOLDEN.format(place=place))


@pytest.mark.parametrize("shape", BOUND)
@pytest.mark.parametrize(
    "arguments",
    [(), ("-n", "2", "--llm-concurrency", "8"), ("--llm-repeats", "auto"), ("--llm-timeout-s", "5")],
    ids=["plain", "workers", "auto", "timeout"],
)
def test_an_app_works_in_the_thread_that_it_needs(project, shape, arguments):
    write(project, BOUND[shape])
    project.run(*arguments).assert_outcomes(passed=3)


@pytest.mark.parametrize("shape", BOUND)
def test_on_threads_the_failure_names_the_place(project, shape):
    write(project, BOUND[shape], "threads")
    result = project.run()
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        ["*the app raised *; `runs_on: main_thread` in the golden file calls *main thread"]
    )


BY_OPENAI = """
        async def ask(client, question):
            completion = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": str(question)}]
            )
            return completion.choices[0].message.content
"""

CLIENTS = {
    "openai": """
        from openai import AsyncOpenAI

        def connect():
            return AsyncOpenAI(base_url=os.environ["URL"], api_key="none", max_retries=0)
    """
    + BY_OPENAI,
    "openai_on_aiohttp": """
        from openai import AsyncOpenAI, DefaultAioHttpClient

        def connect():
            return AsyncOpenAI(
                base_url=os.environ["URL"], api_key="none", max_retries=0, http_client=DefaultAioHttpClient()
            )
    """
    + BY_OPENAI,
    "httpx": """
        import httpx

        def connect():
            return httpx.AsyncClient(base_url=os.environ["URL"])

        async def ask(client, question):
            body = {"model": "m", "messages": [{"role": "user", "content": str(question)}]}
            response = await client.post("/chat/completions", json=body)
            return response.json()["choices"][0]["message"]["content"]
    """,
    "aiohttp": """
        import aiohttp

        def connect():
            return aiohttp.ClientSession()

        async def ask(client, question):
            body = {"model": "m", "messages": [{"role": "user", "content": str(question)}]}
            async with client.post(os.environ["URL"] + "/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]
    """,
    "queue": """
        def connect():
            asked, answered = asyncio.Queue(), asyncio.Queue()

            async def work():
                while True:
                    await asyncio.sleep(0.001)
                    await answered.put("Paris for " + str(await asked.get()))

            asked.worker, asked.answered = asyncio.ensure_future(work()), answered
            return asked

        async def ask(client, question):
            await client.put(question)
            return await client.answered.get()
    """,
}
SESSION = """
    import pytest
    import bots
    {imported}

    {backend}

    {fixture}
    async def llm_app({arguments}):
        client = bots.connect()
        assert "Paris" in await bots.ask(client, "warm up")

        async def answer(question):
            return await bots.ask(client, question)

        yield answer
"""
BY_ANYIO = {
    "imported": "",
    "backend": '@pytest.fixture(scope="session")\n    def anyio_backend():\n        return "asyncio"',
    "fixture": '@pytest.fixture(scope="session")',
    "arguments": "anyio_backend",
}
BY_ASYNCIO = {
    "imported": "import pytest_asyncio",
    "backend": "",
    "fixture": '@pytest_asyncio.fixture(scope="session", loop_scope="session")',
    "arguments": "",
}


@pytest.fixture(params=["anyio", "pytest_asyncio"])
def session_app(request, project, monkeypatch):
    """Write a project whose app has a client on the loop of its session; return pytest's arguments for it."""
    plugin = "anyio.pytest_plugin"
    if request.param == "pytest_asyncio":
        pytest.importorskip("pytest_asyncio")
        plugin = "pytest_asyncio.plugin"

    def write_app(client, place):
        project.write("bots.py", "import asyncio, os\n" + textwrap.dedent(CLIENTS[client]))
        by_plugin = BY_ANYIO if request.param == "anyio" else BY_ASYNCIO
        project.write("conftest.py", SESSION.format(**by_plugin))
        project.golden(GOLDEN.format(place=place))
        return ("-p", plugin)

    with OpenAIServer(answer=lambda body: f"Paris for {len(str(body))}") as server:
        monkeypatch.setenv("URL", server.url)
        yield write_app


@pytest.mark.parametrize(
    ("client", "arguments"),
    [*((client, ()) for client in CLIENTS), ("queue", ("-n", "2", "--llm-concurrency", "8"))],
)
def test_a_client_works_on_the_loop_of_the_session(project, session_app, client, arguments):
    plugin = session_app(client, "test_loop")
    project.run(*plugin, "--llm-timeout-s", "5", *arguments).assert_outcomes(passed=3)


def test_async_tests_and_golden_cases_share_a_client(project):
    pytest.importorskip("pytest_asyncio")
    project.app("""
        import asyncio

        asked, answered = asyncio.Queue(), asyncio.Queue()
        workers = set()

        async def work():
            while True:
                await asyncio.sleep(0.001)
                await answered.put("Paris for " + str(await asked.get()))

        async def answer(question):
            if not workers:
                workers.add(asyncio.ensure_future(work()))
            await asked.put(question)
            return await answered.get()
    """)
    project.golden(GOLDEN.format(place="test_loop"))
    project.write("test_first.py", """
        import capitals, pytest

        @pytest.mark.asyncio(loop_scope="session")
        async def test_it():
            assert "Paris" in await capitals.answer("France?")
    """)  # fmt: skip
    arguments = ("-p", "pytest_asyncio.plugin", "--llm-timeout-s", "5", "test_first.py", "golden")
    project.run(*arguments).assert_outcomes(passed=4)


@pytest.mark.parametrize("client", ["openai_on_aiohttp", "aiohttp", "queue"])  # httpx may connect anew
def test_on_another_loop_the_failure_names_the_place(project, session_app, client):
    plugin = session_app(client, "threads")
    result = project.run(*plugin, "--llm-timeout-s", "5")
    result.stdout.fnmatch_lines(["*; `runs_on: test_loop` in the golden file calls *the loop of the tests"])


def test_calls_on_the_loop_are_made_at_the_same_time(project):
    project.app("""
        import asyncio

        BARRIER = asyncio.Barrier(3)

        async def answer(question):
            await BARRIER.wait()
            return "Paris"
    """)
    project.golden(GOLDEN.format(place="test_loop"))
    project.run("--llm-timeout-s", "10").assert_outcomes(passed=3)


# Without pytest.


def golden_of(tmp_path, app, place, name="bound"):
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(app))
    path = tmp_path / "golden" / "capitals.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(GOLDEN.format(place=place)).replace("capitals:", f"{name}:"))
    return load_golden(path, root=tmp_path)


MODULE_CLIENT = """
    import asyncio
    import sqlite3

    DATABASE = sqlite3.connect(":memory:")
    LOCK = asyncio.Lock()
    WORKERS = []

    async def answer(question):
        async with LOCK:
            DATABASE.execute("select 1")
            await asyncio.sleep(0.001)
        return "Paris"
"""


@pytest.mark.parametrize("place", ["main_thread", "test_loop"])
def test_from_a_script(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    golden = golden_of(tmp_path, MODULE_CLIENT, place, name=f"script_{place}")
    run = run_golden(golden, repeats=2)
    assert [output.text for result in run.results for output in result.outputs] == ["Paris"] * 6
    assert [failure for result in run.results for failure in result.failures] == []


@pytest.mark.parametrize("shape", ["sqlite", "alarm"])
@pytest.mark.parametrize("isolate", [(), ("--isolate",)], ids=["here", "isolated"])
def test_by_the_command(project, shape, isolate):
    write(project, BOUND[shape])
    command = [str(Path(sys.executable).with_name("llmops")), "run", *isolate]
    completed = subprocess.run(  # noqa: S603
        command, cwd=project.path, capture_output=True, text=True, check=False, timeout=120
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_where_the_main_thread_is_not_lent_it_is_one_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    golden = golden_of(tmp_path, MODULE_CLIENT, "main_thread")
    raised = []

    def run():
        try:
            run_golden(golden, str)
        except Exception as error:  # noqa: BLE001 - shown below
            raised.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert raised == ["runs_on: main_thread needs a run that is made in the main thread"]


def test_inside_of_a_running_loop_the_error_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    golden = golden_of(tmp_path, MODULE_CLIENT, "test_loop")

    async def inside():
        return run_golden(golden, str)

    (failure, *_) = asyncio.run(inside()).results[0].failures
    assert failure.error.startswith("runs_on: test_loop: an event loop already runs in the main thread")


# A call that takes too long.

SLOW = """
    import time

    def answer(question):
        {slow}
        return "Paris"
"""
SLEEPS = 'if "And" in question:\n            time.sleep(300)'
CATCHES = """if "And" in question:
            try:
                time.sleep(300)
            except Exception:
                pass"""
INSISTS = """if "And" in question:
            while True:
                try:
                    time.sleep(300)
                except BaseException:
                    pass"""


@pytest.mark.parametrize("place", ["main_thread", "test_loop"])
@pytest.mark.parametrize("slow", [SLEEPS, CATCHES], ids=["sleeps", "catches"])
def test_a_call_out_of_time_is_interrupted(project, place, slow):
    write(project, SLOW.format(slow=slow), place)
    begun = time.monotonic()
    result = project.run("--llm-timeout-s", "1")
    assert time.monotonic() - begun < 20
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*no answer within 1 s (timeout_s)"])


def test_a_coroutine_out_of_time_is_cancelled(project):
    app = """
        import asyncio

        async def answer(question):
            await asyncio.sleep(300 * question.startswith("And"))
            return "Paris"
    """
    for place in ("main_thread", "test_loop"):
        write(project, app, place)
        result = project.run("--llm-timeout-s", "1")
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(["*no answer within 1 s (timeout_s)"])


def test_a_call_that_takes_no_interrupt_ends_the_run_with_a_message(project):
    write(project, SLOW.format(slow=INSISTS))
    result = project.run("--llm-timeout-s", "1")
    assert result.ret == 3
    result.stderr.fnmatch_lines(
        ["error: the app still holds the main thread in answer (*capitals.py:8), 10 s after*"]
    )


def test_calls_that_block_the_loop_have_their_own_time(project):
    write(
        project,
        "import time\n\ndef answer(question):\n    time.sleep(0.7)\n    return 'Paris'\n",
        "test_loop",
    )
    project.run("--llm-timeout-s", "1.2").assert_outcomes(passed=3)


def test_time_before_its_turn_is_not_the_call_s(project):
    write(project, BOUND["sqlite"])
    project.write("test_first.py", "import time\n\ndef test_slow():\n    time.sleep(2.5)\n")
    project.run("--llm-timeout-s", "1", "test_first.py", "golden").assert_outcomes(passed=4)


# Ctrl-C.

SLEEPS_LONG = """
    import time
    from pathlib import Path

    def answer(question):
        try:
            with open("first", "x") as first:
                first.write(question)
        except FileExistsError:
            time.sleep(1)  # until the first case is over
            Path("begun").touch()
            time.sleep(60)
        return "Paris"
"""
CATCHES_ALL = SLEEPS_LONG.replace("time.sleep(60)", """
            try:
                time.sleep(60)
            except BaseException:
                return "Paris"
""")  # fmt: skip
AWAITS_LONG = (
    SLEEPS_LONG.replace("time.sleep", "await asyncio.sleep")
    .replace("def ", "async def ")
    .replace("import time", "import asyncio")
)


@pytest.mark.parametrize(
    ("place", "app", "arguments"),
    [
        ("main_thread", SLEEPS_LONG, ()),
        ("main_thread", CATCHES_ALL, ()),
        ("main_thread", SLEEPS_LONG, ("-n", "2")),
        ("main_thread", AWAITS_LONG, ()),
        ("test_loop", AWAITS_LONG, ()),
    ],
    ids=["sleeps", "catches", "workers", "awaits", "loop"],
)
def test_interrupt_ends_the_session_and_keeps_what_was_finished(project, place, app, arguments):
    write(project, app, place)
    command = [sys.executable, "-m", "pytest", "--llm-golden", "-v", "--llm-out", "run.json", *arguments]
    started = subprocess.Popen(  # noqa: S603
        command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    until = time.monotonic() + 60
    while not (project.path / "begun").exists() and started.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(started.pid, signal.SIGINT)
    begun = time.monotonic()
    printed = started.communicate(timeout=100)[0].decode()
    assert time.monotonic() - begun < 30, "pytest waited for the app"
    assert started.returncode == pytest.ExitCode.INTERRUPTED, printed
    assert "Task was destroyed" not in printed
    assert "never retrieved" not in printed
    run = json.loads((project.path / "run.json").read_text())
    first = {"capital of France?": "a", "France, capital?": "b", "And France?": "c"}
    finished = first[(project.path / "first").read_text()]  # of workers, any may begin
    assert finished == "a" or arguments
    assert [result["case"] for result in run["results"]] == [f"golden/capitals.yaml::{finished}"], printed


# What a run sees of such a call.

SEEN = """
    import sqlite3
    import sys

    import openai

    DATABASE = sqlite3.connect(":memory:")
    CLIENT = openai.OpenAI(max_retries=0)

    def answer(question):
        DATABASE.execute("select 1")
        print("asked", question)
        messages = [{"role": "user", "content": question}]
        return CLIENT.chat.completions.create(model="m", messages=messages).choices[0].message.content

    def on_thread(question):
        return "Paris"
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["plain", "workers"])
def test_calls_are_recorded_counted_and_shown_with_their_case(project, monkeypatch, arguments):
    with OpenAIServer(answer=lambda body: "Paris" if "capital" in str(body) else "Rome") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        write(project, SEEN)
        on_threads = GOLDEN.format(place="threads").replace("capitals:answer", "capitals:on_thread")
        project.golden(on_threads, name="golden/others.yaml")
        loose = "golden/capitals.yaml::c"
        result = project.run(*arguments)
        result.assert_outcomes(passed=5, failed=1)
        result.stdout.fnmatch_lines(["asked And France?", "3 model calls made, 0 replayed*"])
        result.stdout.no_fnmatch_line("asked capital of France?")
        assert loose in result.stdout.str()
    result = project.run("--llm-record", "none", *arguments)  # the server is gone
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["0 model calls made, 3 replayed*"])


def test_an_app_that_would_end_the_process_is_an_error_of_its_case(project):
    write(
        project,
        "import os, sys\n\ndef answer(question):\n    (os._exit if 'And' in question else sys.exit)(0)\n",
    )
    result = project.run()
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        ["*the app raised SystemExit: 0", "*the app called os._exit(0), which ends the process"]
    )


def test_each_caller_of_a_session_has_its_place(project):
    project.write(
        "pyproject.toml", '[tool.pytest-llmops]\napp = "capitals:answer"\nruns_on = "main_thread"\n'
    )
    write(project, BOUND["sqlite"])
    project.golden(
        GOLDEN.format(place="threads").replace("capitals:answer", "others:answer"), name="golden/o.yaml"
    )
    project.write("others.py", """
        import threading

        def answer(question):
            return f"Paris by {threading.current_thread().name}"
    """)  # fmt: skip
    project.write("test_llm.py", """
        import asyncio

        def test_sync(llm):
            assert llm("capital of France?") == "Paris"

        def test_in_loop(llm):
            async def inside():
                return await llm("capital of France?"), "Paris" in llm("And France?")
            assert asyncio.run(inside()) == ("Paris", True)
    """)  # fmt: skip
    project.run("test_llm.py", "golden").assert_outcomes(passed=8)


def test_ordinary_tests_name_the_setting(project):
    write(project, BOUND["sqlite"])
    project.write("test_llm.py", "def test_it(llm):\n    llm('capital of France?')\n")
    result = project.pytester.runpytest_subprocess("--llm-app", "capitals:answer", "test_llm.py")
    result.stdout.fnmatch_lines(['*the setting `runs_on = "main_thread"` calls the app in the main thread'])
    result = project.pytester.runpytest_subprocess(
        "--llm-app", "capitals:answer", "--llm-runs-on", "main_thread", "test_llm.py"
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("place", "lines"),
    [
        ("main_tread", ["*capitals.yaml:3*runs_on must be one of*'main_tread'*Did you mean 'main_thread'?*"]),
        ("process", ["*capitals.yaml:3*runs_on cannot be process*--llm-isolate*--llm-concurrency 1*"]),
    ],
)  # fmt: skip
def test_another_place_is_refused(project, place, lines):
    write(project, BOUND["sqlite"], place)
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(lines)


def test_a_rival_is_called_in_the_same_place(project):
    write(project, BOUND["sqlite"])
    path = project.path / "golden" / "capitals.yaml"
    path.write_text(path.read_text() + "rival: capitals:answer\n")
    project.run("--llm-timeout-s", "5").assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("arguments", "backend", "line"),
    [
        ("nothing_here", "asyncio", "*the fixture llm_app needs nothing_here*"),
        ("", "trio", "*a loop of asyncio*'trio'*"),
    ],
)
def test_a_fixture_that_cannot_be_made_is_one_message(project, arguments, backend, line):
    if backend == "trio":
        pytest.importorskip("trio")
    project.golden(GOLDEN.format(place="test_loop"))
    project.write("conftest.py", f"""
        import pytest

        @pytest.fixture(scope="session")
        def anyio_backend():
            return {backend!r}

        @pytest.fixture(scope="session")
        def llm_app({arguments}):
            return str
    """)  # fmt: skip
    result = project.run(*ASYNC_PLUGIN)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines([line])


def test_a_call_on_another_thread_of_a_test_is_refused(project):
    project.app(BOUND["sqlite"])
    project.write("test_llm.py", """
        from concurrent.futures import ThreadPoolExecutor

        def test_it(llm):
            with ThreadPoolExecutor() as pool:
                pool.submit(llm, "capital of France?").result()
    """)  # fmt: skip
    arguments = ("--llm-app", "capitals:answer", "--llm-runs-on", "main_thread", "test_llm.py")
    result = project.pytester.runpytest_subprocess(*arguments)
    result.stdout.fnmatch_lines(["*the app is called in the main thread (runs_on), so call llm() there"])
