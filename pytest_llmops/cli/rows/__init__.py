"""Verbs about the rows of a JSONL file, without an app: their scores, and whether people agree."""
