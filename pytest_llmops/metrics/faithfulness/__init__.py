"""Support of an answer by its contexts: claims, sentences that could support them, and a small model."""
