"""One run of the app as Server-Sent Events, and as one record."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from starlette.responses import Response

from reference_app.state import State, name_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Receive, Scope, Send

    Run = Callable[[Callable[[str], None] | None], Iterator[tuple[str, State]]]
    Tell = Callable[[str, dict[str, Any]], None]


LOOK_S = 0.2
"""How often a thread that waits for a slow reader looks whether there still is one."""


class HungUpError(Exception):
    """Whoever asked has gone; raised where the answer is written, so that the model stops."""


def finish(run: Run, model: str, thread: str) -> dict[str, Any]:
    """The record of a whole run."""
    state: State = {}
    for _, added in run(None):
        state.update(added)
    return as_reply(state, model, thread)


def tell_all(run: Run, model: str, thread: str, tell: Tell) -> None:
    """Each step and piece as it comes; the last event is `answer`, or `confirm` where a person decides."""
    state: State = {}
    for node, added in run(lambda piece: tell("piece", {"text": piece})):
        state.update(added)
        tell("step", as_step(node, added))
    reply = as_reply(state, model, thread)
    tell("confirm" if reply["pending"] else "answer", reply)


def as_reply(state: State, model: str, thread: str) -> dict[str, Any]:
    """The app's record with what a client needs to go on."""
    from reference_app.graph import as_record

    record = as_record(state, model)
    pending = [call for call in record["tool_calls"] if call["decision"] == "pending"]
    return record | {
        "sources": state.get("sources", []),
        "titles": name_sources(state),
        "pending": pending[0] if pending else None,
        "thread": thread,
    }


def as_step(node: str, added: State) -> dict[str, Any]:
    """What a person is shown of a node's work."""
    step: dict[str, Any] = {"node": node}
    if "plan" in added:
        step["plan"] = asdict(added["plan"])
    if "passages" in added:
        step["passages"] = [
            {"id": one.section.id, "score": round(one.score, 4), "status": one.section.status}
            for one in added["passages"]
        ]
    if "tool_calls" in added:
        step["tool_calls"] = [asdict(call) for call in added["tool_calls"]]
    if "problems" in added:
        step["problems"] = added["problems"]
    return step


class EventStream(Response):
    """
    Writes each event as the work tells it, from a thread; waits for a slow reader, stops for a gone one.

    Args:
        work: Gets `tell(event, data)`, which raises `HungUpError` once nobody reads.
        explain: Makes the data of the `error` event of an exception.
    """

    media_type = "text/event-stream"

    def __init__(self, work: Callable[[Tell], None], explain: Callable[[Exception], dict[str, Any]]) -> None:
        super().__init__()
        self._work, self._explain = work, explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as called
        gone, loop = threading.Event(), asyncio.get_running_loop()

        async def write(body: bytes) -> None:
            await send({"type": "http.response.body", "body": body, "more_body": True})

        def tell(event: str, data: dict[str, Any]) -> None:
            # The app's nodes may run in threads of their own, which only the loop itself can be asked from.
            body = f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()
            written = asyncio.run_coroutine_threadsafe(write(body), loop)
            while not gone.is_set():
                with suppress(TimeoutError):
                    return written.result(LOOK_S)
            written.cancel()
            raise HungUpError

        def work() -> None:
            try:
                self._work(tell)
            except HungUpError:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it is, the client is told that the answer ends
                with suppress(HungUpError):
                    tell("error", self._explain(error))

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            try:
                await to_thread.run_sync(work, abandon_on_cancel=True)
            finally:
                gone.set()
                group.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
