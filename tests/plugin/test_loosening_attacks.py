"""Ways in which a change may loosen its own gate: each is listed under `git:REF`, and red without permission."""

from __future__ import annotations

import pytest

from tests.plugin.test_merge_base import FILE, RED, repository  # noqa: F401 - the fixture

SET_AT_RUN_TIME = """
import os
os.environ["PYTEST_ADDOPTS"] = os.environ.get("PYTEST_ADDOPTS", "") + " --llm-allow-loosening"
"""


@pytest.mark.parametrize("file", ["conftest.py", "golden/conftest.py", "capitals.py"])
def test_permission_that_the_project_gives_itself_at_run_time(repository, file):
    before = (repository.path / file).read_text() if file == "capitals.py" else ""
    repository.varying.project.write(file, SET_AT_RUN_TIME + before)
    repository.change("mean: '>= 0.5'", "mean: '>= 0.1'")
    repository.varying.project.environment.setenv("PYTEST_ADDOPTS", "-p no:langsmith_plugin -p no:anyio")

    result = repository.ask()

    assert RED in result.outlines
    assert result.ret == 1


def test_another_repository_that_a_conftest_names(repository):
    repository.git("clone", "--quiet", "--bare", ".", "../elsewhere")
    repository.git("--git-dir", "../elsewhere", "symbolic-ref", "HEAD", "refs/heads/main")
    repository.change("mean: '>= 0.5'", "mean: '>= 0.1'")
    repository.git("push", "--quiet", "--force", "../elsewhere", "HEAD:main")
    elsewhere = (repository.path / "../elsewhere").resolve()
    repository.varying.project.write("conftest.py", f"import os\nos.environ['GIT_DIR'] = {str(elsewhere)!r}\n")

    result = repository.ask()
    repository.varying.project.environment.delenv("GIT_DIR")

    assert [each for each in repository.listed(result) if each.startswith(FILE)]
    assert result.ret == 1
