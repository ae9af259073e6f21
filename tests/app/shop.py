"""What a small shop is made of."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = """---
id: {id}
title: {title}
status: {status}
updated: 2026-01-01
---
# {title}

## {heading} {{#{section}}}

{text}
"""
ORDERS = """
- order_id: FW-20001
  customer: Ada Quimby
  email: ada.quimby@example.com
  status: shipped
  carrier: Test Post
  tracking: TP-1
  ordered: 2026-01-02
  expected: 2026-01-05
  items: [Tent, Pegs]
- {order_id: FW-20002, customer: Bo Lund, email: bo@example.com, status: cancelled, ordered: 2026-01-03}
"""


def document(**changed):
    sound = {
        "id": "tents",
        "title": "Tents",
        "status": "current",
        "heading": "Weight",
        "section": "weight",
        "text": "The Kestrel tent weighs 3.4 kg with its bag. It sleeps two people.",
    }
    return DOCUMENT.format(**{**sound, **changed})


def environment(**changed):
    """The environment without what would point the app elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "REFERENCE_APP_", "LANGSMITH_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), **changed}
