"""Scores become verdicts: thresholds, and paired comparison with a baseline run."""
