"""The working folder: made for its owner alone, and the project's own folder left as it is."""

from __future__ import annotations

import pytest

from pytest_llmops import cache
from pytest_llmops.runner.recording import open_recorder
from pytest_llmops.settings import Settings


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(("home", "mode"), [(".llmops", 0o700), ("work/ours", 0o700), (".", 0o755)])
def test_only_its_owner_may_enter_the_working_folder(tmp_path, home, mode, there):
    folder = tmp_path / home
    if there:
        folder.mkdir(parents=True, exist_ok=True)
    tmp_path.chmod(0o755)

    recorder = open_recorder(Settings(root=tmp_path, home=home))
    recorder.uninstall()
    cache.use_cache(None)

    assert folder.stat().st_mode & 0o777 == mode
    assert tmp_path.stat().st_mode & 0o777 == 0o755
