"""Golden sets tested by wrong answers."""
