"""LangSmith on this machine, as far as its client speaks to it: /info and the two ways to send runs."""

from __future__ import annotations

import json
import threading
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LangSmithServer:
    """
    Use as a context manager.

    Attributes:
        multipart: Whether /info asks for the multipart endpoint.
        zstd: Whether /info allows compressed bodies.
        status: Of every answer to a POST.
        runs: By id, created and updated.
        bodies: Of all POSTs, decompressed.
        requests: Path, content encoding and API key of each POST.
    """

    def __init__(self, *, multipart=True, zstd=True, status=202):
        self.multipart, self.zstd, self.status = multipart, zstd, status
        self.runs, self.bodies, self.requests = {}, [], []
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self._send(200, server.info())

            def do_POST(self):
                body = self._read()
                with server._lock:
                    server.take(self.path, dict(self.headers), body)
                self._send(server.status, {})

            def _read(self):
                if self.headers.get("Transfer-Encoding") == "chunked":
                    parts = []
                    while size := int(self.rfile.readline(), 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(parts)
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def _send(self, status, value):
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    def info(self):
        return {
            "version": "0.12.0",
            "batch_ingest_config": {
                "use_multipart_endpoint": self.multipart,
                "scale_up_qsize_trigger": 1000,
                "scale_up_nthreads_limit": 16,
                "scale_down_nempty_trigger": 4,
                "size_limit": 100,
                "size_limit_bytes": 20_000_000,
            },
            "instance_flags": {"zstd_compression_enabled": self.zstd},
        }

    def take(self, path, headers, body):
        encoding = headers.get("Content-Encoding", "")
        if encoding == "zstd":
            import zstandard

            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        self.requests.append((path, encoding, headers.get("x-api-key") or headers.get("X-Api-Key")))
        self.bodies.append(body.decode())
        if path.endswith("/runs/batch"):
            batch = json.loads(body)
            for run in [*batch.get("post", []), *batch.get("patch", [])]:
                self._put(run["id"], run)
        elif path.endswith("/runs/multipart"):
            self._take_parts(headers["Content-Type"], body)

    def _take_parts(self, kind, body):
        message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        for part in message.iter_parts():
            operation, run_id, *field = part.get_param("name", header="Content-Disposition").split(".")
            if operation not in ("post", "patch"):
                continue
            value = json.loads(part.get_payload(decode=True))
            self._put(run_id, {field[0]: value} if field else value)

    def _put(self, run_id, fields):
        known = {name: value for name, value in fields.items() if value is not None}
        self.runs.setdefault(run_id, {}).update(known)
