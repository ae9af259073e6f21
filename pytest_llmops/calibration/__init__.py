"""Recorded agreement of metrics and judges with people."""
