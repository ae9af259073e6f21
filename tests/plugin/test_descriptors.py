"""What child processes print, and what goes to bare descriptors, is kept by the case and looked at."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_llmops import load_golden, run_golden
from pytest_llmops.settings import Settings

EMAIL = "anna.muster@firma-weber.de"
APP = """
    import asyncio, atexit, contextlib, ctypes, io, multiprocessing, os, pty, subprocess, sys, threading
    from concurrent.futures import ProcessPoolExecutor

    EMAIL = "anna.muster" + "@firma-weber.de"
    ECHO = ["echo", "asked by " + EMAIL]

    def tell(who):
        print("asked by", who, flush=True)

    def tell_bare(who):
        os.write(1, f"asked by {who}\\n".encode())

    def in_process(method, target):
        process = multiprocessing.get_context(method).Process(target=target, args=(EMAIL,))
        process.start()
        process.join()
        assert process.exitcode == 0

    async def by_asyncio():
        await (await asyncio.create_subprocess_exec(*ECHO)).wait()

    def by_thread():
        thread = threading.Thread(target=subprocess.run, args=(ECHO,))
        thread.start()
        thread.join()

    def redirected(call):
        buffer = io.StringIO()
        with contextlib.redirect_stdout(buffer):
            call(EMAIL)
        assert buffer.getvalue() == ""

    def by_shell_with_descriptor():
        read, write = os.pipe()
        os.set_inheritable(write, True)
        assert os.system(f"echo {EMAIL}; echo passed on > /dev/fd/{write}") == 0
        assert os.read(read, 99) == b"passed on\\n"

    def exit_in_fork():
        pid = os.fork()
        if not pid:
            try:
                atexit._run_exitfuncs()  # as at the end of a process
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    def by_pool():
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
            pool.submit(tell, EMAIL).result()
"""
NAMED = {
    "child": "subprocess.run(ECHO)",
    "child's errors": "subprocess.run(['sh', '-c', f'echo {EMAIL} >&2'])",
    "child in a child": "subprocess.run(['sh', '-c', f'(echo {EMAIL})'])",
    "stdout by name": "subprocess.run(ECHO, stdout=sys.stdout)",
    "stdout by number": "subprocess.run(ECHO, stdout=1)",
    "both in one": "subprocess.run(['sh', '-c', f'echo {EMAIL} >&2'], stderr=subprocess.STDOUT)",
    "asyncio": "asyncio.run(by_asyncio())",
    "thread": "by_thread()",
    "shell": "os.system('echo ' + EMAIL)",
    "stdout by its buffer": "subprocess.run(ECHO, stdout=sys.__stdout__.buffer)",
    "device of a script": "subprocess.run(['sh', '-c', f'echo {EMAIL} >&2; echo done > /dev/stderr'])",
    "descriptor": "tell_bare(EMAIL)",
    "descriptor, stream replaced": "redirected(tell_bare)",
    "child, stream replaced": "redirected(lambda _: subprocess.run(ECHO))",
    "shell, with a descriptor": "by_shell_with_descriptor()",
    "fork": "in_process('fork', tell)",
    "fork, bare": "in_process('fork', tell_bare)",
    "child of a fork": "in_process('fork', lambda _: subprocess.run(ECHO, check=True))",
    "pool": "by_pool()",
}
NATIVE = {
    "spawn": "in_process('spawn', tell)",
    "native code": "ctypes.CDLL(None).write(1, EMAIL.encode(), len(EMAIL))",
}
GOLDEN = """
    app: capitals:answer
    checks: {pii_leak: none}
    cases: [{id: one, input: x}, {id: two, input: y}]
