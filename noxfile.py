"""The plugin's own tests on every Python and both ends of the pytest versions: `pipx run nox`."""

from __future__ import annotations

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OLDEST, NEWEST = "pytest==8.2.*", "pytest"


@nox.session(python=PYTHONS)
@nox.parametrize("pytest", [OLDEST, NEWEST], ids=["oldest", "newest"])
def plugin(session: nox.Session, pytest: str) -> None:
    """What depends on pytest and needs no model."""
    session.install("-e", ".[xdist]", "--group", "test", pytest)
    session.run("pytest", "-q", "-p", "no:cacheprovider", "tests/plugin", *session.posargs)
