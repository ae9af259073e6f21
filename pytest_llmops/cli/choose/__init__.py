"""`llmops choose`: what is compared, the runs that are made of it, and what is shown."""
