"""The data, made from phrasings by a seeded script."""
