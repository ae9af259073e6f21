"""The reference app, with the mistake of a developer who wanted to see whom a question is from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from opentelemetry import trace

import reference_app

ORDERS = Path(reference_app.__file__).with_name("data") / "orders.yaml"


def answer(question: str) -> dict[str, Any]:
    orders = yaml.safe_load(ORDERS.read_text(encoding="utf-8"))
    customer = next((order["email"] for order in orders if order["order_id"] in question), "nobody")
    with trace.get_tracer("leaky").start_as_current_span("load customer") as span:
        span.set_attribute("customer.email", customer)
        return reference_app.answer(question)
