"""Tools that ask the shop's service, made from its OpenAPI document."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from reference_app.shop.customers import HEADER
from reference_app.tools.arguments import ToolError
from reference_app.tools.operations import read_operations
from reference_app.tools.registry import NOT_OWN, DeniedCallError, Tool
from reference_app.tracing import trace

if TYPE_CHECKING:
    import httpx2

    from reference_app.shop.server import Shop
    from reference_app.tools.operations import Operation

OPENAPI = Path(__file__).parents[1] / "shop" / "openapi.json"
MAX_ANSWER_BYTES = 64_000
MAX_DIGITS = 18  # of a whole number; a question that waits for a person is kept in 64 bits
IDEMPOTENT = ("GET", "PUT", "DELETE")
WORTH_ANOTHER_TRY = (502, 503, 504)
RESULT_STATUSES = (200, 404, 409)  # whose answer is the tool's; all others are the service's trouble
NOT_YOURS = (403, {"error": "not_yours"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """
    How long a call may take.

    Attributes:
        connect_s: To reach the service.
        answer_s: For each wait until the headers are there, and for the whole body.
        tries: Of a request that may be repeated; others are sent once.
        pause_s: Before the second try; doubles before each further one.
    """

    connect_s: float = 2.0
    answer_s: float = 5.0
    tries: int = 3
    pause_s: float = 0.1


class ShopApi:
    """The client of one shop; may be used from many threads. The first call starts the shop."""

    def __init__(self, shop: Shop, patience: Patience | None = None, source: Path = OPENAPI) -> None:
        self._shop = shop
        self._patience = patience or Patience()
        self._source = source
        self._operations = read_operations(source)
        self._client: httpx2.Client | None = None
        self._lock = threading.Lock()

    def make_tools(self) -> list[Tool]:
        """
        One for each operation, with its id as the name.

        Raises:
            ToolError: The document leaves arguments open or unbounded.
        """
        try:
            return [
                Tool(
                    name=operation.name,
                    description=operation.description,
                    parameters=operation.parameters,
                    run=partial(self._run, operation),
                    run_as=partial(self._run, operation),
                )
                for operation in self._operations
            ]
        except ToolError as error:
            raise ToolError(f"{self._source}: {error}") from error

    def close(self) -> None:
        """Close connections and stop the shop if it was started here; a later call starts anew."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
        self._shop.close()

    def _run(
        self, operation: Operation, arguments: dict[str, Any], customer: int | None = None
    ) -> dict[str, Any]:
        """
        Ask the service; about an order, with the number of the customer whose it has to be.

        Returns:
            Its answer; or `error`, the word of its refusal, or `unavailable` where it was down, slow, broken
            or did not keep to its own document.

        Raises:
            DeniedCallError: The order is another customer's.
        """
        with trace(
            f"{operation.method} {operation.path}",
            call=True,
            http__request__method=operation.method,
            url__template=operation.path,
        ) as span:
            status, answer, tries = self._send(operation, arguments, customer)
            described = {"http.response.status_code": status, "http.request.resend_count": tries - 1 or None}
            span.describe(described)
            if status in RESULT_STATUSES and _is_documented(operation, status, answer):
                return cast("dict[str, Any]", answer)
            if (status, answer) != NOT_YOURS:
                span.describe({"error.type": "no_answer" if status is None else f"{status}"})
                return {"error": "unavailable"}
        raise DeniedCallError(NOT_OWN)

    def _send(
        self, operation: Operation, arguments: dict[str, Any], customer: int | None
    ) -> tuple[int | None, object, int]:
        """Status, answer and tries; no status where nothing came, no answer where it was no JSON."""
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

        repeatable = operation.method in IDEMPOTENT
        request = _fill(operation, arguments)
        if customer is not None and "order_id" in arguments:
            request["headers"][HEADER] = str(customer)
        retrying = Retrying(
            stop=stop_after_attempt(self._patience.tries if repeatable else 1),
            wait=wait_exponential(multiplier=self._patience.pause_s),
            retry=retry_if_exception_type(_Unreached),
            reraise=True,
        )
        status: int | None
        try:
            status, answer = retrying(self._exchange, request)
        except _Unreached as error:
            status, answer = error.status, None
        return status, answer, retrying.statistics["attempt_number"]

    def _exchange(self, request: dict[str, Any]) -> tuple[int, object]:
        import httpx2

        address = self._shop.start()
        headers = {**request["headers"], "Accept": "application/json", "Accept-Encoding": "identity"}
        if address.token:
            headers["Authorization"] = f"Bearer {address.token}"
        until = time.monotonic() + self._patience.answer_s
        try:
            with self._connect().stream(
                request["method"],
                address.url + request["path"],
                params=request["query"],
                content=request["body"],
                headers=headers,
            ) as response:
                if response.status_code in WORTH_ANOTHER_TRY:
                    raise _Unreached(response.status_code)
                content = b""
                for piece in response.iter_raw():
                    content += piece
                    if len(content) > MAX_ANSWER_BYTES:
                        return response.status_code, None
                    if time.monotonic() > until:
                        raise _Unreached(None)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _Unreached(None) from error
        return response.status_code, _parse(content)

    def _connect(self) -> httpx2.Client:
        import httpx2

        with self._lock:
            if self._client is None:
                patience = self._patience
                self._client = httpx2.Client(
                    timeout=httpx2.Timeout(patience.answer_s, connect=patience.connect_s),
                    # Shorter than the service keeps them, since a request that is sent once must not meet
                    # a connection that is just being closed.
                    limits=httpx2.Limits(keepalive_expiry=2.0),
                    trust_env=False,
                )
            return self._client


class _Unreached(Exception):  # noqa: N818 - says what happened
    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


def _fill(operation: Operation, arguments: dict[str, Any]) -> dict[str, Any]:
    path = operation.path
    for name in operation.in_path:
        path = path.replace(f"{{{name}}}", quote(str(arguments[name]), safe=""))
    headers = {} if operation.method in IDEMPOTENT else {"Idempotency-Key": str(uuid.uuid4())}
    body = None
    if operation.in_body:
        headers["Content-Type"] = "application/json"
        body = json.dumps({name: arguments[name] for name in operation.in_body if name in arguments}).encode()
    return {
        "method": operation.method,
        "path": path,
        "query": {name: arguments[name] for name in operation.in_query if name in arguments},
        "body": body,
        "headers": headers,
    }


def _parse(content: bytes) -> object:
    """The JSON value, or None for what is no JSON, or holds what JSON cannot hand on."""

    def read_whole(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            raise ValueError("too many digits")
        return int(digits)

    try:
        value: object = json.loads(content, parse_int=read_whole)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _is_documented(operation: Operation, status: int, answer: object) -> bool:
    """Whether the document knows such an answer."""
    from jsonschema import Draft202012Validator

    schema = operation.answers.get(status)
    return schema is not None and Draft202012Validator(schema).is_valid(answer)
