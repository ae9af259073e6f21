"""The app over HTTP, with a page for customers."""
