"""Texts in any script and markup as a reader takes them: characters, markup, numbers, words and phrases."""
