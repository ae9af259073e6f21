"""Slots: what a query consists of, as a tree of SQL and as words for the customer."""
