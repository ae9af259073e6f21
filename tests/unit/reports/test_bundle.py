"""The built script of the HTML report, which is in the repository so that nobody needs Node."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

FOLDER = Path(str(files("pytest_llmops.reports.html")))
MOST = 100_000  # bytes


def test_the_script_is_built_of_the_sources_that_are_there():
    """If not: `make report`."""
    names = [
        "build.js",
        "package-lock.json",
        "package.json",
        *(f"src/{path.name}" for path in (FOLDER / "src").iterdir()),
    ]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0".encode() + (FOLDER / name).read_bytes())

    assert (FOLDER / "report.js").read_text(encoding="utf-8").startswith(f"// sources {digest.hexdigest()}\n")


def test_the_page_stays_small_and_ends_no_element():
    script, style = (FOLDER / name for name in ("report.js", "report.css"))

    assert script.stat().st_size + style.stat().st_size <= MOST
    assert "</" not in style.read_text(encoding="utf-8")
    assert "</script" not in script.read_text(encoding="utf-8").lower()
    assert "<!--" not in script.read_text(encoding="utf-8")
