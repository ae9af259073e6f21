"""Lazy loaders of neural networks and scanners: loaded once, shared, and not at all where a cache answers."""
