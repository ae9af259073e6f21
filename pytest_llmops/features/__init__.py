"""What a gate can do without: each folder is a feature, named by one entry point in `pyproject.toml`."""
