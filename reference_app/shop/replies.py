"""What the service takes and gives, as closed models; the OpenAPI document is made from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field, create_model

from reference_app.shop.customers import HEADER, MAX_CUSTOMER

ANY_PRODUCT = frozenset(
    {"a", "any", "all", "article", "articles", "item", "items", "of", "product", "products", "the", "thing"}
    | {"things", "your", "most", "least", "best", "cheapest", "dearest", "heaviest", "lightest", "newest"}
)
"""Words of a name that names no product: what is left is a sort or a price."""
_TEXT = r"^[^\x00-\x1F\x7F]+$"  # no control characters
OrderId = Annotated[str, Path(pattern=r"^FW-\d{5}$", max_length=8)]
Product = Annotated[str, Query(max_length=60, pattern=_TEXT, description="Name, or a part of it.")]
City = Annotated[str, Query(max_length=40, pattern=_TEXT)]
Colour = Annotated[str, Query(max_length=20, pattern=_TEXT)]
Limit = Annotated[int, Query(ge=1, le=20)]
Price = Annotated[float, Query(ge=0, le=10_000, description="In pounds.")]
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=8, max_length=64)]
Customer = Annotated[int | None, Header(alias=HEADER, ge=1, le=MAX_CUSTOMER)]
Status = Literal["processing", "shipped", "delivered", "returned", "cancelled"]
Category = Literal[
    "Tents", "Boots and shoes", "Jackets", "Clothing", "Packs", "Sleeping", "Stoves and cooking", "Water",
    "Electronics", "Care and camp",
]  # fmt: skip
Sort = Literal["price", "-price", "weight", "-weight", "rating", "-rating", "released", "-released"]


class NewAddress(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    postcode: str = Field(pattern=r"^[A-Z0-9 ]{4,8}$", max_length=8)


class Adjustment(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    points: int = Field(ge=-5000, le=5000)


def _answer(title: str, /, **fields: Any) -> Any:
    """A closed model with these fields, all of which an answer has."""
    definitions: dict[str, Any] = {key: (kind, ...) for key, kind in fields.items()}
    return create_model(title, __config__=ConfigDict(extra="forbid", strict=True), **definitions)


def _many(part: Any) -> Any:
    return list[part]


# Days are ISO texts and amounts are texts like £5.95, as a small model copies them best.
_PARCEL = {"order_id": str, "status": Status, "carrier": str | None, "tracking": str | None}
Order = _answer("Order", **_PARCEL, ordered=str, expected=str | None, items=list[str], total=str)
Shipment = _answer(
    "Shipment",
    **_PARCEL,
    sent=str | None,
    expected=str | None,
    delivered=str | None,
    late=bool,
    days_late=int,
)
Points = _answer("Points", order_id=str, points=int, booked=bool, booking_day=str | None)
Pieces = _answer("Pieces", product=str, store=str, pieces=int)
Stock = _answer("Stock", stock=_many(Pieces))
Sold = _answer(
    "Sold", name=str, category=Category, price=str, weight_kg=float, colour=str, released=str,
    rating=float, reviews=int, stock=int,
)  # fmt: skip
Products = _answer("Products", found=int, products=_many(Sold))  # some of those found
Review = _answer("Review", rating=int, day=str)
Reviewed = _answer("Reviewed", product=str, mean_rating=float, reviews=int, newest=_many(Review))
Reviews = _answer("Reviews", products=_many(Reviewed))
Store = _answer("Store", city=str, opened_on=str)
Stores = _answer("Stores", stores=_many(Store))
_ACCEPTED = {"order_id": str, "state": Literal["requested"], "request": str}
Refunded = _answer("Refunded", **_ACCEPTED, amount=str)
Redirected = _answer("Redirected", **_ACCEPTED, fee=str)
Adjusted = _answer("Adjusted", **_ACCEPTED, points=int)


class Refusal(BaseModel):
    """Attributes: near: Names that could be meant."""

    model_config = ConfigDict(extra="forbid", strict=True)
    error: str = Field(pattern=r"^[a-z_]{1,40}$")
    near: list[str] = Field(default=[], max_length=20)
