"""The routes of the server: ask, confirm, health, and the page."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import threading
import traceback
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Header
from fastapi.exceptions import RequestValidationError
from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles

from reference_app.errors import AppError, QuestionError
from reference_app.printable import printable
from reference_app.serving.replies import confirm, follow

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.types import Receive, Scope, Send

    from reference_app.app import SupportApp
    from reference_app.documents.knowledge import Section

PAGE = Path(__file__).with_name("page")
MAX_BYTES = 64_000
SORRY = "Sorry, we cannot answer at the moment. Please try again later."
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
Thread = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Names a conversation.")]
Accept = Annotated[str, Header()]


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    question: str = Field(min_length=1, max_length=2000)
    file: str | None = Field(None, min_length=1, max_length=500, description="Name of an uploaded file.")
    thread: Thread | None = Field(None, description="Made up where it is not given.")
    customer: int | None = Field(None, ge=1, lt=2**31, description="Who is signed in; the site sets it.")


class Decision(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    thread: Thread
    name: str = Field(pattern=r"^[a-z0-9_]{1,64}$")
    arguments: dict[str, str | int | bool | None]
    approved: bool


def build(support: SupportApp, host: str, sections: Mapping[str, Section] | None = None) -> FastAPI:
    """Return the server's application; `host` is what it is bound to, `sections` are shown as sources."""
    web = FastAPI(
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would name what is asked for
        title="Fellwind Outfitters support",
        docs_url=None,  # its pages would load scripts from elsewhere; /openapi.json stays
        redoc_url=None,
    )

    def reply(steps: Callable[..., Any], thread: str, accept: str) -> Response:
        def work(tell: Callable[..., None]) -> None:
            answer = follow(steps(), sections or {}, lambda line: tell("step", {"text": line}))
            tell("confirm" if answer["pending"] else "answer", {**answer, "thread": thread})

        if "text/event-stream" in accept.lower():
            return EventStream(work)
        events: list[dict[str, Any]] = []
        try:
            work(lambda _, data: events.append(data))
        except Exception as error:  # noqa: BLE001 - a traceback might quote a customer
            return _refuse(**_explain(error))
        return Response(json.dumps(events[-1]), media_type="application/json")

    # `def`, not `async def`: the app waits for its model in a thread.
    @web.post("/v1/ask", summary="Ask a question; with Accept: text/event-stream step by step")
    def ask(asked: Question, accept: Accept = "") -> Response:
        thread = asked.thread or uuid.uuid4().hex
        steps = partial(support.run, asked.question, thread=thread, file=asked.file, customer=asked.customer)
        return reply(steps, thread, accept)

    @web.post("/v1/confirm", summary="Go on after a person decided on the pending call")
    def decide(decided: Decision, accept: Accept = "") -> Response:
        call = confirm(decided.name, decided.arguments)
        steps = partial(support.resume, decided.thread, call, approved=decided.approved)
        return reply(steps, decided.thread, accept)

    @web.get("/health", summary="Whether the server runs")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    _protect(web, {host.lower(), "localhost", socket.gethostname().lower()})
    web.mount("/", StaticFiles(directory=PAGE, html=True))
    return web


def _protect(web: FastAPI, names: set[str]) -> None:
    # No name can be bound to an address, so a request that names one comes from nobody's rebound name.
    known = re.compile(rf"({'|'.join(map(re.escape, names))}|[0-9.]+|\[[0-9a-f:.]+\])(:[0-9]{{1,5}})?")

    @web.middleware("http")
    async def guard(request: Request, call: Callable[[Request], Any]) -> Response:
        """Refuse a request for another host, as from a page that rebinds its name, or with a large body."""
        unknown = MAX_BYTES + 1 if "transfer-encoding" in request.headers else 0
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or not known.fullmatch(hosts[0].lower()):
            response = _refuse(400, "This server does not go by that host name.")
        elif int(request.headers.get("content-length", unknown)) > MAX_BYTES:
            response = _refuse(413, f"The body has more than {MAX_BYTES} bytes, or does not say how many.")
        else:
            response = await call(request)
        response.headers.update(HEADERS)
        return response

    @web.exception_handler(RequestValidationError)
    async def refuse(_: Any, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return _refuse(400, "The body is no JSON.")
        return _refuse(422, ".".join(str(part) for part in first["loc"][1:]) + f": {first['msg']}")

    @web.exception_handler(HTTPException)
    async def miss(_: Any, error: HTTPException) -> Response:
        return _refuse(error.status_code, str(error.detail))


class EventStream(StreamingResponse):
    """Sends the events of `work`, which runs in a thread and is stopped once the client has gone."""

    def __init__(self, work: Callable[[Callable[..., None]], None]) -> None:
        self._gone = threading.Event()
        super().__init__(_stream(work, self._gone), media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:  # and not in the generator, which stays open where it is sending that is cancelled
            self._gone.set()


async def _stream(work: Callable[[Callable[..., None]], None], gone: threading.Event) -> AsyncIterator[bytes]:
    """Yield the events of `work` as they are sent, and end with it."""
    events: asyncio.Queue[bytes | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def tell(event: str, data: dict[str, Any]) -> None:
        if gone.is_set():
            raise ConnectionAbortedError  # so that the model stops
        loop.call_soon_threadsafe(events.put_nowait, format_sse_event(event=event, data_str=json.dumps(data)))

    def run() -> None:
        try:
            work(tell)
        except Exception as error:  # noqa: BLE001 - the client learns that the answer ends
            if not gone.is_set():
                tell("error", _explain(error))
        if not gone.is_set():
            loop.call_soon_threadsafe(events.put_nowait, None)

    threading.Thread(target=run, daemon=True).start()
    while (event := await events.get()) is not None:
        yield event


def _explain(error: Exception) -> dict[str, Any]:
    """Return status and message for the client; the rest is written to the terminal."""
    if isinstance(error, QuestionError):
        return {"status": 400, "message": str(error)}
    text = str(error)
    if not isinstance(error, AppError):  # it may quote a customer
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__qualname__} in {last.name}, {last.filename}:{last.lineno}"
    sys.stderr.write(f"reference_app: {printable(' '.join(text.split()))}\n")
    return {"status": 500, "message": SORRY}


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"error": {"status": status, "message": message}}, status)
