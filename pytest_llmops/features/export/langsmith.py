"""Outputs as LangSmith runs, and scores as feedback on them, by LangSmith's own client."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pytest_llmops.errors import MissingExtraError, SettingsError, describe_error
from pytest_llmops.printable import printable
from pytest_llmops.records import ScoredOutput
from pytest_llmops.traces.environment import langsmith_endpoint, langsmith_key, own_clients

_TYPES = {"tool": "tool", "execute_tool": "tool", "retriever": "retriever", "chat": "llm", "llm": "llm"}


@dataclass(frozen=True, slots=True)
class LangSmithEndpoint:
    client: Any

    @classmethod
    def of_environment(cls) -> LangSmithEndpoint:
        """
        Make a client of the environment's address and key.

        Raises:
            MissingExtraError: LangSmith's client is not installed.
            SettingsError: The environment names no key.
        """
        try:
            from langsmith import Client
        except ImportError:
            raise MissingExtraError("export = langsmith", "langsmith") from None
        key = langsmith_key()
        if not key:
            raise SettingsError("export = langsmith needs the environment variable LANGSMITH_API_KEY")
        try:
            client = Client(api_url=langsmith_endpoint(), api_key=key, auto_batch_tracing=False)
        except Exception as error:  # noqa: BLE001 - it refuses an environment by errors of several kinds
            raise SettingsError(f"export = langsmith: {printable(describe_error(error))}") from None
        own_clients.add(client)
        return cls(client)

    def send(self, outputs: Sequence[ScoredOutput]) -> None:
        """
        Send masked outputs.

        Raises:
            OSError: The endpoint cannot be reached, or refuses.
        """
        from langsmith.utils import LangSmithError

        try:
            for output in outputs:
                self._send_output(output)
        except LangSmithError as error:  # its message quotes the data
            raise OSError(f"LangSmith refused it ({type(error).__name__})") from None

    def _send_output(self, output: ScoredOutput) -> None:
        root = output.spans[0]
        ids = {
            span.span_id: uuid.uuid5(uuid.NAMESPACE_OID, f"{root.trace_id} {span.span_id}")
            for span in output.spans
        }
        orders: dict[str, str] = {}
        # Parents first: spans come in the order in which they ended.
        below = sorted(output.spans[1:], key=lambda span: (span.start, -span.end))
        for span in (root, *below):
            known = span.parent_id if span.parent_id in orders else root.span_id
            parent = None if span is root else known
            order = f"{_time(span.start):%Y%m%dT%H%M%S%fZ}{ids[span.span_id]}"
            orders[span.span_id] = f"{orders[parent]}.{order}" if parent else order
            self.client.create_run(
                name=span.name or "span",
                run_type=_TYPES.get(span.kind.lower(), "chain"),
                inputs={"input": output.input} if span is root else {},
                outputs={"output": output.text} if span is root else {},
                id=ids[span.span_id],
                trace_id=ids[root.span_id],
                parent_run_id=ids[parent] if parent else None,
                dotted_order=orders[span.span_id],
                start_time=_time(span.start),
                end_time=_time(max(span.end, span.start)),
                error=span.status if span.status.startswith("error") else None,
                extra={
                    "metadata": {
                        **span.attributes,
                        **({"events": list(span.events)} if span.events else {}),
                    }
                },
            )
        for judged in output.judged:
            with warnings.catch_warnings():  # feedback without a session's id is to end in a later release
                warnings.simplefilter("ignore")
                self.client.create_feedback(
                    ids[root.span_id],
                    key=judged.metric,
                    score=judged.value,
                    value=judged.label or None,
                    comment=judged.explanation or judged.error or None,
                    stop_after_attempt=1,
                )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(max(seconds, 0.0), UTC)
