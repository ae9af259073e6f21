"""All workflows, ours, those in docs, and what `llmops init` writes, as zizmor judges them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
WORKFLOWS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        ROOT / "action.yml",
        *sorted((ROOT / ".github/workflows").glob("*.yml")),
        ROOT / "pytest_llmops/features/init/workflows/golden.yml",
    )
}
WORKFLOWS |= {
    f"{page.name}-{at}.yml": block
    for page in PAGES
    for at, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    if re.search(r"^jobs:", block, re.MULTILINE)
}


def test_the_workflows_of_the_docs_are_found():
    assert sum(name.startswith("untrusted-changes.md") for name in WORKFLOWS) == 3
    assert sum(name.startswith("ci.md") for name in WORKFLOWS) == 2


def write_workflows(folder: Path) -> None:
    """Write the workflows into a folder, where linters look for them."""
    workflows = folder / ".github/workflows"
    workflows.mkdir(parents=True)
    for name, text in WORKFLOWS.items():
        if name == "action.yml":
            (folder / name).write_text(text, encoding="utf-8")
        else:
            (workflows / name.replace("/", "-")).write_text(text, encoding="utf-8")


def test_zizmor_finds_nothing(tmp_path):
    write_workflows(tmp_path)
    zizmor = Path(sys.executable).with_name("zizmor")
    run = subprocess.run(  # noqa: S603 - words of this test
        [zizmor, "--offline", "--no-progress", "--format", "plain", "--persona", "regular", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", WORKFLOWS)
def test_shells_parse_each_script(name):
    content = yaml.safe_load(WORKFLOWS[name])
    jobs = content["jobs"].values() if "jobs" in content else [content["runs"]]
    for step in (step for job in jobs for step in job["steps"]):
        if script := step.get("run"):
            plain = re.sub(r"\$\{\{.*?\}\}", "x", script)
            run = subprocess.run(  # noqa: S603 - parsed, not run
                [shutil.which("bash"), "-n"], input=plain, text=True, check=False
            )
            assert run.returncode == 0, script


if __name__ == "__main__":  # of `make actionlint`
    write_workflows(Path(sys.argv[1]))
