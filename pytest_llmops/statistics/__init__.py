"""Intervals, tests and estimates of plain numbers; none knows of a case, a check or a verdict."""
