"""The report as one HTML file, which opens from disk and sends no request."""
