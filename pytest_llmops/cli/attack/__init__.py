"""`llmops attack`: what is attacked, the runs that are made of it, and what is shown."""
