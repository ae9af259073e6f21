"""The job of docs/ci.md that posts a note, in a shell, against a server that speaks the API of notes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from pytest_llmops.reports.comment import MARKER

PAGE = (Path(__file__).parents[2] / "docs/ci.md").read_text(encoding="utf-8")
SCRIPT = yaml.safe_load("note:" + PAGE.split("```yaml\nnote:")[1].split("```")[0])["note"]["script"][0]
NOTES = "/api/v4/projects/7/merge_requests/3/notes"
ME, ANOTHER = 1, 2
TEXT = f"{MARKER}\n**regressed**: naïve\n"


class Api(ThreadingHTTPServer):
    """Notes of one merge request, two on a page."""

    def __init__(self, notes: list[tuple[int, str]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.notes = [{"id": at, "author": {"id": who}, "body": text} for at, (who, text) in enumerate(notes)]
        self.written: list[tuple[str, str, str]] = []


class Handler(BaseHTTPRequestHandler):
    server: Api

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply: object = {"id": ME}
        if self.headers["PRIVATE-TOKEN"] != "secret":
            self.send_error(401)
            return
        if self.command in {"POST", "PUT"}:
            self.server.written.append((self.command, path, json.loads(sent)["body"]))
        elif path == NOTES:
            first = 2 * (int(query.rpartition("=")[2]) - 1)
            reply = self.server.notes[first : first + 2]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that the server calls

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def post(tmp_path: Path) -> Iterator:
    """Run the script beside notes by author and text; return its exit code and what it wrote."""
    servers = []

    def run(*notes: tuple[int, str], token: str = "secret"):  # noqa: S107 - of no server
        servers.append(server := Api([*notes]))
        Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "comment.md").write_text(TEXT, encoding="utf-8")
        given = {"CI_API_V4_URL": f"http://127.0.0.1:{server.server_port}/api/v4", "NOTES_TOKEN": token}
        given |= {"CI_MERGE_REQUEST_PROJECT_ID": "7", "CI_MERGE_REQUEST_IID": "3", "LC_ALL": "C"}
        command = ["bash", "-eo", "pipefail", "-c", SCRIPT.replace("python -", "python3 -")]
        done = subprocess.run(command, cwd=tmp_path, env=os.environ | given, capture_output=True, check=False)  # noqa: S603 - the page's own words
        return done.returncode, server.written

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_first_note_is_posted(post):
    assert post((ANOTHER, f"{MARKER} of another bot"), (ME, "hello")) == (0, [("POST", NOTES, TEXT)])


def test_our_last_note_is_edited_wherever_it_is(post):
    others = [(ANOTHER, "hello")] * 3
    code, written = post((ME, MARKER), *others, (ME, MARKER), *others)
    assert (code, written) == (0, [("PUT", f"{NOTES}/4", TEXT)])


def test_a_token_that_is_refused_fails_the_job(post):
    code, written = post(token="other")
    assert (code, written) == (1, [])