"""


def write(project, does: str) -> None:
    project.golden(GOLDEN)
    project.app(f"""{APP}
    def answer(question):
        if question == 'x':
            {does}
        return 'Hello'
    """)


def leaking(project) -> list[str]:
    run = json.loads((project.path / ".llmops/runs/last.json").read_text())
    return [each["case"][-3:] for each in run["results"] if any(score["value"] for score in each["scores"])]


@pytest.mark.parametrize("door", [(), ("-s",), ("--capture=sys",), ("-n", "2")], ids="-".join)
@pytest.mark.parametrize("does", NAMED.values(), ids=NAMED)
def test_the_case_that_prints_leaks(project, does, door):
    write(project, does)
    result = project.run(*door)
    assert leaking(project) == ["one"]
    assert result.ret == 1
    if "-s" not in door:  # which shows output as it is
        assert EMAIL not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("does", NATIVE.values(), ids=NATIVE)
def test_what_pytest_alone_captures_is_an_error_of_the_suite(project, does):
    write(project, does)
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["error: pii_leak found 1 in * outside of cases: *EMAIL_ADDRESS*"])
    assert EMAIL not in result.stdout.str() + result.stderr.str()


def test_output_of_a_child_is_shown_with_its_case(project):
    write(project, "subprocess.run(['echo', 'from the child']); return 1 / 0")
    result = project.run()
    result.stdout.fnmatch_lines(["*Captured stdout call*", "from the child"])


OUTLIVING = {
    "child": "subprocess.Popen(['sh', '-c', f'sleep 0.3; echo later: {EMAIL}'])",
    "line without an end": "subprocess.Popen(['sh', '-c', f'sleep 0.3; printf {EMAIL}; sleep 5'])",
    "beside a fork that exits": "subprocess.Popen(['sh', '-c', f'sleep 0.6; echo {EMAIL}']); exit_in_fork()",
    "grandchild": "subprocess.run(['sh', '-c', f'(sleep 0.3; echo later: {EMAIL}) &'])",
}


@pytest.mark.parametrize("does", OUTLIVING.values(), ids=OUTLIVING)
def test_a_child_that_outlives_its_case_is_looked_at_at_the_end(project, does):
    write(project, does)
    path = project.path / "capitals.py"
    path.write_text(path.read_text().replace("return 'Hello'", "import time; time.sleep(question == 'y')"))
    result = project.run("--capture=sys")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["error: pii_leak found 1 in * outside of cases: *EMAIL_ADDRESS*"])
    assert EMAIL not in result.stdout.str() + result.stderr.str()


def test_a_child_that_outlives_the_run_can_print_on(project):
    write(project, "subprocess.Popen(['sh', '-c', 'sleep 2; echo x && touch printed'])")
    assert project.run().ret == 0
    until_s = time.monotonic() + 20
    while not (project.path / "printed").exists():
        assert time.monotonic() < until_s
        time.sleep(0.1)


def test_what_a_hook_of_the_project_prints_is_no_leak_of_the_app(project):
    write(project, "pass")
    project.pytester.makeconftest(f"def pytest_runtest_setup(item): print({EMAIL!r})")
    assert project.run().ret == 0


def test_an_app_whose_children_print_nothing_private_is_green(project):
    write(project, "; ".join([*NAMED.values(), *NATIVE.values()]))
    path = project.path / "capitals.py"
    path.write_text(path.read_text().replace('"anna.muster" + "@firma-weber.de"', '"nobody"'))
    assert project.run().ret == 0


def test_what_a_child_prints_beyond_what_is_kept_is_no_clean_result(project):
    write(project, "subprocess.run('yes | head -c 3000000', shell=True)")
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the app printed 2,000,000 characters more than are kept*"])


def test_much_output_of_a_child_is_shown_as_far_as_there_is_room(project):
    write(project, "subprocess.run(['seq', '30000']); return 1 / 0")
    result = project.run()
    result.stdout.fnmatch_lines(["*Captured stdout call*", "1", "2", "16000", "* more characters)"])


APPS_OWN = """
def check():
    statuses = os.system("exit 3"), os.system("kill -9 $$"), subprocess.run(["sh", "-c", "exit 4"]).returncode
    piped = subprocess.run(["echo", "piped"], capture_output=True, text=True).stdout
    assert (*statuses, piped, os.popen("echo opened").read()) == (768, 9, 4, "piped\\n", "opened\\n")
    read, write = os.pipe()
    assert os.write(write, b"bytes") == 5
    assert os.read(read, 9) == b"bytes"
    for wrong in (["echo", None], ["no such program"]):
        try:
            subprocess.run(wrong, close_fds=False)
        except (TypeError, FileNotFoundError):
            continue
        raise AssertionError(wrong)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(os.system, ["exit 5"]) == [1280]
    pid, terminal = pty.fork()
    if not pid:
        os.write(1, b"on the terminal")
        os._exit(0)
    assert os.read(terminal, 99) == b"on the terminal"
    return "Hello"

