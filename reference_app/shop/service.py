"""
The shop over HTTP: orders, shipments, points and stock; never who ordered.

A call with the header `Customer-Number` is answered about that customer's orders alone.

`python -m reference_app.shop.service` prints the OpenAPI document that the tools are made from.
"""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from reference_app.errors import AppError
from reference_app.shop import replies
from reference_app.shop.journal import Journal
from reference_app.shop.names import find_name
from reference_app.shop.queries import read_names, read_order, read_owner, read_points, read_stock

# FastAPI reads the hints of the functions it is given, so these names have to be here.
from reference_app.shop.replies import Adjustment, Customer, Key, NewAddress, OrderId, Product, Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import Request, Response

MAX_BODY_BYTES = 1000
MAX_CITIES = 20  # to choose from
REDIRECTION_FEE = 2.5  # pounds, for a parcel that is on its way


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """Carries the status and the body of the answer."""

    def __init__(self, status: int, error: str, similar: tuple[str, ...] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, **({"similar": list(similar)} if similar else {})}


def create_service(shop: Path, journal: Journal, token: str) -> FastAPI:
    """
    The service over one database.

    Args:
        shop: As `open_shop` gives it.
        journal: Where requests for a refund, another address or points are taken down.
        token: Each call has to bring it, since every user of a machine can reach its loopback ports.
    """
    service = FastAPI(
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would name what is asked for
        title="Fellwind shop",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses={status: {"model": replies.Refusal} for status in (401, 403, 404, 409, 413, 422, 500)},
    )
    _answer_failures(service)
    _keep_out(service, token)
    _add_reading(service, shop)
    _add_writing(service, shop, journal)
    return service


def _answer_failures(service: FastAPI) -> None:
    def refuse(_: Request, error: Exception) -> JSONResponse:
        if isinstance(error, Refused):
            return JSONResponse(error.body, error.status)
        # What was sent is not sent back: it may be personal.
        if isinstance(error, RequestValidationError):
            return JSONResponse({"error": "invalid_arguments"}, 422)
        return JSONResponse({"error": "unavailable"}, 500)

    for kind in (Refused, RequestValidationError, AppError):
        service.add_exception_handler(kind, refuse)


def _keep_out(service: FastAPI, token: str) -> None:
    """Before anything of the body is read."""
    wanted = f"Bearer {token}".encode()

    @service.middleware("http")
    async def check(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted):
            return JSONResponse({"error": "unauthorized"}, 401)
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return JSONResponse({"error": "too_large"}, 413)
        return await go_on(request)


def _find(shop: Path, order_id: str, customer: int | None) -> dict[str, Any]:
    order = read_order(shop, order_id)
    if order is None:
        raise Refused(404, "unknown_order")
    if customer is not None and read_owner(shop, order_id) != customer:
        raise Refused(403, "not_yours")
    return order


def _add_reading(service: FastAPI, shop: Path) -> None:
    @service.get("/orders/{order_id}", operation_id="order_status", response_model=replies.Order)
    def order_status(order_id: OrderId, customer: Customer = None) -> Any:
        """The state of one order: status, carrier, tracking number, days and items."""
        order = _find(shop, order_id, customer)
        return {name: order[name] for name in replies.Order.model_fields}

    @service.get("/orders/{order_id}/shipment", operation_id="shipment", response_model=replies.Shipment)
    def shipment(order_id: OrderId, customer: Customer = None) -> Any:
        """The parcel of one order: when it was sent, expected and delivered, and whether it is late."""
        order = _find(shop, order_id, customer)
        return {name: order[name] for name in replies.Shipment.model_fields}

    @service.get("/orders/{order_id}/points", operation_id="loyalty_points", response_model=replies.Points)
    def loyalty_points(order_id: OrderId, customer: Customer = None) -> Any:
        """The loyalty points that one order brings, and when they are booked."""
        return {"order_id": order_id, **read_points(shop, _find(shop, order_id, customer))}

    @service.get("/stock", operation_id="store_stock", response_model=replies.Stock)
    def store_stock(product: Product, store: Store) -> Any:
        """How many pieces of a product a store has."""
        products, cities = read_names(shop)
        found = find_name(product, products)
        if found.name is None:
            raise Refused(404, "unknown_product", found.similar)
        city = find_name(store, cities)
        if city.name is None:
            raise Refused(404, "unknown_store", tuple(cities[:MAX_CITIES]))
        return {
            "product": found.name,
            "store": city.name,
            "quantity": read_stock(shop, found.name, city.name),
        }


def _add_writing(service: FastAPI, shop: Path, journal: Journal) -> None:
    def take(key: str, operation: str, order_id: str, body: dict[str, Any], **details: Any) -> dict[str, Any]:
        number = journal.add(key, operation, order_id, body)
        if number is None:
            raise Refused(409, "key_used_before")
        return {"order_id": order_id, "state": "requested", "request": number, **details}

    @service.post("/orders/{order_id}/refund", operation_id="request_refund", response_model=replies.Refunded)
    def request_refund(order_id: OrderId, key: Key, customer: Customer = None) -> Any:
        """Ask for the money of one order back."""
        order = _find(shop, order_id, customer)
        if order["status"] in ("returned", "cancelled"):
            raise Refused(409, "already_refunded")
        return take(key, "request_refund", order_id, {}, amount=order["total"])

    @service.post(
        "/orders/{order_id}/address", operation_id="change_address", response_model=replies.Redirected
    )
    def change_address(order_id: OrderId, body: NewAddress, key: Key, customer: Customer = None) -> Any:
        """Ask for one order to be delivered to another postcode."""
        order = _find(shop, order_id, customer)
        if order["status"] not in ("processing", "shipped"):
            raise Refused(409, "not_on_its_way")
        fee = REDIRECTION_FEE if order["status"] == "shipped" else 0.0
        return take(key, "change_address", order_id, body.model_dump(), fee=fee)

    @service.post("/orders/{order_id}/points", operation_id="adjust_points", response_model=replies.Adjusted)
    def adjust_points(order_id: OrderId, body: Adjustment, key: Key, customer: Customer = None) -> Any:
        """Add loyalty points to one order's customer, or take some away."""
        _find(shop, order_id, customer)
        return take(key, "adjust_points", order_id, body.model_dump(), points=body.points)


if __name__ == "__main__":
    document = create_service(Path("no.sqlite"), Journal(Path()), "").openapi()
    print(json.dumps(document, indent=1))  # noqa: T201 - this is what it is run for
