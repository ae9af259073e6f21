"""The gate of the merge base, read from git."""
