"""The gate as it was where a change began, read from git."""
