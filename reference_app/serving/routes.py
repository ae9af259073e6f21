"""The addresses of the app."""

from __future__ import annotations

import json
import sys
import traceback
import uuid
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Header
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from reference_app.errors import AppError, QuestionError
from reference_app.serving.bodies import Decision, Failure, Question, Record
from reference_app.serving.door import Door
from reference_app.serving.events import EventStream, finish, tell_all
from reference_app.serving.page import open_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from reference_app.serving.events import Run
    from reference_app.serving.protocol import Support

SORRY = "Sorry, we cannot answer at the moment. Please try again later."
FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": Failure, "description": description}
    for status, description in (
        (
            400,
            "The question is empty, the thread is another's, nothing waits under it, or the body is no JSON.",
        ),
        (413, "The body has more than 64 kB."),
        (422, "A field is missing, unknown, too long or of another type."),
        (500, "The app cannot answer; the message is for customers, and its terminal says why."),
    )
}
ANSWERS: dict[int | str, dict[str, Any]] = FAILURES | {
    200: {
        "model": Record,
        "description": "The record; with `Accept: text/event-stream` the events `step` and `piece` as they "
        "come, and last `answer` or `confirm` with the record, or `error`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
HEADERS = (
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)
Accept = Annotated[str, Header(include_in_schema=False)]


def build(support: Support, host: str) -> ASGIApp:
    """The whole server for one app; `host` is what it is bound to."""
    page = open_page()
    web = FastAPI(
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would name what is asked for
        title="Fellwind Outfitters support",
        description="Answers with their sources, and asks a person before it does what cannot be undone.",
        docs_url=None,  # its pages would load scripts from elsewhere; /openapi.json stays
        redoc_url=None,
    )

    def reply(run: Run, thread: str, accept: str) -> Response:
        model = support.models.chat_model
        if "text/event-stream" in accept.lower():
            return EventStream(partial(tell_all, run, model, thread), explain)
        try:
            return Json(finish(run, model, thread))
        except Exception as error:  # noqa: BLE001 - a traceback might quote a customer
            return _fail(**explain(error))

    # `def`, not `async def`: the app waits for its model in a thread.
    @web.post("/v1/ask", responses=ANSWERS, summary="Ask a question")
    def ask(asked: Question, accept: Accept = "") -> Response:
        thread = asked.thread or uuid.uuid4().hex
        run = partial(support.run, asked.question, thread=thread, file=asked.file, customer=asked.customer)
        return reply(lambda heard: run(heard=heard), thread, accept)

    @web.post("/v1/confirm", responses=ANSWERS, summary="Go on after a person decided")
    def confirm(decided: Decision, accept: Accept = "") -> Response:
        from reference_app.tools.registry import Confirmation

        confirmation = Confirmation.of(decided.name, decided.arguments)
        resume = partial(support.resume, decided.thread, confirmation, approved=decided.approved)
        return reply(lambda heard: resume(heard=heard), decided.thread, accept)

    @web.get("/health", summary="Whether the server runs")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @web.get("/", include_in_schema=False)
    async def show() -> HTMLResponse:
        return HTMLResponse(page.content, headers={"Content-Security-Policy": page.policy})

    _answer_errors(web)
    return Door(web, host, HEADERS)


def _answer_errors(web: FastAPI) -> None:
    @web.exception_handler(RequestValidationError)
    async def refuse(_: Any, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        status = 400 if first["type"] == "json_invalid" else 422
        return _fail(status, "The body is no JSON." if status == 400 else f"{where}: {first['msg']}")  # noqa: PLR2004

    @web.exception_handler(HTTPException)
    async def miss(_: Any, error: HTTPException) -> Response:
        return _fail(error.status_code, str(error.detail), error.headers)

    @web.exception_handler(Exception)
    async def break_off(_: Any, error: Exception) -> Response:
        return _fail(**explain(error))


def explain(error: Exception) -> dict[str, Any]:
    """
    What a client is told; the rest is for the terminal.

    An exception that is not the app's own may quote a customer, so only its type and place are written there.
    """
    from reference_app.printable import printable

    if isinstance(error, QuestionError):
        return {"status": 400, "message": str(error)}
    said = str(error)
    if not isinstance(error, AppError):
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__qualname__} in {last.name}, {last.filename}:{last.lineno}"
    sys.stderr.write(f"reference_app: {printable(' '.join(said.split()))}\n")
    return {"status": 500, "message": SORRY}


class Json(JSONResponse):
    """In ASCII, because a model may write half of a surrogate pair, which has no UTF-8."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False).encode("ascii")


def _fail(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return Json({"error": {"status": status, "message": message}}, status, headers)
