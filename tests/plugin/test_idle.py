"""An idle plugin imports one small module of ours and the settings, opens, writes and prints nothing."""

from __future__ import annotations

import subprocess
import sys

from tests.plugin.conftest import GOLDEN

PROBE = """
import socket, sys

def refuse(*_, **__):
    raise AssertionError("an idle plugin opened a socket")

socket.socket.connect = refuse

LIGHT = ("errors", "plugin", "settings")

def test_idle():
    ours = sorted(name for name in sys.modules if name.split(".")[0] == "pytest_llmops")
    assert ours == ["pytest_llmops", *(f"pytest_llmops.{name}" for name in LIGHT)]
    heavy = {"numpy", "scipy", "openai", "presidio_analyzer", "yaml", "rich", "sacrebleu", "opentelemetry"}
    assert not heavy & set(sys.modules)
"""


# Plugins of others that are installed here and import much.
ABSENT = ("-p", "no:hypothesispytest", "-p", "no:langsmith_plugin", "-p", "no:anyio", "-p", "no:xdist")


def test_an_idle_plugin_costs_one_small_module(pytester):
    pytester.makepyfile(PROBE)
    before = sorted(pytester.path.iterdir())
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *ABSENT, "-q"]
    told = subprocess.run(command, cwd=pytester.path, capture_output=True, text=True, check=False)  # noqa: S603
    assert told.returncode == 0, told.stdout
    assert "llm" not in told.stdout.lower().replace("llmops", "")
    assert told.stderr == ""
    assert [path for path in sorted(pytester.path.iterdir()) if path.name != "__pycache__"] == before


ENDS = """
    import sys

    sys.modules["presidio_analyzer"] = None  # as without the extra `pii`, whose libraries need numpy

    def pytest_unconfigure(config):
        heavy = {"numpy", "scipy", "statsmodels", "spacy", "openai", "sacrebleu"}
        with open("loaded.txt", "a") as file:
            file.write(" ".join(sorted(heavy & set(sys.modules))) + "\\n")
"""


def test_a_golden_run_without_a_baseline_loads_no_statistics(project):
    """Thresholds on cases and suite, repeats, a percentile: nothing of it needs numpy."""
    project.environment.setenv("COLD", "1")
    project.environment.setenv("PYTEST_PLUGINS", "pytest_llmops.plugin")
    project.write("conftest.py", ENDS)
    suite = "suite: {keywords: {mean: '>= 0.5', max_drop: 0.1}, latency_s: {p95: '<= 60'}}\n"
    project.golden(GOLDEN.replace("    cases:", f"    {suite}    cases:"))
    for repeats in ("1", "3", "auto"):
        result = project.run("--llm-repeats", repeats, "--llm-budget", "5 calls")
        assert result.ret == 0
    assert (project.path / "loaded.txt").read_text() == "\n" * 3
    project.run("--llm-accept")
    project.run()
    assert "numpy" in (project.path / "loaded.txt").read_text()
