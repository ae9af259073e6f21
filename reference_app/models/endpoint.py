"""The embedded models behind an OpenAI-compatible server on the loopback interface."""

from __future__ import annotations

import base64
import json
import select
import socket
import threading
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from reference_app.models.engines import Engines, EnginesClosedError

if TYPE_CHECKING:
    from reference_app.models.encoder import Encoder
    from reference_app.models.weights import Weights

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_TEXTS = 2048
POLL_S = 0.2


class BadRequestError(Exception):
    """A request the endpoint answers with an error in OpenAI's form."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Endpoint(ThreadingHTTPServer):
    """
    Listens on a free port of 127.0.0.1 until `close`.

    Chat requests go to one of the engines, each of which works on one request at a time; embeddings are
    made in this process. Nothing is loaded before the first request that needs it.
    """

    daemon_threads = True
    request_queue_size = 512  # a golden run connects with every case at once

    def __init__(self, weights: Weights, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.weights = weights
        self.token = token
        self.engines = Engines(weights)
        self._encoder: Encoder | None = None
        self._encoder_lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(
            target=self.serve_forever, args=(POLL_S / 4,), name="reference-app-endpoint", daemon=True
        ).start()

    def encoder(self) -> Encoder:
        """The encoder, loaded by the first caller."""
        from reference_app.models.encoder import Encoder

        with self._encoder_lock:
            if self._encoder is None:
                self._encoder = Encoder(self.weights)
            return self._encoder

    def close(self) -> None:
        """Cut every line and stop the engines, within about 0.3 s even in the middle of an answer."""
        self.engines.close()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news; the standard library would print a traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""

    def do_GET(self) -> None:
        weights = self.server.weights
        if self.path == "/health":
            self._reply(200, {"status": "ok", "token": self.server.token})
        elif self.path == "/v1/models":
            names = (*self._chat_names(), weights.encoder_name)
            data = [{"id": name, "object": "model", "created": 0, "owned_by": "embedded"} for name in names]
            self._reply(200, {"object": "list", "data": data})
        else:
            self._reply(404, _error(404, f"There is no {self.path[:100]}."))

    def do_POST(self) -> None:
        try:
            body = self._read()
            if self.path == "/v1/chat/completions":
                self._require_model(body, *self._chat_names())
                self._chat(body)
            elif self.path == "/v1/embeddings":
                self._require_model(body, self.server.weights.encoder_name)
                self._reply(200, _embed(self.server.encoder(), body))
            else:
                self._reply(404, _error(404, f"There is no {self.path[:100]}."))
        except BadRequestError as error:
            self._reply(error.status, _error(error.status, str(error), error.code))

    def _read(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.close_connection = True
            raise BadRequestError(411, "The request has no Content-Length.")
        if int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise BadRequestError(413, f"The request is larger than {MAX_BODY_BYTES} bytes.")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise BadRequestError(400, "The request is no JSON.") from None
        if not isinstance(body, dict):
            raise BadRequestError(400, "The request is no JSON object.")
        return body

    def _chat_names(self) -> list[str]:
        weights = self.server.weights
        return [name for name in (weights.chat_name, weights.tuned_name) if name]

    def _require_model(self, body: dict[str, Any], *served: str) -> None:
        if body.get("model") not in served:
            named = " and ".join(map(repr, served))
            message = f"The model {str(body.get('model'))[:100]!r} is not served here; served: {named}."
            raise BadRequestError(404, message, "model_not_found")

    def _chat(self, body: dict[str, Any]) -> None:
        # With a cached prefix the same prompt is computed in other batches and rounds to other answers.
        added: dict[str, Any] = {"cache_prompt": False}
        if self.server.weights.adapter is not None:
            tuned = body["model"] == self.server.weights.tuned_name
            added["lora"] = [{"id": 0, "scale": 1.0 if tuned else 0.0}]
        payload = json.dumps(body | added).encode()
        try:
            with self.server.engines.borrow(self._gone) as address:
                if address is None:
                    self.close_connection = True
                    return
                line = HTTPConnection(*address)
                with self.server.engines.tracked(line):
                    line.request(
                        "POST", "/v1/chat/completions", payload, {"Content-Type": "application/json"}
                    )
                    self._pass_on(line)
        except EnginesClosedError:
            self.close_connection = True
        except (OSError, HTTPException):
            self.close_connection = True  # either side hung up: the client sees a cut line, as it should
        except RuntimeError as error:
            self._reply(500, _error(500, f"The chat model cannot be loaded: {error}"))

    def _pass_on(self, line: HTTPConnection) -> None:
        # Waiting on both sides: hanging up on the engine is what makes it stop.
        while not select.select([line.sock], [], [], POLL_S)[0]:
            if self._gone():
                self.close_connection = True
                return
        response = line.getresponse()
        self.send_response(response.status)
        self.send_header("Content-Type", response.getheader("Content-Type") or "application/json")
        if (response.getheader("Content-Type") or "").startswith("text/event-stream"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._pass_chunks(response)
        else:
            content = response.read()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def _pass_chunks(self, response: HTTPResponse) -> None:
        # The closing chunk is written only after a whole answer, so that a cut line is seen as one.
        while chunk := response.read1(65536):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _gone(self) -> bool:
        try:
            if not select.select([self.connection], [], [], 0)[0]:
                return False
            return not self.connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def _reply(self, status: int, content: dict[str, Any]) -> None:
        payload = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(payload)


def _error(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP's own border
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _embed(encoder: Encoder, body: dict[str, Any]) -> dict[str, Any]:
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadRequestError(400, "`input` must be a text or a list of texts.")
    if len(texts) > MAX_TEXTS:
        raise BadRequestError(400, f"`input` holds more than {MAX_TEXTS} texts.")
    as_base64 = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": position,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()
            if as_base64
            else vector.tolist(),
        }
        for position, vector in enumerate(encoder.encode(texts))
    ]
    tokens = encoder.count_tokens(texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": encoder.name, "usage": usage}
