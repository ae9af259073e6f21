"""Other doors to parts of the app."""
