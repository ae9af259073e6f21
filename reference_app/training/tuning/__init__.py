"""The training itself; only this folder needs torch."""
