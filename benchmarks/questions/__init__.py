"""Questions that were written apart from the app, and what its answers to them are worth."""
