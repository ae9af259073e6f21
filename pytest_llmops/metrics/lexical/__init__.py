"""Metrics of wording and form: words, n-grams, patterns, JSON. No model."""
