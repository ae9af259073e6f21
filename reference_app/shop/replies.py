"""What the service takes and gives, as closed models; the OpenAPI document is made from them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from reference_app.shop.customers import HEADER, MAX_CUSTOMER

_TEXT = r"^[^\x00-\x1F\x7F]+$"  # no control characters
OrderId = Annotated[str, Path(pattern=r"^FW-\d{5}$", max_length=8)]
Product = Annotated[str, Query(max_length=60, pattern=_TEXT, description="The product's name.")]
Store = Annotated[str, Query(max_length=40, pattern=_TEXT, description="The store's city.")]
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=8, max_length=64)]
Customer = Annotated[int | None, Header(alias=HEADER, ge=1, le=MAX_CUSTOMER)]
Status = Literal["processing", "shipped", "delivered", "returned", "cancelled"]


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
    total: float


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
    day: str | None


class Stock(_Closed):
    product: str
    store: str
    quantity: int


class _Accepted(_Closed):
    """Attributes: request: The same for the same request, so that an answer is the same each time."""

    order_id: str
    state: Literal["requested"]
    request: str


class Refunded(_Accepted):
    amount: float


class Redirected(_Accepted):
    fee: float


class Adjusted(_Accepted):
    points: int


class NewAddress(_Closed):
    postcode: str = Field(pattern=r"^[A-Z0-9 ]{4,8}$", max_length=8)


class Adjustment(_Closed):
    points: int = Field(ge=-5000, le=5000)


class Refusal(_Closed):
    error: str = Field(pattern=r"^[a-z_]{1,40}$")
    similar: list[str] = Field(default=[], max_length=20)
