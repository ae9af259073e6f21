"""Scores in batches: in this process, under a time limit, or by a shared service."""
