"""Linked words to slots: what a question wants, or that it cannot be told."""
