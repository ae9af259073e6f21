"""Verdicts by thresholds alone, without a baseline."""
