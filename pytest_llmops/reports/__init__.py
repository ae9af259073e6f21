"""Runs and verdicts, written for people and for machines."""
