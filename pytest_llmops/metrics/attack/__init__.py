"""Whether an attack on the app succeeded, what stopped it, and whether the app is still of use."""

from __future__ import annotations

from pytest_llmops.metrics.attack.attack import Attack, AttackSuccess, Blocked
from pytest_llmops.metrics.attack.utility import Utility

__all__ = ["Attack", "AttackSuccess", "Blocked", "Utility"]
