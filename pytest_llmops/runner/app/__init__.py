"""The app under test: importing it, calling it, and reading what it returns."""
