"""What stands between a customer, the model and the answer; each guard can be left out by a setting."""

from __future__ import annotations

GUARDS = ("input", "redaction", "output")
