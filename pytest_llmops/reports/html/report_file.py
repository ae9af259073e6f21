"""The page around the data: its script and style, which a policy names by their digests."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.errors import RunFileError
from pytest_llmops.printable import printable
from pytest_llmops.reports.files.json_file import dump_json

SUFFIXES = (".html", ".htm")
_TITLE = 80  # characters


def write_report(data: Mapping[str, Any], path: Path) -> None:
    """
    Write the report to a file, atomically.

    Raises:
        RunFileError: The name is not that of an HTML file; whatever is there now is kept.
        OSError: The folder cannot be made or written.
    """
    if path.suffix not in SUFFIXES:
        raise RunFileError(f"{path}: not written: the name of an HTML report ends in {' or '.join(SUFFIXES)}")
    write_atomically(path, render_page(data).encode())


def render_page(data: Mapping[str, Any]) -> str:
    """
    Return the report as HTML.

    The policy allows the page's own script and style and nothing else: no request leaves it, whatever a text
    of the run has in it. The data is compressed, so that no text of it can be markup.
    """
    folder = files("pytest_llmops.reports.html")
    script, style = (
        folder.joinpath(name).read_text(encoding="utf-8") for name in ("report.js", "report.css")
    )
    packed = base64.b64encode(gzip.compress(dump_json(data).encode(), mtime=0)).decode()
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    title = escape(printable(f"{data['outcome']}: {data['title']}", _TITLE))
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{style}</style></head>",
            "<body><noscript>This report needs JavaScript.</noscript>",
            f'<div id="app"></div><script type="text/plain" id="data">{packed}</script>',
            f"<script>{script}</script></body></html>",
            "",
        ]
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
