"""What child processes print, and what goes to bare descriptors, is kept by the case and looked at."""

from __future__ import annotations

import json

import pytest

EMAIL = "anna.muster@firma-weber.de"
APP = """
    import asyncio, ctypes, multiprocessing, os, subprocess, sys, threading
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
    "descriptor": "tell_bare(EMAIL)",
}
UNNAMED = {
    "fork": "in_process('fork', tell)",
    "fork, bare": "in_process('fork', tell_bare)",
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


@pytest.mark.parametrize("door", [(), ("-s",), ("-n", "2")], ids="-".join)
@pytest.mark.parametrize("does", UNNAMED.values(), ids=UNNAMED)
def test_a_fork_that_prints_is_an_error_of_the_suite(project, does, door):
    write(project, does)
    result = project.run(*door)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["error: pii_leak found 1 in * outside of cases: *EMAIL_ADDRESS*"])
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


def test_a_child_that_outlives_its_case_is_looked_at_at_the_end(project):
    write(project, "subprocess.Popen(['sh', '-c', f'sleep 0.3; echo later: {EMAIL}'])")
    path = project.path / "capitals.py"
    path.write_text(path.read_text().replace("return 'Hello'", "import time; time.sleep(question == 'y')"))
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*later: <EMAIL_ADDRESS*"])
    result.stdout.fnmatch_lines(["error: pii_leak found 1 in * outside of cases: *EMAIL_ADDRESS*"])


def test_an_app_whose_children_print_nothing_private_is_green(project):
    write(project, "; ".join([*NAMED.values(), *UNNAMED.values(), *NATIVE.values()]))
    path = project.path / "capitals.py"
    path.write_text(path.read_text().replace('"anna.muster" + "@firma-weber.de"', '"nobody"'))
    assert project.run().ret == 0


def test_what_a_child_prints_beyond_what_is_kept_is_no_clean_result(project):
    write(project, "subprocess.run(['head', '-c', '3000000', '/dev/zero'])")
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the app printed 2,000,000 characters more than are kept*"])


def test_exit_statuses_and_pipes_are_the_apps(project):
    write(project, "return check()")
    path = project.path / "capitals.py"
    path.write_text(f"""{path.read_text()}
def check():
    statuses = os.system("exit 3"), os.system("kill -9 $$"), subprocess.run(["sh", "-c", "exit 4"]).returncode
    piped = subprocess.run(["echo", "piped"], capture_output=True, text=True).stdout
    assert (*statuses, piped, os.popen("echo opened").read()) == (768, 9, 4, "piped\\n", "opened\\n")
    read, write = os.pipe()
    assert os.write(write, b"bytes") == 5
    assert os.read(read, 9) == b"bytes"
    return "Hello"
""")
    assert project.run().ret == 0
