"""Recorded calls on disk: the files, their text, what is redacted, what differs from a new call."""
