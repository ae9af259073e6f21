"""The shop behind the tools: its database, made by a seeded script, and the service over it."""
