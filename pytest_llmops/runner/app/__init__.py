"""The app under test: importing it, calling it, and reading its answers."""
