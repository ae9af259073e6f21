"""
The site of these pages: `make docs` builds it from the repository's root, so that links hold there and here.

The theme has its own fonts and scripts, and no page loads anything from elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import os
from importlib import metadata
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

project = "pytest-llmops"
release = metadata.version("pytest-llmops")
copyright = "the authors of pytest-llmops"  # noqa: A001 - the name that Sphinx reads

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
include_patterns = [
    "README.md",
    "docs/**",
    "golden/README.md",
    ".github/CONTRIBUTING.md",
    "reference_app/adapter/README.md",
]
root_doc = "docs/index"
nitpicky = False

myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]

html_theme = "furo"
html_title = f"pytest-llmops {release}"
html_show_sourcelink = False
html_copy_source = False

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
linkcheck_ignore = [r"https?://"]  # pages of others; the build itself checks our own
VERBS = Path(__file__).with_name("verbs.md")


def write_verbs(_: Any) -> None:
    """Write the page of all verbs from their own help."""
    from pytest_llmops.cli import known_verbs, main

    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
    parts = ["# Verbs", "", "`llmops VERB --help` prints this too.", ""]
    for verb in known_verbs():
        with contextlib.redirect_stdout(text := io.StringIO()), contextlib.suppress(SystemExit):
            main([verb, "--help"])
        parts += [f"## `llmops {verb}`", "", "```text", text.getvalue().rstrip(), "```", ""]
    VERBS.write_text("\n".join(parts), encoding="utf-8")


REPLACED = {
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="all pages">',
    '<aside class="toc-drawer': '<aside aria-label="this page" class="toc-drawer',
    'role="heading"><span class="caption-text">': 'role="heading" aria-level="2"><span class="caption-text">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    "<pre>": '<pre tabindex="0">',
    '<th class="head"><p></p></th>': "<td></td>",
    '<div id="search-results">': '<h1>Search</h1><div id="search-results">',
}
"""Markup of the theme that screen readers or keyboards stumble over, and its replacement."""


def finish(app: Any, error: Exception | None) -> None:
    """Complete the pages, and lead from the top of the site to its first one."""
    if error is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for written, accessible in REPLACED.items():
            text = text.replace(written, accessible)
        page.write_text(text, encoding="utf-8")
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>pytest-llmops</title>'
    refresh = '<meta http-equiv="refresh" content="0; url=docs/index.html">'
    (Path(app.outdir) / "index.html").write_text(head + refresh, encoding="utf-8")


def setup(app: Any) -> None:
    app.add_lexer("mermaid", TextLexer)  # drawn by code hosts, and legible as it is
    app.connect("builder-inited", write_verbs)
    app.connect("build-finished", finish)
