"""Which tools the app called, with what, in which order, and which calls it was denied."""

from __future__ import annotations

from pytest_llmops.metrics.tools.denied_calls import DeniedCalls
from pytest_llmops.metrics.tools.tool_calls import ToolCalls
from pytest_llmops.metrics.tools.tool_order import ToolOrder

__all__ = ["DeniedCalls", "ToolCalls", "ToolOrder"]
