"""
The shop over HTTP: orders, products and stores; never who ordered.

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
from reference_app.shop import replies as r  # FastAPI reads the hints of the functions it is given
from reference_app.shop.journal import Journal
from reference_app.shop.names import find_names, list_near
from reference_app.shop.queries import read_order, read_points, read_reviews, select, write_price

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import Request, Response

MAX_BODY_BYTES = 1000
REDIRECTION_FEE = 2.5  # pounds, for a parcel that is on its way


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """Carries the status and the body of the answer."""

    def __init__(self, status: int, error: str, near: list[str] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, **({"near": near} if near else {})}


def create_service(shop: Path, journal: Journal, token: str) -> FastAPI:
    """
    The service over one database.

    Args:
        shop: As `open_shop` returns it.
        journal: Keeps requests for a refund, another address or points.
        token: Each call has to bring it, since every user of a machine can reach its loopback ports.
    """
    service = FastAPI(
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would name what is asked for
        title="Fellwind shop",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses={status: {"model": r.Refusal} for status in (401, 403, 404, 409, 413, 422, 500)},
    )
    for kind in (Refused, RequestValidationError, AppError):
        service.add_exception_handler(kind, _refuse)
    _keep_out(service, token)
    _add_orders(service, shop)
    _add_catalogue(service, shop)
    _add_requests(service, shop, journal)
    return service


def _refuse(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, Refused):
        return JSONResponse(error.body, error.status)
    # What was sent is not sent back: it may be personal.
    if isinstance(error, RequestValidationError):
        return JSONResponse({"error": "invalid_arguments"}, 422)
    return JSONResponse({"error": "unavailable"}, 500)


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


def _find_order(shop: Path, order_id: str, customer: int | None) -> dict[str, Any]:
    order = read_order(shop, order_id)
    if order is None:
        raise Refused(404, "unknown_order")
    if customer is not None and order["customer_id"] != customer:
        raise Refused(403, "not_yours")
    return order


def _find_products(shop: Path, text: str) -> list[list[str]]:
    kinds = {row["name"]: row["category"] for row in select(shop, "SELECT name, category FROM open_products")}
    if not (tiers := find_names(text, kinds)):
        raise Refused(404, "unknown_product", list_near(text, kinds))
    return tiers


def _find(shop: Path, column: str, text: str) -> list[str]:
    """Cities of stores, or colours of products."""
    table = {"city": "stores", "colour": "products"}[column]
    known = [row[column] for row in select(shop, f"SELECT DISTINCT {column} FROM {table} ORDER BY 1")]  # noqa: S608
    if not (tiers := find_names(text, dict.fromkeys(known, ""))):
        raise Refused(404, f"unknown_{column}", known)
    return tiers[0]


def _add_orders(service: FastAPI, shop: Path) -> None:
    @service.get("/orders/{order_id}", operation_id="order_status", response_model=r.Order)
    def order_status(order_id: r.OrderId, customer: r.Customer = None) -> Any:
        """Status, carrier, tracking number, days, items and total of one order."""
        order = _find_order(shop, order_id, customer)
        return {name: order[name] for name in r.Order.model_fields}

    @service.get("/orders/{order_id}/shipment", operation_id="shipment", response_model=r.Shipment)
    def shipment(order_id: r.OrderId, customer: r.Customer = None) -> Any:
        """The parcel of one order: when it was sent, is expected and came, and how many days late."""
        order = _find_order(shop, order_id, customer)
        return {name: order[name] for name in r.Shipment.model_fields}

    @service.get("/orders/{order_id}/points", operation_id="loyalty_points", response_model=r.Points)
    def loyalty_points(order_id: r.OrderId, customer: r.Customer = None) -> Any:
        """The loyalty points that one order brings, and when they are booked."""
        return {"order_id": order_id, **read_points(shop, _find_order(shop, order_id, customer))}


def _add_catalogue(service: FastAPI, shop: Path) -> None:
    @service.get("/stock", operation_id="store_stock", response_model=r.Stock)
    def store_stock(product: r.Product, store: r.City) -> Any:
        """How many pieces of a product the store in a city has."""
        products, cities = _find_products(shop, product)[0], _find(shop, "city", store)
        rows = select(shop, "SELECT product, city AS store, quantity AS pieces FROM open_stock")
        return {"stock": [row for row in rows if row["product"] in products and row["store"] in cities]}

    @service.get("/products", operation_id="find_products", response_model=r.Products)
    def find_products(  # noqa: PLR0913 - each is an argument of the tool
        *,
        name: r.Product | None = None,
        category: r.Category | None = None,
        colour: r.Colour | None = None,
        min_price: r.Price | None = None,
        max_price: r.Price | None = None,
        sort: r.Sort | None = None,
        limit: r.Limit = 5,
    ) -> Any:
        """Products with price, weight, colour, release day, rating and pieces in stock."""
        max_price = max_price or None  # models write 0 where they mean nothing
        named = (word for word in (name or "").split() if "£" not in word)
        name = " ".join(word for word in named if word.lower() not in r.ANY_PRODUCT)
        category = None if name else category  # a small model guesses one beside each name
        rows = select(
            shop,
            "SELECT * FROM open_products WHERE (?1 IS NULL OR category = ?1) AND (?2 IS NULL OR colour = ?2) "
            "AND (?3 IS NULL OR price >= ?3) AND (?4 IS NULL OR price <= ?4)",
            *(category, colour and _find(shop, "colour", colour)[0], min_price, max_price),
        )
        tiers = _find_products(shop, name) if name else [[row["name"] for row in rows]]
        found = next(filter(None, ([row for row in rows if row["name"] in tier] for tier in tiers)), [])
        if sort:
            column = {"weight": "weight_kg"}.get(sort.strip("-"), sort.strip("-"))
            found.sort(key=lambda row: row[column], reverse=sort.startswith("-"))
        shown = [{**row, "price": write_price(row["price"])} for row in found[:limit]]
        return {"found": len(found), "products": shown}

    @service.get("/reviews", operation_id="find_reviews", response_model=r.Reviews)
    def find_reviews(product: r.Product, limit: r.Limit = 3) -> Any:
        """Mean rating of a product, from 1 to 5, number of reviews, and its newest ratings."""
        return {"products": [read_reviews(shop, name, limit) for name in _find_products(shop, product)[0]]}

    @service.get("/stores", operation_id="list_stores", response_model=r.Stores)
    def list_stores(city: r.City | None = None) -> Any:
        """The cities with a store, the newest first, and the day each opened."""
        cities = _find(shop, "city", city) if city else None
        rows = select(shop, "SELECT city, opened AS opened_on FROM stores ORDER BY opened DESC")
        return {"stores": [row for row in rows if cities is None or row["city"] in cities]}


def _add_requests(service: FastAPI, shop: Path, journal: Journal) -> None:
    def take(key: str, operation: str, order_id: str, body: dict[str, Any], **details: Any) -> dict[str, Any]:
        number = journal.add(key, operation, order_id, body)
        if number is None:
            raise Refused(409, "key_used_before")
        return {"order_id": order_id, "state": "requested", "request": number, **details}

    @service.post("/orders/{order_id}/refund", operation_id="request_refund", response_model=r.Refunded)
    def request_refund(order_id: r.OrderId, key: r.Key, customer: r.Customer = None) -> Any:
        """Ask for the money of one order back."""
        order = _find_order(shop, order_id, customer)
        if order["status"] in ("returned", "cancelled"):
            raise Refused(409, "already_refunded")
        return take(key, "request_refund", order_id, {}, amount=order["total"])

    @service.post("/orders/{order_id}/address", operation_id="change_address", response_model=r.Redirected)
    def change_address(
        order_id: r.OrderId, body: r.NewAddress, key: r.Key, customer: r.Customer = None
    ) -> Any:
        """Have one order delivered to another postcode."""
        order = _find_order(shop, order_id, customer)
        if order["status"] not in ("processing", "shipped"):
            raise Refused(409, "not_on_its_way")
        fee = write_price(REDIRECTION_FEE if order["status"] == "shipped" else 0)
        return take(key, "change_address", order_id, body.model_dump(), fee=fee)

    @service.post("/orders/{order_id}/points", operation_id="adjust_points", response_model=r.Adjusted)
    def adjust_points(
        order_id: r.OrderId, body: r.Adjustment, key: r.Key, customer: r.Customer = None
    ) -> Any:
        """Add loyalty points to the customer of one order, or take some away."""
        _find_order(shop, order_id, customer)
        return take(key, "adjust_points", order_id, body.model_dump(), points=body.points)


if __name__ == "__main__":
    document = create_service(Path("no.sqlite"), Journal(Path()), "").openapi()
    print(json.dumps(document, indent=1))  # noqa: T201 - this is what it is run for
