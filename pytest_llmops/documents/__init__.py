"""Strict reading of files, with places for messages, and replacing of files."""
