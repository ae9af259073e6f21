"""Features, which a gate works without: a folder each, named by one entry point in `pyproject.toml`."""
