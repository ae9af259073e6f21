"""What the service takes and gives, as closed models; the OpenAPI document is made from them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from reference_app.shop.customers import HEADER, MAX_CUSTOMER

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


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Order(_Closed):
    order_id: str
    status: Status
    carrier: str | None
    tracking: str | None
    ordered: str
    expected: str | None
    items: list[str]
    total: str


class Shipment(_Closed):
    order_id: str
    status: Status
    carrier: str | None
    tracking: str | None
    sent: str | None
    expected: str | None
    delivered: str | None
    late: bool
    days_late: int


class Points(_Closed):
    order_id: str
    points: int
    booked: bool
    booking_day: str | None


class Shelf(_Closed):
    product: str
    store: str
    pieces: int


class Stock(_Closed):
    stock: list[Shelf]


class Sold(_Closed):
    name: str
    category: Category
    price: str
    weight_kg: float
    colour: str
    released: str
    rating: float | None
    reviews: int
    stock: int


class Products(_Closed):
    """Attributes: found: How many products there are; `products` may be fewer."""

    found: int
    products: list[Sold]


class Review(_Closed):
    rating: int
    day: str


class Reviewed(_Closed):
    product: str
    mean_rating: float | None
    reviews: int
    newest: list[Review]


class Reviews(_Closed):
    products: list[Reviewed]


class Store(_Closed):
    city: str
    opened_on: str


class Stores(_Closed):
    stores: list[Store]


class _Accepted(_Closed):
    """Attributes: request: The same for the same request, so that an answer is the same each time."""

    order_id: str
    state: Literal["requested"]
    request: str


class Refunded(_Accepted):
    amount: str


class Redirected(_Accepted):
    fee: str


class Adjusted(_Accepted):
    points: int


class NewAddress(_Closed):
    postcode: str = Field(pattern=r"^[A-Z0-9 ]{4,8}$", max_length=8)


class Adjustment(_Closed):
    points: int = Field(ge=-5000, le=5000)


class Refusal(_Closed):
    """Attributes: near: Names that could be meant."""

    error: str = Field(pattern=r"^[a-z_]{1,40}$")
    near: list[str] = Field(default=[], max_length=20)