def to_file():
    # What a C program of the app prints, kept by the app itself.
    kept = os.dup(1)
    with open("own.txt", "wb") as own:
        os.dup2(own.fileno(), 1)
        subprocess.run(["echo", "to a file"])
        os.write(1, b"and more")
        os.dup2(kept, 1)
    assert open("own.txt").read() == "to a file\\nand more"
    return "Hello"

def many():
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    for _ in range(150):
        assert subprocess.Popen(["echo", "x"], stdout=-1, stderr=-1).stdout.read() == b"x\\n"
        subprocess.run(["echo", "x"])
    return "Hello"
"""


@pytest.mark.parametrize("does", ["check", "to_file", "many"])
def test_an_app_has_its_processes_as_without_the_plugin(project, does):
    project.golden("app: capitals:answer\nchecks: {pii_leak: none}\ncases: [{id: one, input: x}]\n")
    project.app(f"{APP}\n    import resource\n")
    path = project.path / "capitals.py"
    path.write_text(
        f"{path.read_text()}\n{APPS_OWN}\ndef answer(question):\n    return {does}()\n".replace("\\\\", "\\")
    )
    result = project.run("--capture=sys")  # `fd` changes descriptor 1 too, between two items
    assert result.ret == 0, result.stdout.str()


def test_a_child_for_which_no_descriptor_is_left_is_no_clean_result(project):
    write(project, "use_up(); subprocess.run(['true'], stdin=0)")
    path = project.path / "capitals.py"
    path.write_text(f"""{path.read_text()}
def use_up():
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    global kept
    kept = []
    try:
        while True:
            kept.append(os.dup(0))
    except OSError:
        for number in kept[:3]:
            os.close(number)
""")
    result = project.run()
    assert result.ret == 1


@pytest.mark.parametrize("door", ["-s", "--capture=sys", "--capture=fd"])
def test_a_server_of_the_apps_fixture_is_looked_at_at_the_end(project, door):
    write(project, "time.sleep(0.5)")
    path = project.path / "capitals.py"
    path.write_text(f"{path.read_text()}\nimport time\n")
    project.pytester.makeconftest("""
        import pytest, subprocess
        @pytest.fixture(scope="session")
        def llm_app():
            import capitals
            server = subprocess.Popen(["sh", "-c", f"sleep 0.2; echo {capitals.EMAIL}; sleep 9"])
            yield capitals.answer
            server.kill()
    """)
    result = project.run(door)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["error: pii_leak found 1 in * outside of cases: *EMAIL_ADDRESS*"])


def test_each_of_two_runs_at_once_looks_at_what_comes_late(tmp_path):
    """Which of them a process without a case belongs to, nobody knows."""

    def run(name: str, checks: str, app: Any, problems: list[str]) -> None:
        (tmp_path / f"{name}.yaml").write_text(
            f"checks: {checks}\ncases: [{{id: a, input: x}}, {{id: b, input: y}}]\n"
        )
        settings = Settings(root=tmp_path, home=name, repeats=1)
        run_golden(load_golden(f"{name}.yaml", root=tmp_path), app, settings=settings, problems=problems)

    def leaks(question: str) -> str:
        if question == "x":
            children.append(subprocess.Popen(["sh", "-c", f"sleep 0.5; echo {EMAIL}"]))  # noqa: S603, S607
        else:
            time.sleep(1.5)
        return "Hello"

    def waits(_: str) -> str:
        begun.set()
        over.wait(20)
        return "Hello"

    begun, over, problems, children = threading.Event(), threading.Event(), [], []
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run, "first", "{keywords: {all: [Hello]}}", waits, [])
        begun.wait(20)
        run("second", "{pii_leak: none}", leaks, problems)
        over.set()
        first.result()
    assert children[0].wait() == 0
    assert [problem for problem in problems if "pii_leak found 1" in problem]
