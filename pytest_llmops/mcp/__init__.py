"""Tool definitions of an MCP server: against their lock, and free of what would instruct a model."""
