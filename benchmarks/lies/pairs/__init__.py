"""Pairs of texts that words of grammar alone tell apart."""
