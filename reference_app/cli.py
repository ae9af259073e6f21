"""The app at a terminal: steps and the draft as it is written on stderr, the grounded answer on stdout."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError, QuestionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.graph import SupportApp
    from reference_app.state import State

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one question; 0 answered, 1 the app or its endpoint failed, 2 the question is unusable."""
    parser = argparse.ArgumentParser(
        prog="python -m reference_app", description="Ask the customer support of Fellwind Outfitters."
    )
    parser.add_argument("question")
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")
    parser.add_argument("--trace", action="store_true", help="print the spans of the run as a tree")
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except QuestionError as error:
        return _fail(str(error), MISUSED)
    except AppError as error:
        return _fail(str(error), FAILED)
    except KeyboardInterrupt:
        return _fail("Interrupted.", INTERRUPTED)
    except BrokenPipeError:
        return FAILED
    except Exception as error:
        import httpx2
        import openai

        if not isinstance(error, openai.OpenAIError | httpx2.HTTPError):
            raise
        return _fail(_explain(error), FAILED)


def _run(options: argparse.Namespace) -> int:
    spans = _capture_spans() if options.trace else None
    try:
        from reference_app.graph import as_record, open_app

        app = open_app()
        if options.json:
            state: State = {}
            for _, added in app.run(options.question):
                state.update(added)
            sys.stdout.write(json.dumps(as_record(state, app.models.chat_model), indent=2) + "\n")
        else:
            _show(app, options.question)
    finally:
        if spans is not None:
            from reference_app.spans import draw

            sys.stderr.write(printable(draw(spans.get_finished_spans()), keep="\n") + "\n")
    return 0


def _show(app: SupportApp, question: str) -> None:
    streamed = False

    def hear(piece: str) -> None:
        nonlocal streamed
        streamed = True
        sys.stdout.write(printable(piece))
        sys.stdout.flush()

    for node, added in app.run(question, hear):
        if node == "planner":
            plan = added["plan"]
            _note(f"planner: {plan.route}" + (f" {plan.order_id}" if plan.order_id else ""))
        elif node == "retriever":
            for one in added.get("passages", []):
                old = " (superseded)" if one.section.status == "superseded" else ""
                _note(f"retriever: {one.score:.2f} {one.section.id}{old}")
            for call in added.get("tool_calls", []):
                _note(f"retriever: {call.name}({json.dumps(call.arguments)}) {call.decision}")
        elif node == "answerer":
            sources = "".join(f" [{source}]" for source in added["sources"])
            sys.stdout.write((sources if streamed else printable(added["text"])) + "\n")
            sys.stdout.flush()
            if added["sources"]:
                _note("sources: " + " ".join(added["sources"]))


def _capture_spans() -> Any:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def printable(text: str, keep: str = "") -> str:
    """The text with control characters written out, so that a model cannot command the terminal."""
    return "".join(
        character if character.isprintable() or character in keep else ascii(character)[1:-1]
        for character in text
    )


def _note(line: str) -> None:
    sys.stderr.write(printable(line) + "\n")


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"reference_app: {printable(' '.join(message.split()))}\n")
    return code


def _explain(error: Exception) -> str:
    import openai

    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return f"The endpoint refused the key (HTTP {error.status_code}); check OPENAI_API_KEY."
    if isinstance(error, openai.RateLimitError):
        return "The endpoint is limiting its rate or your quota is spent (HTTP 429); try again later."
    if isinstance(error, openai.NotFoundError):
        return (
            "The endpoint does not know the model (HTTP 404); check REFERENCE_APP_MODEL and OPENAI_BASE_URL."
        )
    if isinstance(error, openai.APIStatusError):
        return f"The endpoint answered HTTP {error.status_code}: {error.message[:300]}"
    if isinstance(error, openai.APITimeoutError):
        return "The endpoint did not answer in time."
    cause = error.__cause__ or error
    return (
        f"The line to the endpoint failed: {type(cause).__name__}: {str(cause)[:300]}; check OPENAI_BASE_URL."
    )
