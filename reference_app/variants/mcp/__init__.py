"""The shop's tools as an MCP server, behind the same registry, policy and confirmation as in the app."""
