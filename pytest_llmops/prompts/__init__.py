"""Prompt files: what they say of themselves, the lock that remembers it, and the rules of their versions."""

from __future__ import annotations
