"""Verbs about an earlier run: take one, compare with it, look for causes, and what the gate is worth."""
