"""Metrics of nearness in meaning, by a language model."""
