"""
What the egress layer costs a call, in milliseconds of CPU, by client: with a case open, less without.

A server in another process answers at once. `other` is a request that is no model call, `model` one that is
recorded, `replayed` the same from its cassette. Each figure is the least of several rounds, since a busy
machine only adds to it. Usage: python benchmarks/egress.py [--calls 200] [--rounds 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import requests
import urllib3

from pytest_llmops.recorder import Recorder

LIMIT_MS = 0.3
REPLY = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "60 days"}}
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}
SERVER = f"""
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
REPLY = json.dumps({REPLY!r}).encode()
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(REPLY)))
        self.end_headers()
        self.wfile.write(REPLY)
    def log_message(self, *_): pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""

Post = Callable[[str, dict[str, Any]], object]


def find_clients() -> dict[str, Post]:
    client, session, pool = httpx.Client(), requests.Session(), urllib3.PoolManager()
    return {
        "httpx": lambda url, body: client.post(url, json=body).read(),
        "requests": lambda url, body: session.post(url, json=body).content,
        "urllib3": lambda url, body: pool.request("POST", url, json=body).data,
    }


def measure(post: Post, url: str, first: int, calls: int) -> float:
    """Milliseconds of CPU a call."""
    began = time.process_time()
    for number in range(first, first + calls):
        post(url, {"model": "m", "messages": [{"role": "user", "content": f"question {number}"}]})
    return (time.process_time() - began) / calls * 1_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)  # noqa: S603 - our own
    base = f"http://127.0.0.1:{int(server.stdout.readline() if server.stdout else 0)}"
    paths = {"other": "/search", "model": "/v1/chat/completions"}
    rows: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(given.rounds):
            kept = Path(folder, str(round_))
            for name, post in find_clients().items():
                for what, path in paths.items():
                    bare = measure(post, base + path, 0, given.calls)
                    for mode, label in (("new", what), ("none", "replayed")):
                        recorder = Recorder(committed=kept / "a", local=kept / "b", mode=mode)
                        recorder.install()
                        with recorder.recording(f"golden.yaml::{name}", 0):
                            seen = measure(post, base + path, 0, given.calls)
                        recorder.uninstall()
                        rows.setdefault((name, label), []).append((bare, seen))
                        if what == "other":
                            break
    server.kill()
    print("| client | request | without, ms | more, ms |")
    print("|---|---|---|---|")
    for (name, label), measured in rows.items():
        bare = min(one for one, _ in measured)
        more = min(seen for _, seen in measured) - bare
        mark = "" if more <= LIMIT_MS else " (missed)"
        print(f"| {name} | {label} | {bare:.2f} | {more:+.2f}{mark} |")


if __name__ == "__main__":
    main()
