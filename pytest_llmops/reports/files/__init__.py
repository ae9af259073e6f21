"""Run files and baselines: reading and writing."""
