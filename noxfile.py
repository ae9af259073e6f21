"""The plugin's own tests on every Python and both ends of the pytest versions: `pipx run nox`."""

from __future__ import annotations

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OLDEST, NEWEST = "pytest==8.2.*", "pytest"


@nox.session(python=PYTHONS)
@nox.parametrize("pytest", [OLDEST, NEWEST], ids=["oldest", "newest"])
def plugin(session: nox.Session, pytest: str) -> None:
    """Run what needs no model, with the built wheel; tests of other extras are skipped."""
    session.install(".[xdist]", "--group", "test", pytest)
    parallel = ("-n", "auto", "--dist", "worksteal")
    session.run("pytest", "-q", "-p", "no:cacheprovider", *parallel, "tests/plugin", *session.posargs)
