"""Prompt files: their metadata, their lock, and the rules of their versions."""
