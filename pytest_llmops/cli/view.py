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
from pytest_llmops.errors import LLMOpsError, describe_error
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """
    The pages of the runs in a folder, made anew for each request: a baseline may be accepted meanwhile.

    Attributes:
        baseline: As `open_sides` takes it.
    """

    folder: Path
    baseline: str | None
    settings: Settings
    _making: Lock = field(default_factory=Lock)

    def render(self, name: str) -> str | None:
        """
        Return the page of a run file, of the newest one for an empty name; None if there is none.

        Raises:
            LLMOpsError: It cannot be read, or compared.
        """
        runs = {path.name: path for path in self.folder.glob("*.json*") if path.is_file()}
        run = runs.get(name) if name else max(runs.values(), key=_written, default=None)
        if run is None:
            return None
        with self._making:
            return render_page(make_report(str(run), self.baseline, self.folder, self.settings))


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


class _Handler(BaseHTTPRequestHandler):
    """Answers to this machine's browser alone, and to no other site's name for this machine."""

    def __init__(self, reports: Reports, *arguments: object) -> None:
        self._reports = reports
        super().__init__(*arguments)  # type: ignore[arg-type]  # of the server: request, address, server

    def do_GET(self) -> None:
        try:
            status, text = self._answer()
        except Exception as error:  # noqa: BLE001 - whatever a file of the folder does, the others are served
            status, text = HTTPStatus.INTERNAL_SERVER_ERROR, printable(describe_error(error))
        self._send(status, text)

    def _answer(self) -> tuple[HTTPStatus, str]:
        if self.headers.get("Host", "").rpartition(":")[0] not in _NAMES:
            return HTTPStatus.FORBIDDEN, "only this machine is served"
        page = self._reports.render(unquote(urlsplit(self.path).path).lstrip("/"))
        if page is None:
            return HTTPStatus.NOT_FOUND, "there is no such run here"
        return HTTPStatus.OK, page

    def _send(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        kind = "text/html" if status is HTTPStatus.OK else "text/plain"
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing for each request."""
