"""Git as on a machine where nobody has set anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def forget_git_settings(environment: pytest.MonkeyPatch) -> None:
    """No variable and no file of this machine's has a say in what git does; it commits as Ada."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        environment.delenv(name)
    environment.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    environment.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for who in ("AUTHOR", "COMMITTER"):
        environment.setenv(f"GIT_{who}_NAME", "Ada")
        environment.setenv(f"GIT_{who}_EMAIL", "ada@example.com")
