"""What comes in and goes out, as FastAPI checks and describes it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from reference_app.shop.customers import MAX_CUSTOMER

MAX_QUESTION_CHARACTERS = 2000


def _require_plain(arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(arguments, allow_nan=False)  # its ValueError is answered with 422
    except RecursionError:
        raise ValueError("nested too deep") from None
    return arguments


Thread = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Names one question.")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Question(Strict):
    question: str = Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS)
    file: str | None = Field(
        default=None, min_length=1, max_length=500, description="Name of an uploaded file to read with it."
    )
    thread: Thread | None = Field(default=None, description="Made up where it is not given.")
    customer: int | None = Field(
        default=None,
        ge=1,
        le=MAX_CUSTOMER,
        description="Number of the customer who is signed in, who may see no other's orders; for the shop's "
        "site to set.",
    )


class Decision(Strict):
    """What a person decided on the call that the record shows as pending."""

    thread: Thread
    name: str = Field(pattern=r"^[a-z0-9_]{1,64}$")
    arguments: Annotated[dict[str, Any], AfterValidator(_require_plain)]
    approved: bool


class Call(BaseModel):
    name: str
    arguments: dict[str, Any]
    decision: str = Field(description="allowed, confirmed, denied or pending")
    result: dict[str, Any] | None
    reason: str


class Passage(BaseModel):
    id: str
    text: str
    score: float


class Record(BaseModel):
    text: str
    passages: list[Passage]
    tool_calls: list[Call]
    sources: list[str] = Field(description="Ids of the sections that support the answer.")
    titles: dict[str, str] = Field(
        description="What people are shown of each source, by its id: `Document > Section`, or the name of "
        "an uploaded file. Escape it."
    )
    pending: Call | None = Field(description="A person has to decide on it: POST /v1/confirm.")
    model: str
    thread: str


class Error(BaseModel):
    status: int
    message: str


class Failure(BaseModel):
    error: Error
