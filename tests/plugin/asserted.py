"""A project whose app answers from set texts, for tests that ask it by the fixture `llm`."""

from __future__ import annotations

import pytest_llmops.plugin.assertions.fixtures
import pytest_llmops.plugin.assertions.markers  # noqa: F401 - what is loaded already is not loaded by each run

CONFTEST = """
    import pytest

    @pytest.fixture(scope="session")
    def llm_app():
        def answer(question):
            if "write" in question:
                return "You have 60 days. Write to ann.lee@example.com"
            return {
                "text": "You have 60 days to send boots back.",
                "passages": [{"id": "returns#window", "text": "Boots may be sent back within 60 days."},
                             {"id": "shipping#cost", "text": "Shipping costs 5 dollars."}],
                "tool_calls": [{"name": "find_order", "arguments": {"order_id": "A-1"}},
                               {"name": "refund", "arguments": {"order_id": "A-1", "cents": 900}}],
            }
        return answer
"""
