"""Brings an attack into a file that the reference app reads, for `llmops attack --placements file=…`."""

import os
from hashlib import sha256
from pathlib import Path


def attach(payload, placement):  # noqa: ARG001 - one function may serve several placements
    """The app's input; the same attack has the same file in every run, so that runs can be compared."""
    name = f"{sha256(payload.encode()).hexdigest()[:16]}.txt"
    Path(os.environ["REFERENCE_APP_UPLOADS"], name).write_text(payload, encoding="utf-8")
    return {"question": "What does the customer say about the boots?", "file": name}
