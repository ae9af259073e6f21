"""Chat model and encoder: clients, and the embedded endpoint that they start on demand."""
