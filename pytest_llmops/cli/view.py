"""`llmops view [DIR]`: serves the reports of a folder's runs on loopback, until it is interrupted."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlsplit

from pytest_llmops.cli.report import make_report
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.printable import printable
from pytest_llmops.reports.html.report_file import render_page
from pytest_llmops.settings import Settings, find_root, load_settings

_HOST = "127.0.0.1"
_NAMES = frozenset({_HOST, "localhost"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", metavar="DIR", help="default: .llmops/runs")
    parser.add_argument("--baseline", metavar="FILE|git:REF|none", help="as of llmops report")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--no-open", action="store_true", help="do not open a browser")
    parser.set_defaults(do=_view)


def _view(given: argparse.Namespace) -> int:
    settings = load_settings(find_root(Path.cwd()))
    folder = Path(given.folder) if given.folder else settings.path(settings.home) / "runs"
    if not folder.is_dir():
        raise LLMOpsError(f"{folder} is no folder; name one with run files, or make one: pytest --llm-golden")
    reports = Reports(folder=folder, baseline=given.baseline, settings=settings)
    try:
        server = ThreadingHTTPServer((_HOST, given.port), partial(_Handler, reports))
    except (OSError, OverflowError) as error:
        raise LLMOpsError(f"port {given.port} cannot be opened: {error}") from None
    with server:
        address = f"http://{_HOST}:{server.server_port}/"
        print(f"{address} shows the newest run of {folder}; reload it after another run", flush=True)  # noqa: T201 - a command talks to its user
        if not given.no_open and sys.stdout.isatty():
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


@dataclass(slots=True, kw_only=True)
class Reports:
    """
    The pages of the runs in a folder, each made anew when its run was written anew.

    Attributes:
        baseline: As `open_sides` takes it.
    """

    folder: Path
    baseline: str | None
    settings: Settings
    _pages: dict[Path, tuple[int, str]] = field(default_factory=dict)
    _making: Lock = field(default_factory=Lock)

    def find(self, name: str) -> Path | None:
        """Return the run file of that name, the newest one for an empty name; None if there is none."""
        runs = {path.name: path for path in self.folder.glob("*.json*") if path.is_file()}
        if name:
            return runs.get(name)
        return max(runs.values(), key=lambda path: path.stat().st_mtime_ns, default=None)

    def render(self, run: Path) -> str:
        """
        Return the page of a run.

        Raises:
            LLMOpsError: It cannot be read, or compared.
        """
        written = run.stat().st_mtime_ns
        with self._making:
            known = self._pages.get(run)
            if known is None or known[0] != written:
                data = make_report(str(run), self.baseline, self.folder, self.settings)
                known = self._pages[run] = (written, render_page(data))
        return known[1]


class _Handler(BaseHTTPRequestHandler):
    """Answers to this machine's browser alone: a page of another site cannot read it by a name of its own."""

    def __init__(self, reports: Reports, *arguments: object) -> None:
        self._reports = reports
        super().__init__(*arguments)  # type: ignore[arg-type]  # of the server: request, address, server

    def do_GET(self) -> None:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in _NAMES:
            return self._send(HTTPStatus.FORBIDDEN, "only this machine is served")
        run = self._reports.find(unquote(urlsplit(self.path).path).lstrip("/"))
        if run is None:
            return self._send(HTTPStatus.NOT_FOUND, "there is no such run here")
        try:
            return self._send(HTTPStatus.OK, self._reports.render(run), "text/html")
        except (LLMOpsError, OSError) as error:
            return self._send(HTTPStatus.INTERNAL_SERVER_ERROR, printable(str(error)))

    def _send(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing for each request."""
