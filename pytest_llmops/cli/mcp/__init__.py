"""`llmops mcp`."""
