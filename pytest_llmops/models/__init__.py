"""Lazy loaders of neural networks: loaded once, shared, and not at all where a cache answers."""
