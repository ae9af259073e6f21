"""The embedded models behind an OpenAI-compatible server on the loopback interface."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import anyio
import httpcore2
from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reference_app.errors import NOT_LOADED
from reference_app.http_server import LoopbackServer
from reference_app.models.encoder import load_encoder
from reference_app.models.engines import EngineError, Engines, list_served
from reference_app.models.multilingual import load_search_encoder

if TYPE_CHECKING:
    from starlette.requests import Request

    from reference_app.models.weights import Weights

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_TEXTS = 2048


class BadRequestError(Exception):
    """A request that is answered with an error in OpenAI's form: status, message, code."""


class Endpoint:
    """
    Listens on a free port of 127.0.0.1 until `close`.

    Chat requests go to one of the engines of their model, each of which works on one request at a time;
    embeddings are made in this process. Nothing is loaded before the first request that needs it.
    """

    def __init__(self, weights: Weights, token: str) -> None:
        self.weights = weights
        self.engines = {served.name: Engines(served) for served in list_served(weights)}
        self._token = token
        self._encoder_names = [name for name in (weights.encoder_name, weights.search_name) if name]
        self._chat_names = [name for name in (*self.engines, weights.tuned_name) if name]
        # Not httpx2: who watches that for calls to models would count the client's own call twice. None is
        # kept, since an engine closes idle connections when it likes.
        self._pool = httpcore2.AsyncConnectionPool(max_connections=None, max_keepalive_connections=0)
        routes = [
            Route("/health", self._say_health),
            Route("/v1/models", self._list_models),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/embeddings", self._embed, methods=["POST"]),
        ]
        handlers: Any = {BadRequestError: _refuse, HTTPException: _miss}
        self._server = LoopbackServer(Starlette(routes=routes, exception_handlers=handlers))
        self.url = self._server.url

    def close(self) -> None:
        """Cut every line and stop the engines, within about 0.3 s even in the middle of an answer."""
        self._server.close(cut=True)
        for engines in self.engines.values():
            engines.close()

    async def _say_health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "token": self._token})

    async def _list_models(self, _: Request) -> Response:
        names = (*self._chat_names, *self._encoder_names)
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "embedded"} for name in names]
        return JSONResponse({"object": "list", "data": data})

    async def _chat(self, request: Request) -> Response:
        body = await _read(request, *self._chat_names)
        if body.get("stream"):
            raise BadRequestError(400, "Answers are not streamed here.")
        answers: list[Response] = []

        async def answer() -> None:
            answers.append(await self._ask(body))
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(answer)
            while (await request.receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()  # who hung up needs no answer, and the engine is hung up on
        return answers[0] if answers else Response()

    async def _ask(self, body: dict[str, Any]) -> Response:
        name = body["model"]
        engines = self.engines.get(name) or self.engines[self.weights.chat_name]
        body["cache_prompt"] = engines.served.slots > 1
        if engines.served.adapter is not None:
            body["lora"] = [{"id": 0, "scale": 1.0 if name == self.weights.tuned_name else 0.0}]
        headers: Any = {"Content-Type": "application/json"}
        content = json.dumps(body).encode()
        try:
            async with engines.borrow() as url:
                reply = await self._pool.request(
                    "POST", f"{url}/v1/chat/completions", headers=headers, content=content
                )
        except EngineError as error:
            # Loading takes seconds and fails again, so the client must not try three times.
            described = _describe_error(500, str(error), NOT_LOADED)
            return JSONResponse(described, 500, {"x-should-retry": "false"})
        completion = json.loads(reply.content)
        if "model" in completion:
            completion["model"] = name  # an engine names its base, even where the adapter was on
        return JSONResponse(completion, reply.status)

    async def _embed(self, request: Request) -> Response:
        body = await _read(request, *self._encoder_names)
        return JSONResponse(await to_thread.run_sync(_embed, self.weights, body))


async def _read(request: Request, *served: str) -> dict[str, Any]:
    """The body, which must name one of the models served there."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise BadRequestError(411, "The request has no Content-Length.")
    if int(length) > MAX_BODY_BYTES:
        raise BadRequestError(413, f"The request is larger than {MAX_BODY_BYTES} bytes.")
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise BadRequestError(400, "The request is no JSON.") from None
    if not isinstance(body, dict):
        raise BadRequestError(400, "The request is no JSON object.")
    if body.get("model") not in served:
        named = " and ".join(map(repr, served))
        message = f"The model {str(body.get('model'))[:100]!r} is not served here; served: {named}."
        raise BadRequestError(404, message, "model_not_found")
    return body


async def _refuse(_: Request, error: BadRequestError) -> Response:
    return JSONResponse(_describe_error(*error.args), error.args[0])


async def _miss(request: Request, error: HTTPException) -> Response:
    content = _describe_error(error.status_code, f"There is no {request.url.path[:100]}.")
    return JSONResponse(content, error.status_code)


def _describe_error(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP's own border
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _embed(weights: Weights, body: dict[str, Any]) -> dict[str, Any]:
    """Only the encoder for searching tells a question from a passage, by `input_type`."""
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    role = body.get("input_type", "passage")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadRequestError(400, "`input` must be a text or a list of texts.")
    if len(texts) > MAX_TEXTS:
        raise BadRequestError(400, f"`input` holds more than {MAX_TEXTS} texts.")
    if role not in {"query", "passage"}:
        raise BadRequestError(400, "`input_type` must be 'query' or 'passage'.")
    is_search, is_query = body["model"] == weights.search_name, role == "query"
    encoder = load_search_encoder(weights) if is_search else load_encoder(weights)
    vectors = encoder.query(texts) if is_query else encoder.passage(texts)
    as_base64 = body.get("encoding_format") == "base64"
    written: list[Any] = [
        base64.b64encode(row.astype("<f4").tobytes()).decode() if as_base64 else row.tolist()
        for row in vectors
    ]
    tokens = encoder.count_tokens(texts, is_query=is_query)
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(written)],
        "model": body["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
